//! The methods below the room API: pings, reconnection, the end of a session.

use super::Signalling;
use crate::ids::SessionId;
use crate::kurento::params::Params;
use crate::kurento::rpc::{Call, Failure, RECONNECTION_ERROR};
use crate::kurento::session::{Link, Member, Watchdog};
use crate::negotiator::Negotiator;
use crate::output::Output;
use serde_json::{Value, json};
use std::time::Instant;

impl Signalling {
    /// Handles a call of this layer; gives back any other.
    pub(super) fn layer_call(
        &mut self,
        now: Instant,
        session: SessionId,
        call: Call,
        negotiator: &mut dyn Negotiator,
    ) -> Option<Call> {
        match call.method.as_str() {
            "ping" => self.ping(now, session, &call),
            "connect" => self.connect(now, session, &call),
            "closeSession" => self.close_session(session, &call, negotiator),
            // Long polling asks for what it missed; a WebSocket misses nothing.
            "poll" => self.answer_layer(session, &call, json!([]), true),
            _ => return Some(call),
        }
        None
    }

    /// The answer carries the session id only if the request does.
    fn ping(&mut self, now: Instant, id: SessionId, call: &Call) {
        let params = Params::new(&call.params).ok();
        let told = params.and_then(|params| params.milliseconds("interval"));
        if let Some(Link::Attached { connection, watchdog }) = self.sessions.get(id).map(|s| &s.link) {
            let watchdog = Some(Watchdog::pinged(now, *watchdog, told));
            let link = Link::Attached {
                connection: *connection,
                watchdog,
            };
            self.sessions.set_link(id, link);
        }
        let introduce = params
            .and_then(|params| params.optional_text("sessionId"))
            .is_some();
        self.answer_layer(id, call, json!("pong"), introduce);
    }

    /// A new client introduces itself, or an old one comes back through a new socket.
    fn connect(&mut self, now: Instant, current: SessionId, call: &Call) {
        let params = Params::new(&call.params).ok();
        let Some(wanted) = params.and_then(|params| params.optional_text("sessionId")) else {
            return self.answer_layer(current, call, json!("OK"), true);
        };
        let known = wanted.parse().ok().filter(|wanted| {
            self.sessions
                .get(*wanted)
                .is_some_and(|session| session.lives(now))
        });
        let Some(wanted) = known.filter(|wanted| self.may_become(current, *wanted)) else {
            return self.refuse_call(
                current,
                call,
                &Failure::new(RECONNECTION_ERROR, "reconnection error"),
            );
        };
        let missed = self.take_over(current, wanted);
        self.answer_layer(wanted, call, json!("reconnection successful"), true);
        self.resend(wanted, missed);
    }

    /// A session that is somebody cannot become somebody else.
    fn may_become(&self, current: SessionId, wanted: SessionId) -> bool {
        let member = self.sessions.get(current).map(|session| &session.member);
        current == wanted || member == Some(&Member::Nobody)
    }

    /// The wanted session gets the socket of the current one, and returns what it missed. If it has a socket still,
    /// that one is dead without our knowledge: whoever knows the id decides.
    fn take_over(&mut self, current: SessionId, wanted: SessionId) -> Vec<String> {
        if current == wanted {
            return Vec::new();
        }
        let Some(Link::Attached { connection, .. }) = self.sessions.remove(current).map(|s| s.link) else {
            return Vec::new();
        };
        self.counters.reattached += 1;
        match self.sessions.set_link(
            wanted,
            Link::Attached {
                connection,
                watchdog: None,
            },
        ) {
            Some(Link::Attached { connection, .. }) => {
                self.outputs.push_back(Output::Close { connection });
                Vec::new()
            }
            Some(Link::Detached { backlog, .. }) => backlog,
            None => Vec::new(),
        }
    }

    fn resend(&mut self, session: SessionId, missed: Vec<String>) {
        let Some(Link::Attached { connection, .. }) = self.sessions.get(session).map(|s| &s.link) else {
            return;
        };
        let connection = *connection;
        self.outputs
            .extend(missed.into_iter().map(|text| Output::Text { connection, text }));
    }

    fn close_session(&mut self, id: SessionId, call: &Call, negotiator: &mut dyn Negotiator) {
        self.answer_layer(id, call, Value::from("bye"), true);
        self.end_session(id, negotiator);
    }
}
