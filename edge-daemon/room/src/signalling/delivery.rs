//! How texts reach a session, or wait for it.

use super::Signalling;
use crate::ids::SessionId;
use crate::kurento::notifications::{Notification, WhenDetached};
use crate::kurento::replies::Fingerprint;
use crate::kurento::rpc::{self, Call, Failure, Members};
use crate::kurento::session::Link;
use crate::names::{RoomName, UserName};
use crate::output::Output;
use crate::rooms::Owner;
use serde_json::Value;

/// Proof that a request got its one response: only [`Signalling::answer`] makes it.
#[derive(Debug)]
#[must_use]
pub(super) struct Answered(());

impl Signalling {
    /// The response of a room request. It is kept, in case the client sends the request again.
    pub(super) fn answer(&mut self, session: SessionId, call: &Call, members: Members) -> Answered {
        if let Some(id) = &call.id {
            let text = rpc::result(id, members, Some(session));
            self.reply(session, call, text);
        }
        Answered(())
    }

    /// The error response of a room request.
    pub(super) fn answer_error(&mut self, session: SessionId, call: &Call, failure: &Failure) {
        let Some(id) = &call.id else { return };
        self.counters.errors += 1;
        let text = rpc::error(Some(id), failure, session);
        self.reply(session, call, text);
    }

    fn reply(&mut self, id: SessionId, call: &Call, text: String) {
        let limit = self.limits.cached_replies;
        self.introduced(id);
        if let (Some(session), Some(call_id)) = (self.sessions.get_mut(id), &call.id) {
            session
                .replies
                .keep(call_id.clone(), Fingerprint::of(call), text.clone(), limit);
        }
        self.respond(id, text);
    }

    /// The response of a request that may be executed again.
    pub(super) fn answer_layer(&mut self, session: SessionId, call: &Call, value: Value, introduce: bool) {
        let Some(id) = &call.id else { return };
        let members = Members::from_iter([("value".to_owned(), value)]);
        if introduce {
            self.introduced(session);
        }
        let text = rpc::result(id, members, introduce.then_some(session));
        self.respond(session, text);
    }

    /// The error response of a request that was not executed; sent again, it may be.
    pub(super) fn refuse_call(&mut self, session: SessionId, call: &Call, failure: &Failure) {
        if call.id.is_some() {
            self.refuse(session, call.id.as_ref(), failure);
        }
    }

    /// The error response of a text whose id may be unknown.
    pub(super) fn refuse(&mut self, session: SessionId, call_id: Option<&Value>, failure: &Failure) {
        self.counters.errors += 1;
        self.introduced(session);
        let text = rpc::error(call_id, failure, session);
        self.respond(session, text);
    }

    /// Sends a response; a request came through a socket, so there is one.
    pub(super) fn respond(&mut self, id: SessionId, text: String) {
        self.counters.requests += 1;
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if let Link::Attached { connection, .. } = session.link {
            self.outputs.push_back(Output::Text { connection, text });
        }
    }

    fn introduced(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.introduced = true;
        }
    }

    /// Tells one session.
    pub(super) fn notify(&mut self, session: SessionId, notification: &Notification<'_>) {
        self.deliver(session, notification.text(), notification.when_detached());
    }

    /// Tells all kurento clients of a room but one.
    pub(super) fn broadcast(
        &mut self,
        room: &RoomName,
        except: Option<&UserName>,
        notification: &Notification<'_>,
    ) {
        let text = notification.text();
        for session in self.audience(room, except) {
            self.deliver(session, text.clone(), notification.when_detached());
        }
    }

    /// The sessions of a room's participants.
    pub(super) fn audience(&self, room: &RoomName, except: Option<&UserName>) -> Vec<SessionId> {
        let participants = self
            .rooms
            .get(room)
            .into_iter()
            .flat_map(|room| &room.participants);
        let others = participants.filter(|(user, _)| Some(*user) != except);
        let sessions = others.filter_map(|(_, participant)| match participant.owner {
            Owner::Session(session) => Some(session),
            Owner::Whip(_) => None,
        });
        sessions.collect()
    }

    fn deliver(&mut self, id: SessionId, text: String, when_detached: WhenDetached) {
        let limit = self.limits.backlog;
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let backlog = match &mut session.link {
            Link::Attached { connection, .. } => {
                self.counters.notifications += 1;
                let connection = *connection;
                return self.outputs.push_back(Output::Text { connection, text });
            }
            Link::Detached { backlog, .. } => backlog,
        };
        match when_detached {
            WhenDetached::Forget => {}
            WhenDetached::KeepSome if backlog.len() >= limit / 2 => self.counters.chats_missed += 1,
            WhenDetached::Keep if backlog.len() >= limit => self.give_up(id),
            WhenDetached::Keep | WhenDetached::KeepSome => {
                self.counters.notifications += 1;
                backlog.push(text);
            }
        }
    }
}
