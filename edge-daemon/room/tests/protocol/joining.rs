//! `joinRoom` and `participantJoined`.

use crate::edge::{Edge, notification};
use lianmai_room::Output;
use serde_json::json;

#[test]
fn the_first_one_opens_the_room_and_finds_nobody() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    edge.say(
        alice,
        r#"{"jsonrpc":"2.0","method":"joinRoom","params":{"user":"alice","room":"tea"},"id":0}"#,
    );
    assert_eq!(
        edge.hears(alice),
        [json!({"id":0,"result":{"value":[],"sessionId":"S"},"jsonrpc":"2.0"})]
    );
    assert_eq!(edge.session(alice).len(), 26);
    let [Output::RoomOpened { room }, Output::Joined { user, .. }] = &edge.events()[..] else {
        panic!()
    };
    assert_eq!((room.as_str(), user.as_str()), ("tea", "alice"));
}

#[test]
fn others_are_listed_with_their_streams_and_the_list_is_empty_for_those_who_publish_nothing() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.joined("tea", "bob");
    edge.publish(alice).unwrap();
    let carol = edge.connect();
    assert_eq!(
        edge.join(carol, "tea", "carol").unwrap(),
        json!({ "value": [{ "id": "alice", "streams": [{ "id": "webcam" }] }, { "id": "bob", "streams": [] }], "sessionId": "S" })
    );
}

#[test]
fn others_hear_of_it_before_the_response_and_other_rooms_never() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.joined("coffee", "dave");
    edge.quiet();
    let bob = edge.connect();
    edge.send(bob, &json!({ "jsonrpc": "2.0", "method": "joinRoom", "params": { "user": "bob", "room": "tea" }, "id": 0 }));
    let heard = edge.all_hear();
    let [first, (second, response)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(
        *first,
        (alice, notification("participantJoined", json!({ "id": "bob" })))
    );
    assert_eq!((*second, &response["id"]), (bob, &json!(0)));
}

#[test]
fn a_name_in_use_is_error_104_with_the_sentence_of_the_original() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.quiet();
    let other = edge.connect();
    edge.say(
        other,
        r#"{"jsonrpc":"2.0","method":"joinRoom","params":{"user":"alice","room":"tea"},"id":7}"#,
    );
    let message = "User 'alice' already exists in room 'tea'";
    assert_eq!(
        edge.hears(other),
        [
            json!({ "id": 7, "error": { "code": 104, "message": message, "sessionId": "S" }, "jsonrpc": "2.0" })
        ]
    );
    assert!(edge.hears(alice).is_empty());
    assert!(
        edge.join(other, "coffee", "alice").is_ok(),
        "the same name is free in another room"
    );
}

#[test]
fn one_session_is_one_participant() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    for (room, user) in [("tea", "alice"), ("tea", "alicia"), ("coffee", "alice")] {
        assert_eq!(
            edge.join(alice, room, user).unwrap_err().0,
            104,
            "{user} in {room}"
        );
    }
    assert_eq!(edge.machine.rooms().count(), 1);
}

#[test]
fn missing_parameters_are_error_minus_1_as_from_the_original() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    for (params, missing) in [
        (json!({ "user": "alice" }), "room"),
        (json!({ "room": "tea" }), "user"),
        (json!({}), "room"),
        (json!(null), "room"),
    ] {
        let refusal = edge.ask(alice, "joinRoom", params).unwrap_err();
        assert_eq!(refusal, (-1, format!("Request element '{missing}' is missing")));
    }
}

#[test]
fn names_must_be_visible_short_and_printable() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    for user in ["", "  ", "a\nb", &"x".repeat(129)] {
        assert_eq!(edge.join(alice, "tea", user).unwrap_err().0, 999, "{user:?}");
        assert_eq!(edge.join(alice, user, "alice").unwrap_err().0, 201, "{user:?}");
    }
}

#[test]
fn data_channels_and_unknown_capabilities_change_nothing() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    let params =
        json!({ "user": "alice", "room": "tea", "dataChannels": true, "capabilities": ["teleport", 7] });
    assert_eq!(
        edge.ask(alice, "joinRoom", params).unwrap(),
        json!({ "value": [], "sessionId": "S" })
    );
}

#[test]
fn names_that_are_numbers_are_taken_as_texts() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    edge.ask(alice, "joinRoom", json!({ "user": 7, "room": 101 }))
        .unwrap();
    let room = edge.machine.rooms().next().unwrap();
    assert_eq!(
        (room.name.as_str(), room.participants[0].name.as_str()),
        ("101", "7")
    );
}
