//! `onIceCandidate`: before and after the offer it belongs to.

use crate::edge::Edge;
use crate::media::Asked;
use lianmai_room::Limits;
use serde_json::{Value, json};

fn candidate(peer: &str, text: &str) -> Value {
    json!({ "endpointName": peer, "candidate": text, "sdpMid": "audio", "sdpMLineIndex": 0 })
}

fn trickled(endpoint: u64, text: &str) -> Asked {
    Asked::Candidate {
        endpoint,
        candidate: text.into(),
    }
}

#[test]
fn the_own_name_means_the_publishing_peer_and_another_name_the_receiving_one() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    assert_eq!(
        edge.ask(alice, "onIceCandidate", candidate("alice", "a"))
            .unwrap(),
        json!({ "sessionId": "S" })
    );
    edge.ask(bob, "onIceCandidate", candidate("alice", "b")).unwrap();
    assert_eq!(edge.media.asked, [trickled(1, "a"), trickled(2, "b")]);
}

#[test]
fn candidates_that_come_before_their_offer_wait_for_it() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    for text in ["1", "2"] {
        edge.ask(alice, "onIceCandidate", candidate("alice", text))
            .unwrap();
    }
    edge.ask(bob, "onIceCandidate", candidate("alice", "3")).unwrap();
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    let trickles: Vec<_> = edge
        .media
        .asked
        .iter()
        .filter(|asked| matches!(asked, Asked::Candidate { .. }))
        .cloned()
        .collect();
    assert_eq!(trickles, [trickled(1, "1"), trickled(1, "2"), trickled(2, "3")]);
}

#[test]
fn candidates_of_an_offer_that_failed_are_not_given_to_the_next() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.ask(alice, "onIceCandidate", candidate("alice", "old"))
        .unwrap();
    edge.ask(
        alice,
        "publishVideo",
        json!({ "sdpOffer": "bad", "doLoopback": false }),
    )
    .unwrap_err();
    edge.quiet();
    edge.publish(alice).unwrap();
    assert!(matches!(edge.media.asked[..], [Asked::Publish { .. }]));
}

#[test]
fn an_index_in_quotes_is_an_index_as_android_sends_it() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let mut params = candidate("alice", "a");
    params["sdpMLineIndex"] = json!("1");
    assert!(edge.ask(alice, "onIceCandidate", params.clone()).is_ok());
    params["sdpMLineIndex"] = json!("first");
    assert_eq!(edge.ask(alice, "onIceCandidate", params).unwrap_err().0, -32602);
}

#[test]
fn all_parameters_are_required() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    for element in ["endpointName", "candidate", "sdpMid", "sdpMLineIndex"] {
        let mut params = candidate("alice", "a");
        params.as_object_mut().unwrap().remove(element);
        let refusal = edge.ask(alice, "onIceCandidate", params).unwrap_err();
        assert_eq!(refusal, (-1, format!("Request element '{element}' is missing")));
    }
}

#[test]
fn an_empty_candidate_is_the_end_of_candidates_and_passed_on() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).unwrap();
    edge.quiet();
    edge.ask(alice, "onIceCandidate", candidate("alice", "")).unwrap();
    assert_eq!(edge.media.asked, [trickled(1, "")]);
}

#[test]
fn too_many_waiting_candidates_are_error_301_and_huge_ones_are_invalid() {
    let mut edge = Edge::with(Limits {
        buffered_candidates: 3,
        ..Limits::default()
    });
    let alice = edge.joined("tea", "alice");
    for peer in ["alice", "bob", "carol"] {
        edge.ask(alice, "onIceCandidate", candidate(peer, "a")).unwrap();
    }
    assert_eq!(
        edge.ask(alice, "onIceCandidate", candidate("dave", "a"))
            .unwrap_err()
            .0,
        301
    );
    assert_eq!(edge.machine.counters().candidates_refused, 1);
    let huge = candidate("alice", &"x".repeat(4096));
    assert_eq!(edge.ask(alice, "onIceCandidate", huge).unwrap_err().0, -32602);
    edge.publish(alice).unwrap();
    assert!(
        edge.ask(alice, "onIceCandidate", candidate("dave", "a")).is_ok(),
        "the offer made room"
    );
}

#[test]
fn candidates_of_nobody_are_error_102() {
    let mut edge = Edge::new();
    let nobody = edge.connect();
    assert_eq!(
        edge.ask(nobody, "onIceCandidate", candidate("alice", "a"))
            .unwrap_err()
            .0,
        102
    );
    let alice = edge.joined("tea", "alice");
    assert_eq!(
        edge.ask(alice, "onIceCandidate", candidate("", "a"))
            .unwrap_err()
            .0,
        102
    );
}
