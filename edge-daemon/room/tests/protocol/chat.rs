//! `sendMessage`, both ways.

use crate::edge::{Edge, notification};
use serde_json::{Value, json};

fn says(user: &str, room: &str, message: &str) -> Value {
    json!({ "userMessage": user, "roomMessage": room, "message": message })
}

#[test]
fn everybody_in_the_room_hears_it_the_sender_too_after_its_answer() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.joined("coffee", "dave");
    edge.quiet();
    let call = json!({ "jsonrpc": "2.0", "method": "sendMessage", "params": says("alice", "tea", "hi, 连麦"), "id": 4 });
    edge.send(alice, &call);
    let heard = notification(
        "sendMessage",
        json!({ "room": "tea", "user": "alice", "message": "hi, 连麦" }),
    );
    let answer = json!({ "id": 4, "result": { "sessionId": "S" }, "jsonrpc": "2.0" });
    assert_eq!(
        edge.all_hear(),
        [(alice, answer), (alice, heard.clone()), (bob, heard)]
    );
}

#[test]
fn nobody_speaks_for_another_or_into_another_room() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    assert_eq!(
        edge.ask(alice, "sendMessage", says("bob", "tea", "x"))
            .unwrap_err()
            .0,
        102
    );
    assert_eq!(
        edge.ask(alice, "sendMessage", says("alice", "coffee", "x"))
            .unwrap_err()
            .0,
        202
    );
    let nobody = edge.connect();
    assert_eq!(
        edge.ask(nobody, "sendMessage", says("alice", "tea", "x"))
            .unwrap_err()
            .0,
        102
    );
    assert!(edge.hears(bob).is_empty());
}

#[test]
fn all_parameters_are_required() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    for element in ["userMessage", "roomMessage", "message"] {
        let mut params = says("alice", "tea", "x");
        params.as_object_mut().unwrap().remove(element);
        let refusal = edge.ask(alice, "sendMessage", params).unwrap_err();
        assert_eq!(refusal, (-1, format!("Request element '{element}' is missing")));
    }
}
