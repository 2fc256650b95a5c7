//! Looking into rooms from outside: snapshots, and streams sent on.

use super::Edge;
use super::forwards::{self, ForwardError};
use crate::handle::{EdgeError, NewForward};
use crate::mixers::SnapshotReply;
use crate::view::ForwardView;
use lianmai_mixer_control::ForwardId;
use lianmai_room::RoomError;

impl Edge {
    /// Has a snapshot of a user, or of the mix, made.
    pub(super) fn snapshot(
        &self,
        room: &str,
        user: Option<&str>,
        reply: SnapshotReply,
    ) -> Result<(), EdgeError> {
        let source = match user {
            Some(user) => Some(self.signalling.publication(room, user)?),
            None => {
                self.must_be_there(room)?;
                None
            }
        };
        Ok(self.mixes.snapshot(room, source, reply)?)
    }

    /// Where a user's stream is sent on to.
    pub(super) fn forwards(&self, room: &str, user: &str) -> Result<Vec<ForwardView>, ForwardError> {
        self.must_participate(room, user)?;
        Ok(self.mixes.forwards(room, user))
    }

    pub(super) fn add_forward(
        &mut self,
        room: &str,
        user: &str,
        forward: &NewForward,
    ) -> Result<ForwardView, ForwardError> {
        self.must_participate(room, user)?;
        self.mixes.add_forward(room, user, forward)
    }

    pub(super) fn remove_forward(
        &mut self,
        room: &str,
        user: &str,
        id: ForwardId,
    ) -> Result<(), ForwardError> {
        // Also of a user who is not there: it could come back.
        self.mixes.remove_forward(room, user, id)
    }

    /// The SDP file of a forward.
    pub(super) fn describe_forward(
        &self,
        room: &str,
        user: &str,
        id: ForwardId,
    ) -> Result<String, ForwardError> {
        let source = self.signalling.publication(room, user)?;
        let forward = self.mixes.find_forward(room, user, id)?;
        let host = self.mixes.host(room, source);
        host.and_then(|host| forwards::describe(room, host, forward))
            .ok_or_else(|| ForwardError::NothingToSend(user.to_owned()))
    }

    /// Whether it publishes does not matter: it may begin to.
    fn must_participate(&self, room: &str, user: &str) -> Result<(), RoomError> {
        match self.signalling.publication(room, user) {
            Ok(_) | Err(RoomError::NotStreaming { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
