//! What a room looks like in the mix: `customRequest`, and from outside.

use crate::edge::Edge;
use lianmai_mixer_control::Canvas;
use lianmai_mixer_control::scene::{Layout, Scene};
use lianmai_room::{Limits, Output, RoomError, SceneRules};
use serde_json::{Value, json};

fn set(layout: &Value) -> Value {
    json!({ "request": "setLayout", "layout": layout })
}

fn get() -> Value {
    json!({ "request": "getLayout" })
}

/// The scenes that the mixes were told of.
fn told(edge: &mut Edge) -> Vec<(String, Layout)> {
    let changes = edge.events().into_iter().filter_map(|event| match event {
        Output::SceneChanged { room, scene } => Some((room.to_string(), scene.layout)),
        _ => None,
    });
    changes.collect()
}

#[test]
fn a_participant_changes_its_room_and_no_other() {
    let mut edge = Edge::new();
    let (alice, carol) = (edge.joined("tea", "alice"), edge.joined("milk", "carol"));
    let battle = json!({ "layout": { "type": "side_by_side" } });
    assert_eq!(
        edge.ask(alice, "customRequest", set(&battle)),
        Ok(json!({ "sessionId": "S" }))
    );
    assert_eq!(told(&mut edge), [("tea".to_owned(), Layout::SideBySide)]);
    let mut layout = |client| {
        let answer = edge.ask(client, "customRequest", get()).expect("an answer");
        answer["layout"]["layout"]["type"].clone()
    };
    assert_eq!(
        (layout(alice), layout(carol)),
        (json!("side_by_side"), json!("grid"))
    );
}

#[test]
fn who_is_in_no_room_has_nothing_to_say_about_it() {
    let mut edge = Edge::new();
    let stranger = edge.connect();
    for params in [set(&json!({})), get()] {
        assert_eq!(edge.ask(stranger, "customRequest", params).unwrap_err().0, 102);
    }
    assert_eq!(told(&mut edge), []);
}

#[test]
fn what_cannot_be_shown_is_refused_with_32602_and_a_reason_and_changes_nothing() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let region = |x: u32| json!({ "layout": { "type": "custom", "regions": [{ "x": x, "y": 0, "width": 640, "height": 720 }] } });
    for (layout, word) in [
        (json!({ "layout": { "type": "circle" } }), "circle"),
        (json!({ "lay": 1 }), "lay"),
        (region(641), "1280x720"),
        (json!({ "placeholder": "../../etc/passwd" }), ".png"),
        (json!("grid"), "layout"),
        (json!({ "fade_ms": -1 }), "-1"),
    ] {
        let (code, message) = edge.ask(alice, "customRequest", set(&layout)).unwrap_err();
        assert_eq!(code, -32602, "{layout}");
        assert!(message.contains(word), "{message}");
    }
    let (code, _) = edge
        .ask(alice, "customRequest", json!({ "request": "setLayout" }))
        .unwrap_err();
    assert_eq!(code, -1, "a missing parameter, as in every request");
    assert_eq!(told(&mut edge), []);
    assert!(edge.ask(alice, "customRequest", set(&region(640))).is_ok());
}

#[test]
fn from_outside_any_room_that_is_there_can_be_changed() {
    let mut edge = Edge::new();
    edge.joined("tea", "alice");
    let screen = || Scene {
        labels: true,
        ..Scene::default()
    };
    edge.machine.set_scene("tea", screen()).expect("it is there");
    edge.collect();
    assert!(edge.machine.scene("tea").expect("it is there").labels);
    assert_eq!(told(&mut edge).len(), 1);
    let gone = edge.machine.set_scene("milk", screen()).unwrap_err();
    assert!(matches!(gone, RoomError::RoomNotFound { .. }));
    let wrong = Scene {
        fade_ms: 60_000,
        ..screen()
    };
    assert!(matches!(
        edge.machine.set_scene("tea", wrong),
        Err(RoomError::Scene(_))
    ));
}

#[test]
fn a_room_forgets_its_layout_when_it_closes() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.ask(alice, "customRequest", set(&json!({ "labels": true })))
        .expect("taken");
    edge.ask(alice, "leaveRoom", json!({})).expect("left");
    let alice = edge.joined("tea", "alice");
    let answer = edge.ask(alice, "customRequest", get()).expect("an answer");
    assert_eq!(answer["layout"]["labels"], false);
}

#[test]
fn the_next_process_tells_the_mix_again_unless_its_canvas_is_too_small() {
    for (width, expected) in [(1280, 1), (640, 0)] {
        let mut edge = Edge::new();
        let alice = edge.joined("tea", "alice");
        let region = json!({ "x": 700, "y": 0, "width": 500, "height": 300 });
        let layout = json!({ "layout": { "type": "custom", "regions": [region] }, "labels": true });
        edge.ask(alice, "customRequest", set(&layout)).expect("taken");
        told(&mut edge);
        edge.restart(Limits::default());
        let canvas = Canvas {
            width,
            height: 720,
            fps: 30,
        };
        edge.machine.set_scene_rules(SceneRules {
            canvas,
            default: Scene::default(),
        });
        edge.collect();
        assert_eq!(told(&mut edge).len(), expected);
        assert_eq!(
            edge.machine.scene("tea").expect("it is there").labels,
            expected == 1
        );
    }
}
