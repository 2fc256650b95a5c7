//! Publications, and what receives them.

use super::{Rooms, Viewer, Voice};
use crate::error::RoomError;
use crate::ids::ResourceId;
use crate::names::{RoomName, UserName};
use lianmai_webrtc::EndpointId;
use std::time::Instant;

/// What an endpoint is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `user` publishes through it.
    Publisher { room: RoomName, user: UserName },
    /// `user` receives `from` through it.
    Subscriber {
        room: RoomName,
        user: UserName,
        from: UserName,
    },
    /// A WHEP session receives through it.
    Viewer { room: RoomName, resource: ResourceId },
}

/// A publication that ended, with all that received it.
#[derive(Debug)]
pub(crate) struct Unpublished {
    pub(crate) endpoint: EndpointId,
    /// Receiving endpoints of participants.
    pub(crate) legs: Vec<EndpointId>,
    /// WHEP sessions with their endpoints.
    pub(crate) viewers: Vec<(ResourceId, EndpointId)>,
}

impl Rooms {
    pub(crate) fn role(&self, endpoint: EndpointId) -> Option<&Role> {
        self.roles.get(&endpoint)
    }

    /// Records what `user` publishes through.
    pub(crate) fn publish(&mut self, room: &RoomName, user: &UserName, endpoint: EndpointId) {
        let Some(participant) = self.participant_mut(room, user) else {
            return;
        };
        participant.publication = Some(endpoint);
        self.roles.insert(
            endpoint,
            Role::Publisher {
                room: room.clone(),
                user: user.clone(),
            },
        );
    }

    /// Ends what `user` publishes; all that received it ends too.
    pub(crate) fn unpublish(&mut self, room: &RoomName, user: &UserName) -> Result<Unpublished, RoomError> {
        let endpoint = self.source(room, user)?;
        if let Some(participant) = self.participant_mut(room, user) {
            participant.publication = None;
            participant.voice = None;
        }
        let (legs, viewers) = self.cut(room, user);
        for gone in legs
            .iter()
            .chain(viewers.iter().map(|(_, endpoint)| endpoint))
            .chain([&endpoint])
        {
            self.roles.remove(gone);
        }
        Ok(Unpublished {
            endpoint,
            legs,
            viewers,
        })
    }

    fn cut(&mut self, room: &RoomName, from: &UserName) -> (Vec<EndpointId>, Vec<(ResourceId, EndpointId)>) {
        let Some(room) = self.rooms.get_mut(room) else {
            return (Vec::new(), Vec::new());
        };
        let legs = room
            .participants
            .values_mut()
            .filter_map(|p| p.subscriptions.remove(from))
            .collect();
        let viewers = room.viewers.extract_if(.., |_, viewer| viewer.from == *from);
        (
            legs,
            viewers
                .map(|(resource, viewer)| (resource, viewer.endpoint))
                .collect(),
        )
    }

    /// The publishing endpoint of a user.
    pub(crate) fn source(&self, room: &RoomName, user: &UserName) -> Result<EndpointId, RoomError> {
        let Some(participant) = self.participant(room, user) else {
            return Err(RoomError::UserNotFound {
                user: user.to_string(),
                room: room.clone(),
            });
        };
        participant.publication.ok_or_else(|| RoomError::NotStreaming {
            user: user.clone(),
            room: room.clone(),
        })
    }

    /// Records what `user` receives `from` through, and returns the endpoint that this replaces.
    pub(crate) fn subscribe(
        &mut self,
        room: &RoomName,
        user: &UserName,
        from: &UserName,
        endpoint: EndpointId,
    ) -> Option<EndpointId> {
        let replaced = self
            .participant_mut(room, user)?
            .subscriptions
            .insert(from.clone(), endpoint);
        let role = Role::Subscriber {
            room: room.clone(),
            user: user.clone(),
            from: from.clone(),
        };
        self.roles.insert(endpoint, role);
        if let Some(replaced) = replaced {
            self.roles.remove(&replaced);
        }
        replaced
    }

    /// Ends one subscription; `None` if there is none.
    pub(crate) fn unsubscribe(
        &mut self,
        room: &RoomName,
        user: &UserName,
        from: &UserName,
    ) -> Option<EndpointId> {
        let endpoint = self.participant_mut(room, user)?.subscriptions.remove(from)?;
        self.roles.remove(&endpoint);
        Some(endpoint)
    }

    /// Adds a WHEP session.
    pub(crate) fn watch(
        &mut self,
        now: Instant,
        room: &RoomName,
        from: &UserName,
        resource: ResourceId,
        endpoint: EndpointId,
    ) {
        let Some(watched) = self.rooms.get_mut(room) else {
            return;
        };
        watched.viewers.insert(
            resource,
            Viewer {
                from: from.clone(),
                endpoint,
                since: now,
            },
        );
        self.roles.insert(
            endpoint,
            Role::Viewer {
                room: room.clone(),
                resource,
            },
        );
    }

    /// Takes a WHEP session out.
    pub(crate) fn unwatch(&mut self, room: &RoomName, resource: ResourceId) -> Option<EndpointId> {
        let viewer = self.rooms.get_mut(room)?.viewers.remove(&resource)?;
        self.roles.remove(&viewer.endpoint);
        Some(viewer.endpoint)
    }

    /// Records how loud a publisher is; `None` if that is no news.
    pub(crate) fn hear(&mut self, endpoint: EndpointId, voice: Voice) -> Option<(RoomName, UserName)> {
        let Role::Publisher { room, user } = self.roles.get(&endpoint)? else {
            return None;
        };
        let (room, user) = (room.clone(), user.clone());
        let heard = &mut self.participant_mut(&room, &user)?.voice;
        if *heard == Some(voice) {
            return None;
        }
        *heard = Some(voice);
        Some((room, user))
    }
}
