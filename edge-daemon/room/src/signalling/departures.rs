//! How participants, publications and sessions end, and who hears of it.

use super::Signalling;
use crate::ids::{ResourceId, SessionId};
use crate::kurento::notifications::Notification;
use crate::kurento::session::{Link, Member};
use crate::names::{RoomName, UserName};
use crate::negotiator::Negotiator;
use crate::output::{EndpointLoss, Output};
use crate::rooms::{Owner, Role, Unpublished};
use lianmai_webrtc::EndpointId;

impl Signalling {
    /// The media side lost an endpoint: the peer went silent, or never came. A lost publisher is unpublished and may
    /// publish again; a lost receiver may ask again; a WHIP or WHEP session ends.
    pub fn endpoint_lost(
        &mut self,
        endpoint: EndpointId,
        loss: EndpointLoss,
        negotiator: &mut dyn Negotiator,
    ) {
        let Some(role) = self.rooms.role(endpoint).cloned() else {
            return;
        };
        self.counters.endpoints_lost += 1;
        self.touch();
        match role {
            Role::Publisher { room, user } => self.publisher_lost(&room, &user, loss, negotiator),
            Role::Subscriber { room, user, from } => {
                self.rooms.unsubscribe(&room, &user, &from);
                negotiator.release(endpoint);
                if let Some(Owner::Session(session)) = self.owner(&room, &user) {
                    self.media_error(session, &from, loss);
                }
            }
            Role::Viewer { room, resource } => {
                self.rooms.unwatch(&room, resource);
                negotiator.release(endpoint);
                self.forget_resource(resource);
            }
        }
    }

    fn publisher_lost(
        &mut self,
        room: &RoomName,
        user: &UserName,
        loss: EndpointLoss,
        negotiator: &mut dyn Negotiator,
    ) {
        match self.owner(room, user) {
            Some(Owner::Session(session)) => {
                self.media_error(session, user, loss);
                let Ok(unpublished) = self.rooms.unpublish(room, user) else {
                    return;
                };
                self.release_publication(room, user, unpublished, negotiator);
                self.broadcast(room, Some(user), &Notification::ParticipantUnpublished { user });
            }
            Some(Owner::Whip(resource)) => {
                self.depart(room, user, negotiator);
                self.forget_resource(resource);
            }
            None => {}
        }
    }

    fn media_error(&mut self, session: SessionId, whose: &UserName, loss: EndpointLoss) {
        let error = loss.media_error(whose.as_str());
        self.notify(session, &Notification::MediaError { error: &error });
    }

    fn owner(&self, room: &RoomName, user: &UserName) -> Option<Owner> {
        self.rooms
            .participant(room, user)
            .map(|participant| participant.owner)
    }

    /// Takes a participant out of its room and tells the others. What its session or resource does then is the caller's.
    pub(super) fn depart(
        &mut self,
        room: &RoomName,
        user: &UserName,
        negotiator: &mut dyn Negotiator,
    ) -> Option<Owner> {
        let owner = self.take_out(room, user, negotiator)?;
        self.broadcast(room, None, &Notification::ParticipantLeft { user });
        Some(owner)
    }

    /// The same, without telling anybody.
    pub(super) fn take_out(
        &mut self,
        room: &RoomName,
        user: &UserName,
        negotiator: &mut dyn Negotiator,
    ) -> Option<Owner> {
        let departure = self.rooms.leave(room, user)?;
        if let Some(unpublished) = departure.published {
            self.release_publication(room, user, unpublished, negotiator);
        }
        for endpoint in departure.received {
            negotiator.release(endpoint);
        }
        if let Owner::Session(session) = departure.owner {
            self.become_nobody(session);
        }
        self.outputs.push_back(Output::Left {
            room: room.clone(),
            user: user.clone(),
        });
        if departure.room_closed {
            self.outputs.push_back(Output::RoomClosed { room: room.clone() });
        }
        Some(departure.owner)
    }

    fn become_nobody(&mut self, session: SessionId) {
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        session.member = Member::Nobody;
        session.early.clear();
    }

    /// Releases a publication after all that receives it.
    pub(super) fn release_publication(
        &mut self,
        room: &RoomName,
        user: &UserName,
        unpublished: Unpublished,
        negotiator: &mut dyn Negotiator,
    ) {
        for leg in unpublished.legs {
            negotiator.release(leg);
        }
        for (resource, leg) in unpublished.viewers {
            negotiator.release(leg);
            self.forget_resource(resource);
        }
        let endpoint = unpublished.endpoint;
        negotiator.release(endpoint);
        self.outputs.push_back(Output::Unpublished {
            room: room.clone(),
            user: user.clone(),
            endpoint,
        });
    }

    /// A WHIP or WHEP session is over without its client's asking.
    pub(super) fn forget_resource(&mut self, resource: ResourceId) {
        if self.resources.remove(&resource).is_some() {
            self.outputs.push_back(Output::ResourceEnded { resource });
        }
    }

    /// Ends a session with its participant and its socket.
    pub(super) fn end_session(&mut self, id: SessionId, negotiator: &mut dyn Negotiator) {
        if let Ok((room, user)) = self.participant_of(id) {
            self.depart(&room, &user, negotiator);
        }
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if let Link::Attached { connection, .. } = session.link {
            self.outputs.push_back(Output::Close { connection });
        }
    }

    /// A session without a socket misses more than is kept for it: its window ends at the next timeout.
    pub(super) fn give_up(&mut self, id: SessionId) {
        let Some(opened) = self.sessions.get(id).map(|session| session.opened) else {
            return;
        };
        self.counters.backlog_overflows += 1;
        self.sessions.set_link(
            id,
            Link::Detached {
                until: opened,
                backlog: Vec::new(),
            },
        );
    }
}
