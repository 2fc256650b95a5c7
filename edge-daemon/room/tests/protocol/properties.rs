//! Whatever clients do, some things stay true.

use crate::edge::Edge;
use lianmai_room::{ConnectionId, EndpointLoss, Limits, RoomState, Via};
use proptest::prelude::{Just, Strategy, any, proptest};
use proptest::{collection, prop_oneof};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const USERS: [&str; 4] = ["ann", "bob_b", "cid", "dee"];
const ROOMS: [&str; 2] = ["tea", "coffee"];

/// One thing that happens; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Act {
    Open,
    Drop(usize),
    Reconnect(usize),
    Ask(usize, Question),
    Repeat(usize),
    Text(usize, String),
    Pass(u16),
    Lose(usize),
    Whip(usize, usize),
    Whep(usize, usize),
    Kick(usize, usize),
    Close(usize),
}

#[derive(Clone, Debug)]
enum Question {
    Join(usize, usize),
    Publish(bool),
    Unpublish,
    Receive(usize),
    Unsubscribe(usize),
    Candidate(usize),
    Chat(usize, usize),
    Leave,
    Ping,
    CloseSession,
    Custom,
}

impl Question {
    fn call(&self) -> (&'static str, Value) {
        let sender = |user: &usize| format!("{}_webcam", USERS[*user]);
        match self {
            Self::Join(room, user) => ("joinRoom", json!({ "room": ROOMS[*room], "user": USERS[*user] })),
            Self::Publish(good) => (
                "publishVideo",
                json!({ "sdpOffer": if *good { "o" } else { "bad" }, "doLoopback": false }),
            ),
            Self::Unpublish => ("unpublishVideo", Value::Null),
            Self::Receive(user) => (
                "receiveVideoFrom",
                json!({ "sender": sender(user), "sdpOffer": "o" }),
            ),
            Self::Unsubscribe(user) => ("unsubscribeFromVideo", json!({ "sender": sender(user) })),
            Self::Candidate(user) => {
                let params = json!({ "endpointName": USERS[*user], "candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0 });
                ("onIceCandidate", params)
            }
            Self::Chat(room, user) => {
                let params =
                    json!({ "roomMessage": ROOMS[*room], "userMessage": USERS[*user], "message": "m" });
                ("sendMessage", params)
            }
            Self::Leave => ("leaveRoom", json!({})),
            Self::Ping => ("ping", json!({ "interval": 1000 })),
            Self::CloseSession => ("closeSession", Value::Null),
            Self::Custom => ("customRequest", json!({})),
        }
    }
}

fn question() -> impl Strategy<Value = Question> {
    let (room, user) = (|| 0..ROOMS.len(), || 0..USERS.len());
    prop_oneof![
        6 => (room(), user()).prop_map(|(room, user)| Question::Join(room, user)),
        4 => prop_oneof![4 => Just(true), 1 => Just(false)].prop_map(Question::Publish),
        2 => Just(Question::Unpublish),
        6 => user().prop_map(Question::Receive),
        2 => user().prop_map(Question::Unsubscribe),
        2 => user().prop_map(Question::Candidate),
        2 => (room(), user()).prop_map(|(room, user)| Question::Chat(room, user)),
        1 => Just(Question::Leave),
        1 => Just(Question::Ping),
        1 => Just(Question::CloseSession),
        1 => Just(Question::Custom),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let (room, user) = (|| 0..ROOMS.len(), || 0..USERS.len());
    let client = || 0..6_usize;
    prop_oneof![
        6 => Just(Act::Open),
        2 => client().prop_map(Act::Drop),
        2 => client().prop_map(Act::Reconnect),
        40 => (client(), question()).prop_map(|(client, question)| Act::Ask(client, question)),
        3 => client().prop_map(Act::Repeat),
        2 => (client(), any::<String>()).prop_map(|(client, text)| Act::Text(client, text)),
        3 => (0..12_000_u16).prop_map(Act::Pass),
        2 => (0..12_usize).prop_map(Act::Lose),
        2 => (room(), user()).prop_map(|(room, user)| Act::Whip(room, user)),
        2 => (room(), user()).prop_map(|(room, user)| Act::Whep(room, user)),
        1 => (room(), user()).prop_map(|(room, user)| Act::Kick(room, user)),
        1 => room().prop_map(Act::Close),
    ]
}

/// The edge, and what an observer outside believes about it.
struct World {
    edge: Edge,
    open: Vec<ConnectionId>,
    last: BTreeMap<ConnectionId, Value>,
    /// Who each connection is, from the answers that it got.
    member: BTreeMap<ConnectionId, (String, String)>,
    /// Connections that took over a session.
    late: BTreeSet<ConnectionId>,
    next_id: u64,
    limits: Limits,
    /// In the order of their opening, to compare two worlds.
    connections: Vec<ConnectionId>,
    /// What was heard by whom, as far as it is the same in two worlds.
    log: Vec<(usize, Value)>,
}

impl World {
    fn new() -> Self {
        Self::with(Limits {
            backlog: 4,
            buffered_candidates: 3,
            participants_per_room: 3,
            ..Limits::default()
        })
    }

    fn with(limits: Limits) -> Self {
        Self {
            edge: Edge::with(limits.clone()),
            limits,
            connections: Vec::new(),
            log: Vec::new(),
            open: Vec::new(),
            last: BTreeMap::new(),
            member: BTreeMap::new(),
            late: BTreeSet::new(),
            next_id: 0,
        }
    }

    fn client(&self, number: usize) -> Option<ConnectionId> {
        self.open.get(number.checked_rem(self.open.len())?).copied()
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Open => {
                self.connect();
            }
            Act::Drop(n) => {
                if let Some(client) = self.client(*n) {
                    self.open.retain(|open| *open != client);
                    self.edge.drop_socket(client);
                }
            }
            Act::Reconnect(n) => self.reconnect(*n),
            Act::Ask(n, question) => {
                self.next_id += 1;
                let (method, params) = question.call();
                let request =
                    json!({ "jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params });
                self.send(*n, &request, false);
            }
            Act::Repeat(n) => {
                let again = self.client(*n).and_then(|client| self.last.get(&client).cloned());
                if let Some(again) = again {
                    self.send(*n, &again, true);
                }
            }
            Act::Text(n, text) => {
                if let Some(client) = self.client(*n) {
                    self.edge.say(client, text);
                    assert_eq!(self.hear().len(), 1, "a text that is no request gets one error");
                }
            }
            Act::Pass(milliseconds) => self.edge.pass(Duration::from_millis((*milliseconds).into())),
            Act::Lose(nth) => {
                let endpoint = self.edge.media.open().get(*nth).copied().unwrap_or(u64::MAX);
                self.edge.lose(endpoint, EndpointLoss::ConsentExpired);
            }
            Act::Whip(room, user) => {
                let edge = &mut self.edge;
                let _ = edge
                    .machine
                    .whip_publish(edge.now, ROOMS[*room], USERS[*user], "o", &mut edge.media);
            }
            Act::Whep(room, user) => {
                let edge = &mut self.edge;
                let _ =
                    edge.machine
                        .whep_subscribe(edge.now, ROOMS[*room], USERS[*user], "o", &mut edge.media);
            }
            Act::Kick(room, user) => {
                let _ = self
                    .edge
                    .machine
                    .kick(ROOMS[*room], USERS[*user], &mut self.edge.media);
            }
            Act::Close(room) => {
                let _ = self.edge.machine.close_room(ROOMS[*room], &mut self.edge.media);
            }
        }
        self.edge.collect();
        self.hear();
        self.check();
    }

    /// Sends a request, which must get exactly one answer.
    fn send(&mut self, n: usize, request: &Value, repeated: bool) {
        let Some(client) = self.client(n) else { return };
        self.last.insert(client, request.clone());
        self.edge.send(client, request);
        let answers = self
            .hear()
            .into_iter()
            .filter(|(to, message)| *to == client && message["id"] == request["id"]);
        let answers: Vec<_> = answers.collect();
        assert_eq!(answers.len(), 1, "{request} got {answers:?}");
        if !repeated && request["method"] == "joinRoom" && answers[0].1.get("result").is_some() {
            let text = |name: &str| request["params"][name].as_str().unwrap().to_owned();
            self.member.insert(client, (text("room"), text("user")));
        }
    }

    /// A new socket asks for the session of a client that joined once, dropped or not.
    fn reconnect(&mut self, n: usize) {
        let Some(client) = self.member.keys().nth(n % self.member.len().max(1)).copied() else {
            return;
        };
        self.come_back(client);
    }

    fn connect(&mut self) -> ConnectionId {
        let connection = self.edge.connect();
        self.open.push(connection);
        self.connections.push(connection);
        connection
    }

    fn come_back(&mut self, client: ConnectionId) {
        let session = self.edge.session(client);
        let again = self.connect();
        let identity = self.member.remove(&client).unwrap();
        if self
            .edge
            .ask(again, "connect", json!({ "sessionId": session }))
            .is_ok()
        {
            self.member.insert(again, identity);
            self.late.insert(again);
        }
    }

    /// Every socket breaks, with the process or without it, and every client comes back.
    fn interrupt(&mut self, restart: bool) {
        let open = std::mem::take(&mut self.open);
        if restart {
            self.edge.restart(self.limits.clone());
        } else {
            open.into_iter().for_each(|client| self.edge.drop_socket(client));
        }
        for client in self.member.keys().copied().collect::<Vec<_>>() {
            self.come_back(client);
        }
        self.hear();
        self.check();
    }

    /// Answers hold numbers of endpoints, which are never used again.
    fn note(&mut self, to: ConnectionId, message: &Value) {
        let mut message = message.clone();
        if let Some(answer) = message["result"].get_mut("sdpAnswer") {
            *answer = json!(answer != "");
        }
        let nth = self.connections.iter().position(|connection| *connection == to);
        self.log.push((nth.expect("it was opened"), message));
    }

    /// The rooms, without numbers of endpoints and ids.
    fn picture(&self) -> Vec<Value> {
        let rooms = self.edge.machine.rooms();
        let picture = |room: RoomState| {
            let participants = room.participants.iter().map(|p| {
                let receives: Vec<_> = p.subscriptions.iter().map(|s| s.from.clone()).collect();
                json!([p.name, p.publication.is_some(), receives, format!("{:?}", p.via)])
            });
            let mut viewers: Vec<_> = room.viewers.iter().map(|viewer| viewer.from.clone()).collect();
            viewers.sort();
            json!([room.name, participants.collect::<Vec<_>>(), viewers])
        };
        rooms.map(picture).collect()
    }

    /// Takes what was heard; notifications must have gone to members of the room, and to open connections.
    fn hear(&mut self) -> Vec<(ConnectionId, Value)> {
        let heard = self.edge.all_hear();
        for (to, message) in &heard {
            self.note(*to, message);
            if let Some(method) = message["method"].as_str() {
                let known = self.member.get(to);
                assert!(known.is_some(), "{to} is in no room and hears {message}");
                let room = &message["params"]["room"];
                assert!(
                    method != "sendMessage" || *room == known.unwrap().0,
                    "{to} hears {message}"
                );
                assert!(
                    method != "participantJoined" || self.same_room(*to, message),
                    "{to} hears {message}"
                );
                if method == "participantEvicted" {
                    self.member.remove(to);
                }
            }
        }
        self.open.retain(|open| !self.edge.closed.contains(open));
        heard
    }

    /// Whether who joined is in the room of who hears it. What was kept for a reconnection may be out of date.
    fn same_room(&self, to: ConnectionId, joined: &Value) -> bool {
        let room = &self.member[&to].0;
        let shown = self.edge.machine.rooms().find(|shown| shown.name == *room);
        let present =
            shown.is_some_and(|room| room.participants.iter().any(|p| joined["params"]["id"] == p.name));
        present || self.late.contains(&to)
    }

    /// The view from outside is consistent with itself and with the media side.
    fn check(&self) {
        let rooms: Vec<_> = self.edge.machine.rooms().collect();
        let mut endpoints = BTreeSet::new();
        for room in &rooms {
            assert!(!room.participants.is_empty(), "an empty room stays");
            assert!(room.participants.len() <= 3);
            let publishes = |name: &str| {
                room.participants
                    .iter()
                    .any(|p| p.name == name && p.publication.is_some())
            };
            for participant in &room.participants {
                endpoints.extend(participant.publication.map(|endpoint| endpoint.0));
                for subscription in &participant.subscriptions {
                    assert!(publishes(&subscription.from), "{subscription:?} hangs in the air");
                    assert_ne!(subscription.from, participant.name);
                    assert!(endpoints.insert(subscription.endpoint.0));
                }
            }
            for viewer in &room.viewers {
                assert!(publishes(&viewer.from), "{viewer:?} hangs in the air");
                assert!(endpoints.insert(viewer.endpoint.0));
            }
        }
        assert_eq!(endpoints.into_iter().collect::<Vec<_>>(), self.edge.media.open());
        self.check_members(&rooms);
    }

    /// When all windows are over, whoever came over a WebSocket has one.
    fn check_nobody_is_left_behind(&self) {
        let rooms: Vec<_> = self.edge.machine.rooms().collect();
        let present = rooms
            .iter()
            .flat_map(|room| room.participants.iter().filter(|p| p.via == Via::Kurento));
        let believed = self
            .open
            .iter()
            .filter(|client| self.member.contains_key(client))
            .count();
        assert_eq!(present.count(), believed);
    }

    /// Every client with a socket is where it believes to be, and no two are the same participant.
    fn check_members(&self, rooms: &[RoomState]) {
        let mut seen = BTreeSet::new();
        for (name, user) in self.open.iter().filter_map(|client| self.member.get(client)) {
            let room = rooms
                .iter()
                .find(|room| room.name == *name)
                .expect("a room with members is open");
            assert!(
                room.participants
                    .iter()
                    .any(|p| p.name == *user && p.via == Via::Kurento),
                "{user} is lost"
            );
            assert!(seen.insert((name, user)), "{user} is twice in {name}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_clients_do_the_rooms_stay_sound(acts in collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
        world.act(&Act::Pass(60_000));
        world.check_nobody_is_left_behind();
        world.edge.machine.shutdown(&mut world.edge.media);
        world.edge.collect();
        assert!(world.edge.media.open().is_empty());
        assert_eq!(world.edge.machine.next_timeout(), None);
    }

    #[test]
    fn a_machine_that_is_restored_goes_on_as_one_whose_sockets_broke(
        before in collection::vec(act(), 1..60),
        after in collection::vec(act(), 1..30),
    ) {
        let [interrupted, restarted] = [false, true].map(|restart| {
            // Candidates that came too early are not written down, so their limit must not be met.
            let mut world = World::with(Limits { backlog: 4, participants_per_room: 3, ..Limits::default() });
            before.iter().for_each(|act| world.act(act));
            world.interrupt(restart);
            after.iter().for_each(|act| world.act(act));
            world.act(&Act::Pass(60_000));
            world.check_nobody_is_left_behind();
            world
        });
        assert_eq!(interrupted.log, restarted.log);
        assert_eq!(interrupted.picture(), restarted.picture());
    }

    #[test]
    fn no_text_panics_and_no_object_does_either(method in ".*", key in ".*", value in ".*", text in ".*") {
        let mut edge = Edge::new();
        let alice = edge.joined("tea", "alice");
        edge.say(alice, &text);
        edge.send(alice, &json!({ "id": 1, "method": method, "params": { key: value } }));
        edge.send(alice, &json!({ "id": text, "method": "joinRoom", "params": value }));
        edge.send(alice, &json!({ "id": 2, "method": "ping", "params": { "interval": value, "sessionId": text } }));
    }
}
