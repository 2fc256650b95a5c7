//! Endpoints that the media side lost, and `mediaError`.

use crate::edge::{Edge, notification};
use crate::media::Asked;
use lianmai_room::EndpointLoss;
use serde_json::json;

#[test]
fn a_lost_publisher_is_told_and_unpublished_and_may_publish_again() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    edge.lose(1, EndpointLoss::ConsentExpired);
    let error = "ICE_CONSENT_EXPIRED: the connection went silent (stream of 'alice')(errCode=304)";
    assert_eq!(
        edge.hears(alice),
        [notification("mediaError", json!({ "error": error }))]
    );
    assert_eq!(
        edge.hears(bob),
        [notification("participantUnpublished", json!({ "name": "alice" }))]
    );
    assert_eq!(
        edge.media.asked,
        [Asked::Release { endpoint: 2 }, Asked::Release { endpoint: 1 }]
    );
    assert!(edge.publish(alice).is_ok());
}

#[test]
fn a_lost_receiver_is_told_and_may_ask_again_and_the_publisher_hears_nothing() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    edge.lose(2, EndpointLoss::DtlsFailed);
    let error = "DTLS_FAILED: the handshake failed (stream of 'alice')(errCode=304)";
    assert_eq!(
        edge.hears(bob),
        [notification("mediaError", json!({ "error": error }))]
    );
    assert!(edge.hears(alice).is_empty());
    assert_eq!(edge.media.open(), [1]);
    assert!(edge.receive(bob, "alice").is_ok());
}

#[test]
fn an_endpoint_that_is_gone_already_is_lost_on_nobody() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.ask(alice, "unpublishVideo", json!({})).unwrap();
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.ask(bob, "leaveRoom", json!({})).unwrap();
    edge.quiet();
    for gone in [1, 2, 4, 77] {
        edge.lose(gone, EndpointLoss::PeerClosed);
    }
    assert!(edge.all_hear().is_empty());
    assert_eq!(edge.media.open(), [3]);
    assert_eq!(edge.machine.counters().endpoints_lost, 0);
}
