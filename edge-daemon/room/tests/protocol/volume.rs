//! How loud somebody is in the mix, by `customRequest`.

use crate::edge::Edge;
use lianmai_room::Output;
use serde_json::{Value, json};

fn set(user: &str, volume: &Value) -> Value {
    json!({ "request": "setVolume", "user": user, "volume": volume })
}

fn told(edge: &mut Edge) -> Vec<(String, u16)> {
    let changes = edge.events().into_iter().filter_map(|event| match event {
        Output::VolumeChanged { room, volume, .. } => Some((room.to_string(), volume.percent())),
        _ => None,
    });
    changes.collect()
}

#[test]
fn a_participant_says_how_loud_a_publisher_of_its_room_is() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(bob).expect("published");
    for volume in [json!(150), json!("0"), json!(200)] {
        let answer = edge.ask(alice, "customRequest", set("bob", &volume));
        assert_eq!(answer, Ok(json!({ "sessionId": "S" })));
    }
    let expected = [150, 0, 200].map(|volume| ("tea".to_owned(), volume));
    assert_eq!(told(&mut edge), expected);
}

#[test]
fn what_is_no_volume_of_a_publisher_is_refused_and_changes_nothing() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(bob).expect("published");
    let dave = edge.joined("milk", "dave");
    edge.publish(dave).expect("published");
    let stranger = edge.connect();
    for (client, user, volume, code) in [
        (alice, "bob", json!(201), -32602),
        (alice, "bob", json!(-1), -32602),
        (alice, "bob", json!("loud"), -32602),
        (alice, "bob", Value::Null, -1),
        (alice, "alice", json!(50), 105),
        (alice, "dave", json!(50), 102),
        (alice, "nobody", json!(50), 102),
        (stranger, "bob", json!(50), 102),
    ] {
        let answer = edge.ask(client, "customRequest", set(user, &volume));
        assert_eq!(answer.unwrap_err().0, code, "{user} {volume}");
    }
    assert_eq!(told(&mut edge), []);
}
