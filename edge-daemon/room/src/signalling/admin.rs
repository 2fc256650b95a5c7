//! The rooms from outside: a look, an eviction, the end.

use super::Signalling;
use crate::error::RoomError;
use crate::kurento::notifications::Notification;
use crate::kurento::session::Member;
use crate::names::{RoomName, UserName};
use crate::negotiator::Negotiator;
use crate::rooms::{Owner, Participant, Room, Voice};
use crate::view::{ParticipantState, RoomState, SubscriptionState, Via, ViewerState};
use lianmai_webrtc::EndpointId;

impl Signalling {
    /// Evicts a participant. As with the original server its socket stays open; its session may join again.
    pub fn kick(&mut self, room: &str, user: &str, negotiator: &mut dyn Negotiator) -> Result<(), RoomError> {
        let (room, user) = self.rooms.find(room, user)?;
        self.touch();
        match self.depart(&room, &user, negotiator) {
            Some(Owner::Session(id)) => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.member = Member::Evicted { room, user };
                }
                self.notify(id, &Notification::ParticipantEvicted);
            }
            Some(Owner::Whip(resource)) => self.forget_resource(resource),
            None => {}
        }
        Ok(())
    }

    /// Closes a room: everybody is told, evicted, and loses the socket (KurentoRoom.js knows no `roomClosed`).
    pub fn close_room(&mut self, room: &str, negotiator: &mut dyn Negotiator) -> Result<(), RoomError> {
        let room = self.rooms.find_room(room)?;
        self.touch();
        let audience = self.audience(&room, None);
        for session in &audience {
            self.notify(*session, &Notification::RoomClosed { room: &room });
            self.notify(*session, &Notification::ParticipantEvicted);
        }
        self.empty(&room, negotiator);
        for session in audience {
            self.end_session(session, negotiator);
        }
        Ok(())
    }

    /// Everybody leaves at once, and nobody is left to be told.
    fn empty(&mut self, room: &RoomName, negotiator: &mut dyn Negotiator) {
        let users: Vec<UserName> = self
            .rooms
            .get(room)
            .into_iter()
            .flat_map(|room| room.participants.keys().cloned())
            .collect();
        for user in users {
            if let Some(Owner::Whip(resource)) = self.take_out(room, &user, negotiator) {
                self.forget_resource(resource);
            }
        }
    }

    /// Closes every room and every connection. From now on nothing opens.
    pub fn shutdown(&mut self, negotiator: &mut dyn Negotiator) {
        self.shutting_down = true;
        self.touch();
        let rooms: Vec<RoomName> = self.rooms.iter().map(|(name, _)| name.clone()).collect();
        for room in rooms {
            // A room that was just listed is found.
            let _ = self.close_room(room.as_str(), negotiator);
        }
        for session in self.sessions.ids() {
            self.end_session(session, negotiator);
        }
    }

    /// Every room, by name.
    pub fn rooms(&self) -> impl Iterator<Item = RoomState> + '_ {
        self.rooms.iter().map(|(name, room)| room_state(name, room))
    }

    /// Whether there is a participant of this name.
    pub fn find_participant(&self, room: &str, user: &str) -> Result<(), RoomError> {
        self.rooms.find(room, user).map(drop)
    }

    /// The publishing endpoint of a user.
    pub fn publication(&self, room: &str, user: &str) -> Result<EndpointId, RoomError> {
        let (room, user) = self.rooms.find(room, user)?;
        self.rooms.source(&room, &user)
    }
}

fn room_state(name: &RoomName, room: &Room) -> RoomState {
    let viewers = room.viewers.iter().map(|(resource, viewer)| ViewerState {
        resource: *resource,
        from: viewer.from.to_string(),
        endpoint: viewer.endpoint,
        since: viewer.since,
    });
    RoomState {
        name: name.to_string(),
        opened: room.opened,
        participants: room
            .participants
            .iter()
            .map(|(user, p)| participant_state(user, p))
            .collect(),
        viewers: viewers.collect(),
    }
}

fn participant_state(user: &UserName, participant: &Participant) -> ParticipantState {
    let subscriptions = participant
        .subscriptions
        .iter()
        .map(|(from, endpoint)| SubscriptionState {
            from: from.to_string(),
            endpoint: *endpoint,
        });
    ParticipantState {
        name: user.to_string(),
        via: match participant.owner {
            Owner::Session(_) => Via::Kurento,
            Owner::Whip(_) => Via::Whip,
        },
        joined: participant.joined,
        publication: participant.publication,
        subscriptions: subscriptions.collect(),
        speaking: participant.voice.is_some_and(|voice| voice.speaking),
        audio_level: participant.voice.map(Voice::dbov),
    }
}
