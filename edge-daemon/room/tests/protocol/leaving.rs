//! `leaveRoom`, `closeSession`, `participantLeft`.

use crate::edge::{Edge, notification};
use crate::media::Asked;
use lianmai_room::Output;
use serde_json::json;

#[test]
fn the_rest_hears_it_then_the_answer_then_the_socket_closes() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    // Android sends no params.
    edge.say(alice, r#"{"jsonrpc":"2.0","method":"leaveRoom","id":9}"#);
    let left = notification("participantLeft", json!({ "name": "alice" }));
    let answer = json!({ "id": 9, "result": { "sessionId": "S" }, "jsonrpc": "2.0" });
    assert_eq!(edge.all_hear(), [(bob, left), (alice, answer)]);
    assert!(edge.closed.contains(&alice));
    assert!(!edge.closed.contains(&bob));
}

#[test]
fn whoever_leaves_takes_all_its_peers_along_and_those_of_its_receivers() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.publish(bob).unwrap();
    edge.receive(alice, "bob").unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    edge.ask(alice, "leaveRoom", json!({})).unwrap();
    let released: Vec<_> = [4, 1, 3].map(|endpoint| Asked::Release { endpoint }).into();
    assert_eq!(edge.media.asked, released);
    assert_eq!(edge.media.open(), [2]);
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
}

#[test]
fn the_last_one_closes_the_room_and_its_name_is_free() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.quiet();
    edge.ask(alice, "leaveRoom", json!({})).unwrap();
    assert!(matches!(
        &edge.events()[..],
        [Output::Left { .. }, Output::RoomClosed { .. }]
    ));
    assert_eq!(edge.machine.rooms().count(), 0);
    edge.joined("tea", "alice");
}

#[test]
fn leaving_without_having_joined_is_error_102_and_the_socket_stays() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    assert_eq!(edge.ask(alice, "leaveRoom", json!({})).unwrap_err().0, 102);
    assert!(edge.closed.is_empty());
}

#[test]
fn close_session_says_bye_leaves_and_closes_without_a_reconnection_window() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    let answer = edge.ask(alice, "closeSession", json!(null)).unwrap();
    assert_eq!(answer, json!({ "value": "bye", "sessionId": "S" }));
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
    assert!(edge.closed.contains(&alice));
    assert_eq!(edge.machine.next_timeout(), None);
}

#[test]
fn a_closed_connection_is_deaf() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.ask(alice, "leaveRoom", json!({})).unwrap();
    edge.say(
        alice,
        r#"{"jsonrpc":"2.0","method":"joinRoom","params":{"user":"alice","room":"tea"},"id":1}"#,
    );
    edge.drop_socket(alice);
    assert_eq!(edge.machine.rooms().count(), 0);
}
