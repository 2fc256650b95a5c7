//! Requests that are sent again with the same id, as the iOS client does when an answer is late.

use crate::edge::Edge;
use lianmai_room::Limits;
use serde_json::{Value, json};

fn call(id: i64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id })
}

#[test]
fn a_repeated_request_is_answered_again_and_not_executed_again() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    let publish = call(
        5,
        "publishVideo",
        &json!({ "sdpOffer": "o", "doLoopback": false }),
    );
    for _ in 0..3 {
        edge.send(alice, &publish);
    }
    let heard = edge.hears(alice);
    assert_eq!(heard.len(), 3);
    assert!(
        heard
            .iter()
            .all(|answer| *answer == heard[0] && answer.get("result").is_some())
    );
    assert_eq!(edge.hears(bob).len(), 1);
    assert_eq!(edge.media.asked.len(), 1);
    assert_eq!(edge.machine.counters().replayed, 2);
}

#[test]
fn errors_are_repeated_too() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    let publish = call(
        5,
        "publishVideo",
        &json!({ "sdpOffer": "o", "doLoopback": false }),
    );
    edge.send(alice, &publish);
    edge.join(alice, "tea", "alice").unwrap();
    edge.send(alice, &publish);
    let heard = edge.hears(alice);
    assert_eq!(heard[0], heard[1]);
    assert!(edge.media.asked.is_empty());
}

#[test]
fn another_request_under_an_old_id_is_executed() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    edge.send(
        alice,
        &call(1, "joinRoom", &json!({ "user": "alice", "room": "tea" })),
    );
    edge.send(
        alice,
        &call(
            1,
            "publishVideo",
            &json!({ "sdpOffer": "o", "doLoopback": false }),
        ),
    );
    let heard = edge.hears(alice);
    assert_eq!(heard[1]["result"]["sdpAnswer"], "answer of 1 to o");
}

#[test]
fn a_reply_that_was_lost_with_the_socket_is_repeated_after_the_reconnection() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let publish = call(
        5,
        "publishVideo",
        &json!({ "sdpOffer": "o", "doLoopback": false }),
    );
    edge.send(alice, &publish);
    let answer = edge.hears(alice);
    let session = edge.session(alice);
    edge.drop_socket(alice);
    let again = edge.connect();
    edge.ask(again, "connect", json!({ "sessionId": session }))
        .unwrap();
    edge.send(again, &publish);
    assert_eq!(edge.hears(again), answer);
}

#[test]
fn sessions_do_not_share_replies() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.connect(), edge.connect());
    edge.send(
        alice,
        &call(1, "joinRoom", &json!({ "user": "alice", "room": "tea" })),
    );
    edge.send(
        bob,
        &call(1, "joinRoom", &json!({ "user": "alice", "room": "tea" })),
    );
    assert_eq!(edge.hears(bob)[0]["error"]["code"], 104);
}

#[test]
fn only_the_last_replies_are_kept() {
    let mut edge = Edge::with(Limits {
        cached_replies: 2,
        ..Limits::default()
    });
    let alice = edge.connect();
    let join = call(1, "joinRoom", &json!({ "user": "alice", "room": "tea" }));
    edge.send(alice, &join);
    edge.ask(alice, "unpublishVideo", json!({})).unwrap_err();
    edge.send(alice, &join);
    edge.ask(alice, "unpublishVideo", json!({})).unwrap_err();
    edge.ask(alice, "unpublishVideo", json!({})).unwrap_err();
    edge.send(alice, &join);
    let heard = edge.hears(alice);
    assert!(heard[0].get("result").is_some() && heard[1].get("result").is_some());
    assert_eq!(
        heard[2]["error"]["code"], 104,
        "the reply is forgotten and the request executed"
    );
}
