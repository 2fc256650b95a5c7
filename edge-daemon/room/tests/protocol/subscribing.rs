//! `receiveVideoFrom` and `unsubscribeFromVideo`.

use crate::edge::{Edge, notification};
use crate::media::Asked;
use lianmai_room::{Candidate, ConnectionId};
use serde_json::json;

/// Alice publishes through endpoint 1; Bob is there.
fn alice_publishes() -> (Edge, ConnectionId, ConnectionId) {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).unwrap();
    edge.quiet();
    (edge, alice, bob)
}

#[test]
fn a_receiver_gets_an_answer_of_its_own_peer() {
    let (mut edge, alice, bob) = alice_publishes();
    edge.say(
        bob,
        r#"{"jsonrpc":"2.0","method":"receiveVideoFrom","params":{"sender":"alice_webcam","sdpOffer":"v=0"},"id":2}"#,
    );
    let answer = json!({ "id": 2, "result": { "sdpAnswer": "answer of 2 to v=0", "sessionId": "S" }, "jsonrpc": "2.0" });
    assert_eq!(edge.all_hear(), [(bob, answer)]);
    assert_eq!(
        edge.media.asked,
        [Asked::Subscribe {
            endpoint: 2,
            source: 1,
            offer: "v=0".into()
        }]
    );
    let _ = alice;
}

#[test]
fn our_candidates_follow_under_the_name_of_the_sender() {
    let (mut edge, _, bob) = alice_publishes();
    edge.media.candidates = vec![Candidate {
        candidate: "c".into(),
        sdp_mid: "1".into(),
        sdp_m_line_index: 1,
    }];
    edge.receive(bob, "alice").unwrap();
    let params = json!({ "endpointName": "alice", "sdpMLineIndex": 1, "sdpMid": "1", "candidate": "c" });
    assert_eq!(edge.hears(bob), [notification("iceCandidate", params)]);
}

#[test]
fn a_sender_whose_name_holds_underscores_is_found() {
    let mut edge = Edge::new();
    let (alice, bob) = (
        edge.joined("tea", "alice_in_wonderland"),
        edge.joined("tea", "bob"),
    );
    edge.publish(alice).unwrap();
    assert!(edge.receive(bob, "alice_in_wonderland").is_ok());
}

#[test]
fn receiving_twice_replaces_the_first_peer_if_the_second_offer_is_good() {
    let (mut edge, _, bob) = alice_publishes();
    edge.receive(bob, "alice").unwrap();
    let bad = json!({ "sender": "alice_webcam", "sdpOffer": "bad" });
    assert_eq!(edge.ask(bob, "receiveVideoFrom", bad).unwrap_err().0, 302);
    assert_eq!(edge.media.open(), [1, 2]);
    edge.receive(bob, "alice").unwrap();
    assert_eq!(edge.media.open(), [1, 4]);
}

#[test]
fn absent_silent_and_own_senders_are_errors_102_105_and_105() {
    let (mut edge, alice, bob) = alice_publishes();
    assert_eq!(edge.receive(bob, "carol").unwrap_err().0, 102);
    assert_eq!(edge.receive(alice, "bob").unwrap_err().0, 105);
    assert_eq!(
        edge.receive(alice, "alice").unwrap_err(),
        (105, "Can loopback only when publishing media".into())
    );
    let nobody = edge.connect();
    assert_eq!(edge.receive(nobody, "alice").unwrap_err().0, 102);
    assert_eq!(edge.media.open(), [1]);
}

#[test]
fn a_publisher_of_another_room_cannot_be_received() {
    let (mut edge, ..) = alice_publishes();
    let dave = edge.joined("coffee", "dave");
    assert_eq!(edge.receive(dave, "alice").unwrap_err().0, 102);
}

#[test]
fn missing_parameters_are_named() {
    let (mut edge, _, bob) = alice_publishes();
    let refusal = edge
        .ask(bob, "receiveVideoFrom", json!({ "sdpOffer": "o" }))
        .unwrap_err();
    assert_eq!(refusal, (-1, "Request element 'sender' is missing".into()));
    let refusal = edge
        .ask(bob, "receiveVideoFrom", json!({ "sender": "alice_webcam" }))
        .unwrap_err();
    assert_eq!(refusal, (-1, "Request element 'sdpOffer' is missing".into()));
    let refusal = edge.ask(bob, "unsubscribeFromVideo", json!({})).unwrap_err();
    assert_eq!(refusal, (-1, "Request element 'sender' is missing".into()));
}

#[test]
fn unsubscribing_releases_the_peer_and_answers_with_an_empty_sdp_answer_for_ios() {
    let (mut edge, _, bob) = alice_publishes();
    edge.receive(bob, "alice").unwrap();
    edge.quiet();
    let sender = json!({ "sender": "alice_webcam" });
    assert_eq!(
        edge.ask(bob, "unsubscribeFromVideo", sender.clone()).unwrap(),
        json!({ "sdpAnswer": "", "sessionId": "S" })
    );
    assert_eq!(edge.media.asked, [Asked::Release { endpoint: 2 }]);
    assert!(
        edge.ask(bob, "unsubscribeFromVideo", sender).is_ok(),
        "to end what has ended is no error"
    );
    assert_eq!(
        edge.ask(bob, "unsubscribeFromVideo", json!({ "sender": "carol_webcam" }))
            .unwrap_err()
            .0,
        102
    );
}
