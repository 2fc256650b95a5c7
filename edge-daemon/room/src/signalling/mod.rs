//! The machine: connections, requests, WHIP sessions and time in; texts, events and negotiations out.

mod admin;
mod delivery;
mod departures;
mod handover;
mod layer;
mod members;
mod resources;
mod scenes;
mod speaking;
mod streams;
mod timers;
mod volume;

use crate::ids::{ConnectionId, IdSource, ResourceId, SessionId};
use crate::kurento::rpc::{self, Call, Failure, Incoming};
use crate::kurento::session::{Link, Member, Session};
use crate::kurento::sessions::Sessions;
use crate::limits::{Counters, Limits};
use crate::negotiator::Negotiator;
use crate::output::Output;
use crate::rooms::Rooms;
use crate::scenes::SceneRules;

pub(crate) use resources::Resource;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Rooms and sessions of one edge.
///
/// After every call take all of [`Signalling::poll_output`]: what one call puts there is bounded, what many put there is not.
#[derive(Debug)]
pub struct Signalling {
    limits: Limits,
    ids: IdSource,
    counters: Counters,
    rooms: Rooms,
    sessions: Sessions,
    resources: BTreeMap<ResourceId, Resource>,
    outputs: VecDeque<Output>,
    shutting_down: bool,
    revision: u64,
    scene_rules: SceneRules,
}

impl Signalling {
    /// Without rooms. The seed must be random and secret: session ids and the URLs of WHIP sessions come from it.
    #[must_use]
    pub fn new(limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            limits,
            ids: IdSource::new(seed),
            counters: Counters::default(),
            rooms: Rooms::default(),
            sessions: Sessions::default(),
            resources: BTreeMap::new(),
            outputs: VecDeque::new(),
            shutting_down: false,
            revision: 0,
            scene_rules: SceneRules::default(),
        }
    }

    /// A WebSocket opened. Over the limit of connections the first output is its [`Output::Close`].
    pub fn connection_opened(&mut self, now: Instant) -> ConnectionId {
        let connection = self.ids.connection();
        let full = self.sessions.connections() >= self.limits.connections
            || self.sessions.len() >= self.limits.sessions;
        if full || self.shutting_down {
            self.counters.connections_refused += 1;
            self.outputs.push_back(Output::Close { connection });
            return connection;
        }
        let id = self.ids.session();
        self.sessions
            .insert(Session::new(now, id, connection, &self.limits));
        connection
    }

    /// A text frame came. Frames of a connection that was told to close are ignored.
    pub fn connection_text(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        text: &str,
        negotiator: &mut dyn Negotiator,
    ) {
        let Some(id) = self.sessions.by_connection(connection) else {
            return;
        };
        let limit = self.limits.text_units;
        if text.len() > limit && text.encode_utf16().count() > limit {
            self.counters.texts_too_long += 1;
            let why = format!("A message has at most {limit} characters");
            return self.refuse(id, None, &Failure::new(rpc::INVALID_REQUEST, why));
        }
        match rpc::parse(text) {
            Ok(Incoming::Call(call)) => self.call(now, id, call, negotiator),
            Ok(Incoming::Response) => {}
            Err((call_id, failure)) => {
                self.counters.malformed += 1;
                self.refuse(id, call_id.as_ref(), &failure);
            }
        }
    }

    fn call(&mut self, now: Instant, id: SessionId, call: Call, negotiator: &mut dyn Negotiator) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if !session.pace.admit(now) {
            self.counters.rate_limited += 1;
            let failure = Failure::new(rpc::SERVER_ERROR, "Too many requests, send fewer a second");
            return self.refuse_call(id, &call, &failure);
        }
        // Pings come all the time, and change nothing that is written down.
        if call.method != "ping" {
            session.asked = now;
            self.touch();
        }
        let Some(call) = self.layer_call(now, id, call, negotiator) else {
            return;
        };
        self.room_call(now, id, &call, negotiator);
    }

    /// The WebSocket is gone, for whatever reason. Its participant stays for the reconnection window.
    pub fn connection_closed(&mut self, now: Instant, connection: ConnectionId) {
        let Some(id) = self.sessions.by_connection(connection) else {
            return;
        };
        self.touch();
        self.detach(now, id);
    }

    /// Takes the session's socket away. A client that never learned its session id cannot come back with it; if it joined
    /// a room without asking for an answer, it leaves when its window is over.
    fn detach(&mut self, now: Instant, id: SessionId) {
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        if !session.introduced && session.member == Member::Nobody {
            self.sessions.remove(id);
            return;
        }
        let until = now + self.limits.reconnection_window;
        self.sessions.set_link(
            id,
            Link::Detached {
                until,
                backlog: Vec::new(),
            },
        );
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Another number than before when [`Signalling::save`] has something new.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    fn touch(&mut self) {
        self.revision += 1;
    }

    /// Totals since the start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}
