//! `connect`, and the ten seconds in which a participant outlives its socket.

use crate::edge::{Edge, notification};
use lianmai_room::{ConnectionId, Limits};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LOST: (i64, &str) = (40007, "reconnection error");

/// Alice and Bob are in one room; the id of Alice's session.
fn two() -> (Edge, ConnectionId, ConnectionId, String) {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    let session = edge.session(alice);
    (edge, alice, bob, session)
}

#[test]
fn a_new_client_is_told_its_session_id() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    for params in [json!(null), json!({})] {
        assert_eq!(
            edge.ask(alice, "connect", params).unwrap(),
            json!({ "value": "OK", "sessionId": "S" })
        );
    }
}

#[test]
fn within_the_window_a_client_comes_back_and_nobody_notices() {
    let (mut edge, alice, bob, session) = two();
    edge.drop_socket(alice);
    edge.pass(9 * SECOND);
    let again = edge.connect();
    let answer = edge
        .ask(again, "connect", json!({ "sessionId": session }))
        .unwrap();
    assert_eq!(
        answer,
        json!({ "value": "reconnection successful", "sessionId": "S" })
    );
    assert_eq!(edge.session(again), session);
    edge.pass(60 * SECOND);
    assert!(edge.hears(bob).is_empty());
    assert!(edge.publish(again).is_ok(), "it is the participant that it was");
    assert_eq!(edge.machine.counters().reattached, 1);
}

#[test]
fn after_the_window_the_participant_is_gone_and_its_id_unknown() {
    let (mut edge, alice, bob, session) = two();
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    edge.drop_socket(alice);
    edge.pass(10 * SECOND);
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
    assert!(edge.media.open().is_empty());
    let again = edge.connect();
    let refusal = edge
        .ask(again, "connect", json!({ "sessionId": session }))
        .unwrap_err();
    assert_eq!((refusal.0, refusal.1.as_str()), LOST);
    assert!(edge.join(again, "tea", "alice").is_ok(), "it may join anew");
}

#[test]
fn what_was_missed_follows_the_answer_in_order() {
    let (mut edge, alice, bob, session) = two();
    edge.drop_socket(alice);
    edge.publish(bob).unwrap();
    edge.ask(
        bob,
        "sendMessage",
        json!({ "userMessage": "bob", "roomMessage": "tea", "message": "?" }),
    )
    .unwrap();
    edge.ask(bob, "leaveRoom", json!({})).unwrap();
    edge.quiet();
    let again = edge.connect();
    edge.send(
        again,
        &json!({ "jsonrpc": "2.0", "method": "connect", "params": { "sessionId": session }, "id": 1 }),
    );
    let heard = edge.hears(again);
    assert_eq!(heard[0]["id"], json!(1));
    let methods: Vec<_> = heard[1..]
        .iter()
        .map(|message| message["method"].as_str().unwrap())
        .collect();
    assert_eq!(
        methods,
        ["participantPublished", "sendMessage", "participantLeft"]
    );
}

#[test]
fn a_name_is_taken_until_the_window_is_over() {
    let (mut edge, alice, ..) = two();
    edge.drop_socket(alice);
    let again = edge.connect();
    assert_eq!(edge.join(again, "tea", "alice").unwrap_err().0, 104);
    edge.pass(10 * SECOND);
    assert!(edge.join(again, "tea", "alice").is_ok());
}

#[test]
fn a_session_whose_old_socket_still_seems_open_moves_to_the_new_one() {
    let (mut edge, alice, bob, session) = two();
    let again = edge.connect();
    edge.ask(again, "connect", json!({ "sessionId": session }))
        .unwrap();
    assert!(edge.closed.contains(&alice));
    edge.drop_socket(alice);
    edge.pass(60 * SECOND);
    assert!(edge.hears(bob).is_empty());
    edge.publish(bob).unwrap();
    assert_eq!(edge.hears(again).len(), 1);
}

#[test]
fn to_connect_to_the_own_session_changes_nothing() {
    let (mut edge, alice, _, session) = two();
    let answer = edge
        .ask(alice, "connect", json!({ "sessionId": session }))
        .unwrap();
    assert_eq!(answer["value"], "reconnection successful");
    assert!(edge.closed.is_empty());
    assert!(edge.publish(alice).is_ok());
}

#[test]
fn whoever_is_somebody_cannot_become_somebody_else() {
    let (mut edge, _, bob, session) = two();
    let refusal = edge
        .ask(bob, "connect", json!({ "sessionId": session }))
        .unwrap_err();
    assert_eq!((refusal.0, refusal.1.as_str()), LOST);
}

#[test]
fn unknown_and_malformed_session_ids_are_error_40007() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    for id in ["", "dv41ks9hj761rndhcc8nd8cj8q", "not an id", &"v".repeat(26)] {
        let refusal = edge
            .ask(alice, "connect", json!({ "sessionId": id }))
            .unwrap_err();
        assert_eq!((refusal.0, refusal.1.as_str()), LOST, "{id}");
    }
}

#[test]
fn pings_are_watched_anew_after_a_reconnection() {
    let (mut edge, alice, _, session) = two();
    edge.ask(alice, "ping", json!({ "interval": 1000 })).unwrap();
    edge.pass(3 * SECOND);
    assert!(edge.closed.contains(&alice));
    let again = edge.connect();
    edge.ask(again, "connect", json!({ "sessionId": session }))
        .unwrap();
    edge.pass(60 * SECOND);
    assert!(!edge.closed.contains(&again), "no ping yet, no watchdog");
    edge.ask(again, "ping", json!({ "interval": 1000 })).unwrap();
    edge.pass(3 * SECOND);
    assert!(edge.closed.contains(&again));
}

#[test]
fn a_client_that_never_spoke_leaves_nothing_behind() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    edge.drop_socket(alice);
    assert_eq!(edge.machine.next_timeout(), None);
}

#[test]
fn chat_fills_half_of_the_backlog_and_an_overflow_ends_the_window() {
    let mut edge = Edge::with(Limits {
        backlog: 8,
        ..Limits::default()
    });
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.drop_socket(alice);
    for n in 0..10 {
        let chat = json!({ "userMessage": "bob", "roomMessage": "tea", "message": n.to_string() });
        edge.ask(bob, "sendMessage", chat).unwrap();
    }
    assert_eq!(edge.machine.counters().chats_missed, 6);
    edge.quiet();
    for _ in 0..2 {
        edge.publish(bob).unwrap();
        edge.ask(bob, "unpublishVideo", json!({})).unwrap();
    }
    edge.pass(Duration::ZERO);
    assert!(edge.hears(bob).is_empty(), "8 notifications are kept");
    edge.publish(bob).unwrap();
    edge.pass(Duration::ZERO);
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
    assert_eq!(edge.machine.counters().backlog_overflows, 1);
}

/// What it missed is gone, so it could come back without knowing that it was kicked.
#[test]
fn after_an_overflow_no_reconnection_slips_in_before_the_window_is_cleared_away() {
    let mut edge = Edge::with(Limits {
        backlog: 1,
        ..Limits::default()
    });
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    let session = edge.session(alice);
    edge.drop_socket(alice);
    edge.publish(bob).unwrap();
    edge.machine.kick("tea", "alice", &mut edge.media).unwrap();
    let again = edge.connect();
    let refusal = edge
        .ask(again, "connect", json!({ "sessionId": session }))
        .unwrap_err();
    assert_eq!((refusal.0, refusal.1.as_str()), LOST);
}
