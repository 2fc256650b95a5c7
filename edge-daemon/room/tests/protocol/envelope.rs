//! JSON-RPC itself: ids, shapes, and texts that are none of it.

use crate::edge::Edge;
use serde_json::{Value, json};

#[test]
fn an_id_comes_back_as_it_was_sent() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    for id in [
        json!(0),
        json!(-7),
        json!(9_007_199_254_740_993_i64),
        json!("12"),
        json!("uuid-like"),
    ] {
        edge.send(alice, &json!({ "jsonrpc": "2.0", "method": "ping", "id": id }));
        assert_eq!(
            edge.hears(alice),
            [json!({ "id": id, "result": { "value": "pong" }, "jsonrpc": "2.0" })]
        );
    }
}

/// JSON-RPC 2.0 §4.1: "The Server MUST NOT reply to a Notification".
#[test]
fn a_request_without_id_is_executed_and_not_answered() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    edge.say(
        alice,
        r#"{"jsonrpc":"2.0","method":"joinRoom","params":{"user":"alice","room":"tea"}}"#,
    );
    edge.say(alice, r#"{"jsonrpc":"2.0","method":"nonsense"}"#);
    edge.say(alice, r#"{"jsonrpc":"2.0","method":"publishVideo","id":null}"#);
    assert!(edge.hears(alice).is_empty());
    assert_eq!(edge.machine.rooms().count(), 1);
}

#[test]
fn an_unknown_method_is_answered_although_the_original_keeps_silent() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    let refusal = edge.ask(alice, "prepareReceiveVideoFrom", json!({})).unwrap_err();
    assert_eq!(
        refusal,
        (-32601, "Unknown method 'prepareReceiveVideoFrom'".into())
    );
    assert_eq!(edge.machine.counters().unknown_methods, 1);
}

#[test]
fn a_custom_request_is_unsupported_as_in_the_stock_server() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let refusal = edge
        .ask(alice, "customRequest", json!({ "hat": true }))
        .unwrap_err();
    assert_eq!(refusal, (-1, "Unsupported method".into()));
}

#[test]
fn what_is_no_json_gets_32700_and_what_is_no_request_32600_and_the_session_goes_on() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    let texts = [
        ("{", -32700),
        ("hello", -32700),
        ("[]", -32600),
        ("{}", -32600),
        ("7", -32600),
    ];
    for (text, code) in texts {
        edge.say(alice, text);
        let heard = edge.hears(alice);
        assert_eq!(heard.len(), 1, "{text}");
        assert_eq!(
            (&heard[0]["id"], &heard[0]["error"]["code"]),
            (&Value::Null, &json!(code)),
            "{text}"
        );
    }
    assert_eq!(edge.machine.counters().malformed, 5);
    assert!(edge.join(alice, "tea", "alice").is_ok());
}

#[test]
fn responses_of_clients_are_ignored_as_the_java_client_sends_them() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    edge.say(
        alice,
        r#"{"jsonrpc":"2.0","id":3,"error":{"code":-1,"message":"Unrecognized request"}}"#,
    );
    edge.say(alice, r#"{"jsonrpc":"2.0","id":4,"result":"push"}"#);
    assert!(edge.hears(alice).is_empty());
}

#[test]
fn parameters_by_position_are_invalid() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    assert_eq!(
        edge.ask(alice, "joinRoom", json!(["alice", "tea"]))
            .unwrap_err()
            .0,
        -32602
    );
}

#[test]
fn polling_over_a_websocket_finds_nothing() {
    let mut edge = Edge::new();
    let alice = edge.connect();
    assert_eq!(
        edge.ask(alice, "poll", json!([])).unwrap(),
        json!({ "value": [], "sessionId": "S" })
    );
}

/// Android casts `result.value`, if there is one, to an array.
#[test]
fn no_room_method_has_a_value_that_is_no_array() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    let chat = json!({ "userMessage": "alice", "roomMessage": "tea", "message": "x" });
    let candidate = json!({ "endpointName": "alice", "candidate": "", "sdpMid": "0", "sdpMLineIndex": 0 });
    let sender = json!({ "sender": "alice_webcam", "sdpOffer": "o" });
    let results = [
        edge.publish(alice),
        edge.ask(bob, "receiveVideoFrom", sender.clone()),
        edge.ask(alice, "onIceCandidate", candidate),
        edge.ask(alice, "sendMessage", chat),
        edge.ask(bob, "unsubscribeFromVideo", sender),
        edge.ask(alice, "unpublishVideo", json!(null)),
        edge.ask(alice, "leaveRoom", json!(null)),
    ];
    for result in results {
        assert_eq!(result.unwrap().get("value"), None);
    }
}
