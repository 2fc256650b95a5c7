//! The sessions of RTMP co-hosts: they publish like WHIP clients, and are told when the room ends them.

use super::{Edge, resource};
use crate::handle::Resource;
use lianmai_room::{ResourceId, RoomError};
use lianmai_webrtc::EndpointId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::sync::oneshot;

/// All of them.
#[derive(Default)]
pub(super) struct Cohosts(BTreeMap<ResourceId, Session>);

struct Session {
    endpoint: EndpointId,
    /// Told of its end.
    over: oneshot::Sender<()>,
}

impl Cohosts {
    /// The session is over.
    pub(super) fn ended(&mut self, session: ResourceId) {
        if let Some(session) = self.0.remove(&session) {
            // Who ended it itself no longer listens.
            let _ = session.over.send(());
        }
    }

    /// The sessions, for a later process.
    pub(super) fn save(&self) -> BTreeSet<ResourceId> {
        self.0.keys().copied().collect()
    }

    /// What they publish.
    pub(super) fn endpoints(&self) -> BTreeSet<EndpointId> {
        self.0.values().map(|session| session.endpoint).collect()
    }
}

impl Edge {
    pub(super) fn cohost_publish(
        &mut self,
        room: &str,
        user: &str,
        offer: &str,
        over: oneshot::Sender<()>,
    ) -> Result<Resource, RoomError> {
        let session = self
            .signalling
            .whip_publish(Instant::now(), room, user, offer, &mut self.media)?;
        let endpoint = session.endpoint;
        self.cohosts
            .0
            .insert(session.resource, Session { endpoint, over });
        Ok(resource(session))
    }

    /// The bridges of the process before this one ended with it. Their places are free for those who come again.
    pub(super) fn end_earlier_cohosts(&mut self, sessions: BTreeSet<ResourceId>) {
        for session in sessions {
            // One that the room had ended meanwhile is no error.
            let _ = self.signalling.delete(session, &mut self.media);
        }
    }
}
