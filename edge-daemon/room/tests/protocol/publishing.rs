//! `publishVideo`, `unpublishVideo` and what the others hear of them.

use crate::edge::{Edge, notification};
use crate::media::Asked;
use lianmai_room::{Candidate, Output};
use serde_json::{Value, json};

fn published(user: &str) -> Value {
    notification(
        "participantPublished",
        json!({ "id": user, "streams": [{ "id": "webcam" }] }),
    )
}

#[test]
fn the_answer_comes_first_then_the_others_hear() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    edge.say(
        alice,
        r#"{"jsonrpc":"2.0","method":"publishVideo","params":{"sdpOffer":"v=0","doLoopback":false},"id":1}"#,
    );
    let answer = json!({ "id": 1, "result": { "sdpAnswer": "answer of 1 to v=0", "sessionId": "S" }, "jsonrpc": "2.0" });
    assert_eq!(edge.all_hear(), [(alice, answer), (bob, published("alice"))]);
    assert_eq!(
        edge.media.asked,
        [Asked::Publish {
            endpoint: 1,
            offer: "v=0".into(),
            loopback: false
        }]
    );
    assert!(matches!(&edge.events()[..], [Output::Published { endpoint, .. }] if endpoint.0 == 1));
}

#[test]
fn loopback_is_asked_of_the_media_side_even_in_quotes() {
    let mut edge = Edge::new();
    for (user, truth) in [("alice", json!(true)), ("bob", json!("true"))] {
        let client = edge.joined("tea", user);
        edge.quiet();
        edge.ask(
            client,
            "publishVideo",
            json!({ "sdpOffer": "o", "doLoopback": truth }),
        )
        .unwrap();
        assert!(matches!(
            edge.media.asked[..],
            [Asked::Publish { loopback: true, .. }]
        ));
    }
}

#[test]
fn both_parameters_are_required_and_a_participant_too() {
    let mut edge = Edge::new();
    let nobody = edge.connect();
    assert_eq!(edge.publish(nobody).unwrap_err().0, 102);
    let alice = edge.joined("tea", "alice");
    let refusal = edge
        .ask(alice, "publishVideo", json!({ "doLoopback": true }))
        .unwrap_err();
    assert_eq!(refusal, (-1, "Request element 'sdpOffer' is missing".into()));
    let refusal = edge
        .ask(alice, "publishVideo", json!({ "sdpOffer": "o" }))
        .unwrap_err();
    assert_eq!(refusal, (-1, "Request element 'doLoopback' is missing".into()));
    assert!(edge.media.asked.is_empty());
}

#[test]
fn a_bad_offer_is_error_302_and_a_full_edge_303_and_nobody_hears_of_either() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.quiet();
    for (offer, code) in [("bad", 302), ("full", 303)] {
        let params = json!({ "sdpOffer": offer, "doLoopback": false });
        assert_eq!(edge.ask(alice, "publishVideo", params).unwrap_err().0, code);
    }
    assert!(edge.hears(bob).is_empty());
    assert!(edge.publish(alice).is_ok(), "a good offer may follow");
}

#[test]
fn publishing_twice_is_an_error_and_the_first_stream_goes_on() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.quiet();
    assert_eq!(edge.publish(alice).unwrap_err().0, 302);
    assert!(edge.hears(bob).is_empty());
    assert_eq!(edge.media.open(), [1]);
}

#[test]
fn our_candidates_follow_the_answer_under_the_own_name() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.media.candidates = vec![Candidate {
        candidate: "candidate:1 1 udp 1 192.0.2.1 8444 typ host".into(),
        sdp_mid: "0".into(),
        sdp_m_line_index: 0,
    }];
    edge.publish(alice).unwrap();
    let params = json!({
        "endpointName": "alice", "sdpMLineIndex": 0, "sdpMid": "0",
        "candidate": "candidate:1 1 udp 1 192.0.2.1 8444 typ host",
    });
    assert_eq!(edge.hears(alice), [notification("iceCandidate", params)]);
}

#[test]
fn unpublishing_ends_all_that_received_it_and_allows_to_publish_again() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    edge.say(alice, r#"{"jsonrpc":"2.0","method":"unpublishVideo","id":5}"#);
    let gone = notification("participantUnpublished", json!({ "name": "alice" }));
    let answer = json!({ "id": 5, "result": { "sessionId": "S" }, "jsonrpc": "2.0" });
    assert_eq!(edge.all_hear(), [(alice, answer), (bob, gone)]);
    assert_eq!(
        edge.media.asked,
        [Asked::Release { endpoint: 2 }, Asked::Release { endpoint: 1 }]
    );
    assert!(matches!(&edge.events()[..], [Output::Unpublished { endpoint, .. }] if endpoint.0 == 1));
    assert!(edge.publish(alice).is_ok());
    assert_eq!(edge.hears(bob), [published("alice")]);
}

#[test]
fn unpublishing_what_is_not_published_is_error_105() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    assert_eq!(edge.ask(alice, "unpublishVideo", json!({})).unwrap_err().0, 105);
}
