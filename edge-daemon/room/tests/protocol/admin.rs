//! Evictions, closings and the look from outside.

use crate::edge::{Edge, notification};
use lianmai_room::{Output, RoomError, Via};
use serde_json::json;
use std::time::Duration;

impl Edge {
    fn kick(&mut self, room: &str, user: &str) -> Result<(), RoomError> {
        let kicked = self.machine.kick(room, user, &mut self.media);
        self.collect();
        kicked
    }

    fn close_room(&mut self, room: &str) -> Result<(), RoomError> {
        let closed = self.machine.close_room(room, &mut self.media);
        self.collect();
        closed
    }
}

#[test]
fn the_rest_hears_that_the_evicted_left_before_it_hears_that_it_was_evicted() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(bob).unwrap();
    edge.quiet();
    edge.kick("tea", "bob").unwrap();
    let left = notification("participantLeft", json!({ "name": "bob" }));
    assert_eq!(
        edge.all_hear(),
        [
            (alice, left),
            (bob, notification("participantEvicted", json!({})))
        ]
    );
    assert!(edge.media.open().is_empty());
}

#[test]
fn the_evicted_gets_error_103_until_it_joins_again() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.kick("tea", "alice").unwrap();
    assert_eq!(edge.publish(alice).unwrap_err().0, 103);
    assert_eq!(edge.ask(alice, "leaveRoom", json!({})).unwrap_err().0, 103);
    edge.join(alice, "tea", "alice").unwrap();
    assert!(edge.publish(alice).is_ok());
}

#[test]
fn whoever_is_absent_cannot_be_evicted() {
    let mut edge = Edge::new();
    edge.joined("tea", "alice");
    assert_eq!(edge.kick("tea", "bob").unwrap_err().code(), 102);
    assert_eq!(edge.kick("coffee", "alice").unwrap_err().code(), 202);
    assert_eq!(edge.kick("", "").unwrap_err().code(), 202);
}

#[test]
fn a_whip_publisher_can_be_evicted_and_its_session_ends() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let created = edge
        .machine
        .whip_publish(edge.now, "tea", "obs", "offer", &mut edge.media)
        .unwrap();
    edge.collect();
    edge.quiet();
    edge.kick("tea", "obs").unwrap();
    assert_eq!(
        edge.hears(alice),
        [notification("participantLeft", json!({ "name": "obs" }))]
    );
    assert!(edge.events().contains(&Output::ResourceEnded {
        resource: created.resource
    }));
}

#[test]
fn closing_a_room_tells_evicts_and_disconnects_everybody() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    let dave = edge.joined("coffee", "dave");
    edge.machine
        .whip_publish(edge.now, "tea", "obs", "offer", &mut edge.media)
        .unwrap();
    edge.collect();
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    edge.close_room("tea").unwrap();
    let told = [
        notification("roomClosed", json!({ "room": "tea" })),
        notification("participantEvicted", json!({})),
    ];
    assert_eq!(edge.hears(alice), told);
    assert_eq!(edge.hears(bob), told);
    assert!(edge.hears(dave).is_empty());
    assert_eq!(edge.closed, [alice, bob].into());
    assert!(edge.media.open().is_empty());
    let rooms = edge
        .events()
        .into_iter()
        .filter(|event| matches!(event, Output::RoomClosed { .. }))
        .count();
    assert_eq!(rooms, 1);
    assert_eq!(edge.close_room("tea").unwrap_err().code(), 202);
}

#[test]
fn after_a_shutdown_nothing_is_open_and_nothing_opens() {
    let mut edge = Edge::new();
    let (alice, idle) = (edge.joined("tea", "alice"), edge.connect());
    edge.publish(alice).unwrap();
    edge.machine.shutdown(&mut edge.media);
    edge.collect();
    assert_eq!(edge.closed, [alice, idle].into());
    assert!(edge.media.open().is_empty());
    assert_eq!(edge.machine.rooms().count(), 0);
    let late = edge.connect();
    assert!(edge.closed.contains(&late));
    let whip = edge
        .machine
        .whip_publish(edge.now, "tea", "obs", "offer", &mut edge.media);
    assert_eq!(whip.unwrap_err().code(), 203);
}

#[test]
fn the_view_shows_rooms_participants_and_who_receives_whom() {
    let mut edge = Edge::new();
    let start = edge.now;
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).unwrap();
    edge.pass(Duration::from_secs(5));
    let bob = edge.joined("tea", "bob");
    edge.receive(bob, "alice").unwrap();
    let rooms: Vec<_> = edge.machine.rooms().collect();
    let [room] = &rooms[..] else { panic!() };
    assert_eq!((room.name.as_str(), room.opened), ("tea", start));
    let [alice, bob] = &room.participants[..] else {
        panic!()
    };
    assert_eq!(
        (alice.via, alice.joined, alice.publication.map(|e| e.0)),
        (Via::Kurento, start, Some(1))
    );
    assert_eq!((bob.joined, bob.publication), (edge.now, None));
    assert_eq!(
        (
            bob.subscriptions[0].from.as_str(),
            bob.subscriptions[0].endpoint.0
        ),
        ("alice", 2)
    );
    assert_eq!(edge.machine.publication("tea", "alice").map(|e| e.0), Ok(1));
    assert_eq!(edge.machine.publication("tea", "bob").unwrap_err().code(), 105);
}
