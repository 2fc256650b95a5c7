//! `ping`, and what happens when it stops.

use crate::edge::{Edge, notification};
use serde_json::json;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_pong_carries_the_session_id_only_if_the_ping_does() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    assert_eq!(
        edge.ask(alice, "ping", json!({ "interval": 3000 })).unwrap(),
        json!({ "value": "pong" })
    );
    assert_eq!(
        edge.ask(alice, "ping", json!(null)).unwrap(),
        json!({ "value": "pong" })
    );
    let session = edge.session(alice);
    let answer = edge.ask(alice, "ping", json!({ "sessionId": session })).unwrap();
    assert_eq!(answer, json!({ "value": "pong", "sessionId": "S" }));
}

#[test]
fn three_intervals_without_a_ping_close_the_socket() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.ask(alice, "ping", json!({ "interval": 3000 })).unwrap();
    edge.pass(8 * SECOND);
    edge.ask(alice, "ping", json!({})).unwrap();
    edge.pass(9 * SECOND - MILLISECOND);
    assert!(edge.closed.is_empty());
    edge.pass(MILLISECOND);
    assert!(edge.closed.contains(&alice));
    assert_eq!(edge.machine.counters().watchdog_closed, 1);
}

#[test]
fn the_others_hear_of_it_when_the_reconnection_window_is_over_too() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.ask(alice, "ping", json!({ "interval": 3000 })).unwrap();
    edge.quiet();
    edge.pass(19 * SECOND - MILLISECOND);
    assert!(edge.hears(bob).is_empty());
    edge.pass(MILLISECOND);
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
}

#[test]
fn a_ping_without_an_interval_means_20_seconds() {
    for params in [json!(null), json!({}), json!({ "interval": "often" })] {
        let mut edge = Edge::new();
        let alice = edge.connect();
        edge.ask(alice, "ping", params).unwrap();
        edge.pass(60 * SECOND - MILLISECOND);
        assert!(edge.closed.is_empty());
        edge.pass(MILLISECOND);
        assert!(edge.closed.contains(&alice));
    }
}

#[test]
fn absurd_intervals_are_bounded() {
    for (told, closed_after) in [(0, Duration::from_millis(300)), (u64::MAX, 1800 * SECOND)] {
        let mut edge = Edge::new();
        let alice = edge.connect();
        edge.ask(alice, "ping", json!({ "interval": told })).unwrap();
        edge.pass(closed_after - MILLISECOND);
        assert!(edge.closed.is_empty());
        edge.pass(MILLISECOND);
        assert!(edge.closed.contains(&alice));
    }
}

#[test]
fn clients_that_never_ping_are_not_watched() {
    let mut edge = Edge::new();
    edge.joined("tea", "android");
    assert_eq!(edge.machine.next_timeout(), None);
    edge.pass(3600 * SECOND);
    assert!(edge.closed.is_empty());
}
