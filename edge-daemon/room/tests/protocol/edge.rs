//! An edge without a network: clients say texts and hear texts, and time moves by hand.

use crate::media::Media;
use lianmai_room::{ConnectionId, EndpointLoss, Limits, Output, Signalling};
use lianmai_webrtc::EndpointId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The machine, its media side, and what came out and was not looked at yet.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) machine: Signalling,
    pub(crate) media: Media,
    pub(crate) now: Instant,
    pub(crate) closed: BTreeSet<ConnectionId>,
    /// Outputs other than texts and closings.
    events: Vec<Output>,
    /// All texts in order.
    heard: Vec<(ConnectionId, Value)>,
    sessions: BTreeMap<ConnectionId, String>,
    next_id: i64,
}

/// An error response: its code and message.
pub(crate) type Refusal = (i64, String);

impl Edge {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self {
            machine: Signalling::new(limits, [42; 32]),
            media: Media::default(),
            now: Instant::now(),
            closed: BTreeSet::new(),
            events: Vec::new(),
            heard: Vec::new(),
            sessions: BTreeMap::new(),
            next_id: 1000,
        }
    }

    /// Another process goes on from what this one wrote down. Nobody's socket is left.
    pub(crate) fn restart(&mut self, limits: Limits) {
        let bytes = postcard::to_stdvec(&self.machine.save(self.now)).expect("plain data");
        let saved = postcard::from_bytes(&bytes).expect("what was written is read");
        self.machine = Signalling::restore(saved, self.now, limits, [43; 32]);
        self.collect();
    }

    pub(crate) fn connect(&mut self) -> ConnectionId {
        let connection = self.machine.connection_opened(self.now);
        self.collect();
        connection
    }

    /// A connection whose user has joined.
    pub(crate) fn joined(&mut self, room: &str, user: &str) -> ConnectionId {
        let connection = self.connect();
        self.join(connection, room, user).expect("the name is free");
        connection
    }

    pub(crate) fn join(
        &mut self,
        connection: ConnectionId,
        room: &str,
        user: &str,
    ) -> Result<Value, Refusal> {
        self.ask(connection, "joinRoom", json!({ "room": room, "user": user }))
    }

    pub(crate) fn publish(&mut self, connection: ConnectionId) -> Result<Value, Refusal> {
        self.ask(
            connection,
            "publishVideo",
            json!({ "sdpOffer": "offer", "doLoopback": false }),
        )
    }

    pub(crate) fn receive(&mut self, connection: ConnectionId, from: &str) -> Result<Value, Refusal> {
        let params = json!({ "sender": format!("{from}_webcam"), "sdpOffer": "offer" });
        self.ask(connection, "receiveVideoFrom", params)
    }

    pub(crate) fn say(&mut self, connection: ConnectionId, text: &str) {
        self.machine
            .connection_text(self.now, connection, text, &mut self.media);
        self.collect();
    }

    /// Says something that is no text but JSON.
    pub(crate) fn send(&mut self, connection: ConnectionId, message: &Value) {
        self.say(connection, &message.to_string());
    }

    /// One request; notifications that come meanwhile stay to be heard.
    #[expect(clippy::needless_pass_by_value, reason = "scripts write json! in place")]
    pub(crate) fn ask(
        &mut self,
        connection: ConnectionId,
        method: &str,
        params: Value,
    ) -> Result<Value, Refusal> {
        self.next_id += 1;
        let id = self.next_id;
        self.send(
            connection,
            &json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id }),
        );
        let found = self
            .heard
            .iter()
            .position(|(to, message)| *to == connection && message["id"] == id);
        let (_, mut response) = self.heard.remove(found.expect("every request is answered"));
        match response.get("error") {
            Some(error) => Err((
                error["code"].as_i64().unwrap(),
                error["message"].as_str().unwrap().to_owned(),
            )),
            None => Ok(response["result"].take()),
        }
    }

    pub(crate) fn drop_socket(&mut self, connection: ConnectionId) {
        self.machine.connection_closed(self.now, connection);
        self.collect();
    }

    /// Lets time pass, waking the machine whenever it asks for it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.machine.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.machine.handle_timeout(self.now, &mut self.media);
        }
        self.now = end;
        self.collect();
    }

    pub(crate) fn lose(&mut self, endpoint: u64, loss: EndpointLoss) {
        self.machine
            .endpoint_lost(EndpointId(endpoint), loss, &mut self.media);
        self.collect();
    }

    /// What a client heard since the last look. Its session id reads `S`.
    pub(crate) fn hears(&mut self, connection: ConnectionId) -> Vec<Value> {
        let heard = std::mem::take(&mut self.heard);
        let (own, others) = heard.into_iter().partition(|(to, _)| *to == connection);
        self.heard = others;
        own.into_iter().map(|(_, message)| message).collect()
    }

    /// Everything that anybody heard since the last look, in order.
    pub(crate) fn all_hear(&mut self) -> Vec<(ConnectionId, Value)> {
        std::mem::take(&mut self.heard)
    }

    /// Forgets what was said so far.
    pub(crate) fn quiet(&mut self) {
        self.heard.clear();
        self.events.clear();
        self.media.asked.clear();
    }

    pub(crate) fn events(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.events)
    }

    /// The id that this connection was last told.
    pub(crate) fn session(&self, connection: ConnectionId) -> String {
        self.sessions[&connection].clone()
    }

    pub(crate) fn collect(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Text { connection, text } => self.hear(connection, &text),
                Output::Close { connection } => {
                    assert!(self.closed.insert(connection), "{connection} is closed twice");
                }
                event => self.events.push(event),
            }
        }
    }

    fn hear(&mut self, connection: ConnectionId, text: &str) {
        assert!(
            !self.closed.contains(&connection),
            "{connection} is closed, and hears {text}"
        );
        let mut message: Value = serde_json::from_str(text).expect("texts are JSON");
        for part in ["result", "error"] {
            let Some(id) = message.get_mut(part).and_then(|part| part.get_mut("sessionId")) else {
                continue;
            };
            self.sessions
                .insert(connection, id.as_str().expect("session ids are texts").to_owned());
            *id = json!("S");
        }
        self.heard.push((connection, message));
    }
}

/// A notification as it stands on the wire.
#[expect(clippy::needless_pass_by_value, reason = "scripts write json! in place")]
pub(crate) fn notification(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}
