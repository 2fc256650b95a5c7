//! The extension `activeSpeaker`.

use crate::edge::{Edge, notification};
use lianmai_webrtc::EndpointId;
use serde_json::json;

#[test]
fn only_clients_that_asked_hear_who_speaks() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    let params = json!({ "user": "alice", "room": "tea", "capabilities": ["activeSpeaker"] });
    let joined = edge.ask(alice, "joinRoom", params).unwrap();
    assert_eq!(
        joined,
        json!({ "value": [], "capabilities": ["activeSpeaker"], "sessionId": "S" })
    );
    let bob = edge.joined("tea", "bob");
    edge.publish(bob).unwrap();
    edge.quiet();
    edge.machine.set_speaking(EndpointId(1), 23, true);
    edge.machine.set_speaking(EndpointId(1), 23, true);
    edge.collect();
    let speaks = notification(
        "activeSpeaker",
        json!({ "id": "bob", "speaking": true, "level": -23 }),
    );
    assert_eq!(edge.all_hear(), [(alice, speaks)], "once, since nothing changed");
    let room = edge.machine.rooms().next().unwrap();
    assert_eq!(
        (room.participants[1].speaking, room.participants[1].audio_level),
        (true, Some(-23))
    );
}

#[test]
fn an_endpoint_that_publishes_nothing_does_not_speak() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).unwrap();
    edge.ask(alice, "unpublishVideo", json!({})).unwrap();
    edge.machine.set_speaking(EndpointId(1), 0, true);
    edge.machine.set_speaking(EndpointId(99), 0, true);
    assert!(!edge.machine.rooms().next().unwrap().participants[0].speaking);
}

#[test]
fn it_is_not_kept_for_a_client_without_a_socket() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    let params = json!({ "user": "alice", "room": "tea", "capabilities": ["activeSpeaker"] });
    edge.ask(alice, "joinRoom", params).unwrap();
    let bob = edge.joined("tea", "bob");
    edge.publish(bob).unwrap();
    edge.quiet();
    let session = edge.session(alice);
    edge.drop_socket(alice);
    edge.machine.set_speaking(EndpointId(1), 23, true);
    let again = edge.connect();
    edge.ask(again, "connect", json!({ "sessionId": session }))
        .unwrap();
    assert!(edge.hears(again).is_empty());
}
