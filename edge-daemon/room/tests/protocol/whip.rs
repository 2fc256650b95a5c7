//! WHIP publishers among kurento clients, WHEP viewers behind them.

use crate::edge::{Edge, notification};
use crate::media::Asked;
use lianmai_room::{
    EndpointLoss, Limits, Output, Patched, ResourceError, ResourceId, RoomError, Via, WhipSession,
};
use serde_json::json;

impl Edge {
    fn whip(&mut self, room: &str, user: &str, offer: &str) -> Result<WhipSession, RoomError> {
        let created = self
            .machine
            .whip_publish(self.now, room, user, offer, &mut self.media);
        self.collect();
        created
    }

    fn whep(&mut self, room: &str, user: &str, offer: &str) -> Result<WhipSession, RoomError> {
        let created = self
            .machine
            .whep_subscribe(self.now, room, user, offer, &mut self.media);
        self.collect();
        created
    }

    fn patch(&mut self, id: ResourceId, tag: Option<&str>, fragment: &str) -> Result<Patched, ResourceError> {
        self.machine.patch(id, tag, fragment, &mut self.media)
    }

    fn delete(&mut self, id: ResourceId) -> Result<(), ResourceError> {
        let deleted = self.machine.delete(id, &mut self.media);
        self.collect();
        deleted
    }
}

#[test]
fn a_whip_publisher_is_a_participant_that_kurento_clients_see_and_receive() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.quiet();
    let created = edge.whip("tea", "obs", "offer").unwrap();
    assert_eq!(
        (created.answer.as_str(), created.endpoint.0),
        ("answer of 1 to offer", 1)
    );
    let joined = notification("participantJoined", json!({ "id": "obs" }));
    let published = notification(
        "participantPublished",
        json!({ "id": "obs", "streams": [{ "id": "webcam" }] }),
    );
    assert_eq!(edge.hears(alice), [joined, published]);
    assert!(matches!(
        &edge.events()[..],
        [Output::Joined { .. }, Output::Published { .. }]
    ));
    assert!(edge.receive(alice, "obs").is_ok());
    let bob = edge.connect();
    let listed = edge.join(bob, "tea", "bob").unwrap();
    assert_eq!(
        listed["value"][1],
        json!({ "id": "obs", "streams": [{ "id": "webcam" }] })
    );
    assert_eq!(
        edge.machine.rooms().next().unwrap().participants[2].via,
        Via::Whip
    );
}

#[test]
fn names_are_shared_with_kurento_clients() {
    let mut edge = Edge::new();
    edge.joined("tea", "alice");
    assert!(matches!(
        edge.whip("tea", "alice", "offer"),
        Err(RoomError::UserExists { .. })
    ));
    edge.whip("tea", "obs", "offer").unwrap();
    let other = edge.connect();
    assert_eq!(edge.join(other, "tea", "obs").unwrap_err().0, 104);
}

#[test]
fn a_whip_offer_that_fails_leaves_no_trace() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.quiet();
    assert_eq!(edge.whip("tea", "obs", "bad").unwrap_err().code(), 302);
    assert_eq!(edge.whip("coffee", "obs", "bad").unwrap_err().code(), 302);
    assert_eq!(edge.whip("tea", "", "offer").unwrap_err().code(), 999);
    assert!(edge.hears(alice).is_empty());
    assert!(edge.events().is_empty());
    assert_eq!(edge.machine.rooms().count(), 1);
}

#[test]
fn deleting_a_whip_session_takes_its_participant_out_of_the_room() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let obs = edge.whip("tea", "obs", "offer").unwrap().resource;
    edge.receive(alice, "obs").unwrap();
    edge.quiet();
    edge.delete(obs).unwrap();
    assert_eq!(
        edge.hears(alice),
        [notification("participantLeft", json!({ "name": "obs" }))]
    );
    assert_eq!(
        edge.media.asked,
        [Asked::Release { endpoint: 2 }, Asked::Release { endpoint: 1 }]
    );
    assert_eq!(edge.delete(obs), Err(ResourceError::NotFound));
}

#[test]
fn a_whep_viewer_receives_without_being_a_participant() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).unwrap();
    edge.quiet();
    let viewer = edge.whep("tea", "alice", "v=0").unwrap();
    assert_eq!(
        edge.media.asked,
        [Asked::Subscribe {
            endpoint: 2,
            source: 1,
            offer: "v=0".into()
        }]
    );
    assert!(edge.hears(alice).is_empty());
    let room = edge.machine.rooms().next().unwrap();
    assert_eq!(room.participants.len(), 1);
    assert_eq!(
        (room.viewers[0].resource, room.viewers[0].from.as_str()),
        (viewer.resource, "alice")
    );
    edge.delete(viewer.resource).unwrap();
    assert_eq!(edge.media.open(), [1]);
}

#[test]
fn a_viewer_ends_with_what_it_views() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).unwrap();
    let viewer = edge.whep("tea", "alice", "offer").unwrap().resource;
    edge.quiet();
    edge.ask(alice, "unpublishVideo", json!({})).unwrap();
    assert!(
        edge.events()
            .contains(&Output::ResourceEnded { resource: viewer })
    );
    assert_eq!(edge.delete(viewer), Err(ResourceError::NotFound));
    assert!(edge.media.open().is_empty());
}

#[test]
fn there_is_nothing_to_view_of_absent_rooms_absent_users_and_silent_users() {
    let mut edge = Edge::new();
    edge.joined("tea", "alice");
    for (room, user, code) in [
        ("coffee", "alice", 202),
        ("tea", "bob", 102),
        ("tea", "alice", 105),
        ("", "", 202),
    ] {
        assert_eq!(
            edge.whep(room, user, "offer").unwrap_err().code(),
            code,
            "{user} in {room}"
        );
    }
}

#[test]
fn a_lost_whip_publisher_leaves_and_a_lost_viewer_just_ends() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let obs = edge.whip("tea", "obs", "offer").unwrap();
    let viewer = edge.whep("tea", "obs", "offer").unwrap();
    edge.quiet();
    edge.lose(viewer.endpoint.0, EndpointLoss::ConsentExpired);
    assert_eq!(
        edge.events(),
        [Output::ResourceEnded {
            resource: viewer.resource
        }]
    );
    edge.lose(obs.endpoint.0, EndpointLoss::ConsentExpired);
    assert_eq!(
        edge.hears(alice),
        [notification("participantLeft", json!({ "name": "obs" }))]
    );
    assert!(edge.events().contains(&Output::ResourceEnded {
        resource: obs.resource
    }));
    assert!(edge.media.open().is_empty());
}

/// RFC 9725 §4.3.1: an ICE restart gives the session a new entity tag, and the old one fails from then on.
#[test]
fn a_restart_changes_the_entity_tag_and_trickling_does_not() {
    let mut edge = Edge::new();
    let created = edge.whip("tea", "obs", "offer").unwrap();
    let (id, old) = (created.resource, format!("{:?}", created.etag));
    assert_eq!(edge.patch(id, Some(&old), "candidates"), Ok(Patched::Trickled));
    let Ok(Patched::Restarted { fragment, etag }) = edge.patch(id, Some("*"), "restart") else {
        panic!()
    };
    assert_eq!(fragment, "fragment of 1");
    assert_ne!(etag, created.etag);
    let mismatch = ResourceError::EtagMismatch {
        current: etag.clone(),
    };
    assert_eq!(edge.patch(id, Some(&old), "candidates"), Err(mismatch));
    assert_eq!(edge.patch(id, Some(&etag), "candidates"), Ok(Patched::Trickled));
}

#[test]
fn a_fragment_that_fails_changes_nothing() {
    let mut edge = Edge::new();
    let created = edge.whip("tea", "obs", "offer").unwrap();
    assert!(matches!(
        edge.patch(created.resource, None, "bad"),
        Err(ResourceError::Media(_))
    ));
    assert_eq!(
        edge.patch(created.resource, Some(&created.etag), "candidates"),
        Ok(Patched::Trickled)
    );
}

#[test]
fn sessions_are_limited_in_number() {
    let mut edge = Edge::with(Limits {
        resources: 1,
        ..Limits::default()
    });
    let obs = edge.whip("tea", "obs", "offer").unwrap();
    assert!(matches!(
        edge.whip("tea", "vmix", "offer"),
        Err(RoomError::TooManyResources { limit: 1 })
    ));
    assert!(matches!(
        edge.whep("tea", "obs", "offer"),
        Err(RoomError::TooManyResources { limit: 1 })
    ));
    assert_eq!(edge.machine.counters().resources_refused, 2);
    edge.delete(obs.resource).unwrap();
    assert!(edge.whip("tea", "vmix", "offer").is_ok());
}
