//! What happens at the bounds.

use crate::edge::Edge;
use lianmai_room::Limits;
use serde_json::json;
use std::time::Duration;

#[test]
fn one_room_too_many_is_error_204() {
    let mut edge = Edge::with(Limits {
        rooms: 1,
        ..Limits::default()
    });
    edge.joined("tea", "alice");
    let bob = edge.connect();
    assert_eq!(edge.join(bob, "coffee", "bob").unwrap_err().0, 204);
    assert_eq!(edge.machine.counters().rooms_refused, 1);
    assert!(edge.join(bob, "tea", "bob").is_ok());
}

#[test]
fn one_participant_too_many_is_error_201() {
    let mut edge = Edge::with(Limits {
        participants_per_room: 2,
        ..Limits::default()
    });
    edge.joined("tea", "alice");
    edge.joined("tea", "bob");
    let carol = edge.connect();
    assert_eq!(edge.join(carol, "tea", "carol").unwrap_err().0, 201);
    assert_eq!(edge.machine.counters().participants_refused, 1);
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let mut edge = Edge::with(Limits {
        connections: 1,
        ..Limits::default()
    });
    let first = edge.connect();
    let second = edge.connect();
    assert_eq!(edge.closed, [second].into());
    edge.drop_socket(first);
    let third = edge.connect();
    assert!(!edge.closed.contains(&third));
    assert_eq!(edge.machine.counters().connections_refused, 1);
}

#[test]
fn sessions_that_wait_for_a_reconnection_count_too() {
    let mut edge = Edge::with(Limits {
        sessions: 2,
        ..Limits::default()
    });
    for user in ["alice", "bob"] {
        let client = edge.joined("tea", user);
        edge.drop_socket(client);
    }
    let late = edge.connect();
    assert!(edge.closed.contains(&late));
    edge.pass(Duration::from_secs(10));
    let later = edge.connect();
    assert!(!edge.closed.contains(&later));
}

#[test]
fn a_text_too_long_is_refused_unread_and_length_counts_characters_not_bytes() {
    let mut edge = Edge::with(Limits {
        text_units: 200,
        ..Limits::default()
    });
    let alice = edge.connect();
    edge.say(
        alice,
        &format!(r#"{{"method":"ping","id":1,"x":"{}"}}"#, "x".repeat(200)),
    );
    assert_eq!(edge.hears(alice)[0]["error"]["code"], -32600);
    assert_eq!(edge.machine.counters().texts_too_long, 1);
    edge.say(
        alice,
        &format!(r#"{{"method":"ping","id":1,"x":"{}"}}"#, "麦".repeat(160)),
    );
    assert_eq!(edge.hears(alice)[0]["result"]["value"], "pong");
}

#[test]
fn a_chat_message_too_long_is_error_101_and_nobody_hears_it() {
    let mut edge = Edge::with(Limits {
        chat_bytes: 5,
        ..Limits::default()
    });
    let alice = edge.joined("tea", "alice");
    let chat = |message: &str| json!({ "userMessage": "alice", "roomMessage": "tea", "message": message });
    assert_eq!(edge.ask(alice, "sendMessage", chat("123456")).unwrap_err().0, 101);
    assert!(edge.hears(alice).is_empty());
    assert_eq!(edge.machine.counters().chats_too_long, 1);
    assert!(edge.ask(alice, "sendMessage", chat("12345")).is_ok());
}

#[test]
fn a_flood_of_requests_is_refused_and_the_same_request_succeeds_later() {
    let limits = Limits {
        request_burst: 3,
        requests_per_second: 1,
        ..Limits::default()
    };
    let mut edge = Edge::with(limits);
    let alice = edge.connect();
    for _ in 0..3 {
        edge.ask(alice, "ping", json!(null)).unwrap();
    }
    let join = json!({ "jsonrpc": "2.0", "method": "joinRoom", "params": { "user": "alice", "room": "tea" }, "id": 1 });
    edge.send(alice, &join);
    assert_eq!(edge.hears(alice)[0]["error"]["code"], -32000);
    edge.pass(Duration::from_secs(1));
    edge.send(alice, &join);
    assert!(
        edge.hears(alice)[0].get("result").is_some(),
        "the refusal is not replayed"
    );
    assert_eq!(edge.machine.counters().rate_limited, 1);
}
