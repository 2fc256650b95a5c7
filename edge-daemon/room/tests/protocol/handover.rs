//! The process ends without warning, and another goes on with what was written down.

use crate::edge::{Edge, notification};
use lianmai_room::{ConnectionId, EndpointLoss, Limits, Output, Patched};
use lianmai_webrtc::EndpointId;
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn restart(edge: &mut Edge) {
    edge.restart(Limits::default());
}

fn come_back(edge: &mut Edge, session: &str) -> ConnectionId {
    let again = edge.connect();
    edge.ask(again, "connect", json!({ "sessionId": session }))
        .expect("it is known");
    again
}

#[test]
fn clients_come_back_and_nobody_notices() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    edge.publish(alice).expect("published");
    edge.receive(bob, "alice").expect("received");
    let (alice, bob) = (edge.session(alice), edge.session(bob));
    edge.quiet();
    restart(&mut edge);
    edge.pass(9 * SECOND);
    let (alice, bob) = (come_back(&mut edge, &alice), come_back(&mut edge, &bob));
    edge.pass(60 * SECOND);
    assert!(edge.all_hear().is_empty());
    assert!(
        edge.media.asked.is_empty(),
        "media goes on: {:?}",
        edge.media.asked
    );
    assert!(edge.publish(alice).is_err(), "it publishes already");
    assert!(edge.publish(bob).is_ok());
}

#[test]
fn who_does_not_come_back_leaves_ten_seconds_after_the_new_start() {
    let mut edge = Edge::new();
    edge.joined("tea", "alice");
    let bob = edge.joined("tea", "bob");
    edge.pass(3600 * SECOND);
    let bob = edge.session(bob);
    edge.quiet();
    restart(&mut edge);
    let bob = come_back(&mut edge, &bob);
    edge.pass(10 * SECOND);
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
}

#[test]
fn what_a_client_missed_before_the_end_it_hears_after_it() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.joined("tea", "alice"), edge.joined("tea", "bob"));
    let session = edge.session(alice);
    edge.drop_socket(alice);
    edge.publish(bob).expect("published");
    edge.quiet();
    restart(&mut edge);
    let alice = come_back(&mut edge, &session);
    let params = json!({ "id": "bob", "streams": [{ "id": "webcam" }] });
    assert_eq!(edge.hears(alice), [notification("participantPublished", params)]);
}

#[test]
fn an_endpoint_that_was_lost_meanwhile_is_told_to_whom_it_belonged() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).expect("published");
    let session = edge.session(alice);
    edge.quiet();
    restart(&mut edge);
    let endpoint = edge.media.open()[0];
    edge.lose(endpoint, EndpointLoss::Restart);
    let alice = come_back(&mut edge, &session);
    let heard = edge.hears(alice);
    let error = heard[0]["params"]["error"].as_str().expect("a text");
    assert!(error.starts_with("EDGE_RESTARTED: "), "{error}");
    assert!(edge.publish(alice).is_ok(), "it may publish again");
}

#[test]
fn no_number_and_no_id_is_given_out_twice() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    let session = edge.session(alice);
    // The end came before what follows was written down.
    let saved = edge.machine.save(edge.now);
    edge.publish(alice).expect("published");
    let (last, unsaved) = (edge.connect(), edge.media.open());
    edge.machine = lianmai_room::Signalling::restore(saved, edge.now, Limits::default(), [9; 32]);
    edge.collect();
    edge.media = crate::media::Media::default();
    let alice = come_back(&mut edge, &session);
    assert!(alice > last);
    edge.publish(alice).expect("published");
    assert!(edge.media.open()[0] > unsaved[0]);
    let stranger = edge.joined("tea", "bob");
    assert_ne!(edge.session(stranger), session);
}

#[test]
fn whip_and_whep_sessions_answer_under_their_urls() {
    let mut edge = Edge::new();
    let now = edge.now;
    let whip = edge.machine.whip_publish(now, "tea", "cam", "o", &mut edge.media);
    let whep = edge
        .machine
        .whep_subscribe(now, "tea", "cam", "o", &mut edge.media);
    let (whip, whep) = (whip.expect("published"), whep.expect("received"));
    edge.collect();
    restart(&mut edge);
    let machine = &mut edge.machine;
    let tag = format!("{:?}", whip.etag);
    let patched = machine.patch(whip.resource, Some(&tag), "trickle", &mut edge.media);
    assert_eq!(patched, Ok(Patched::Trickled));
    assert_eq!(machine.delete(whep.resource, &mut edge.media), Ok(()));
    assert_eq!(machine.delete(whip.resource, &mut edge.media), Ok(()));
    assert!(edge.media.open().is_empty());
}

#[test]
fn the_new_process_hears_of_rooms_participants_and_publications() {
    let mut edge = Edge::new();
    let alice = edge.joined("tea", "alice");
    edge.publish(alice).expect("published");
    let before = edge.events();
    restart(&mut edge);
    assert_eq!(edge.events(), before);
    assert!(
        matches!(
            before.last(),
            Some(Output::Published {
                endpoint: EndpointId(1),
                ..
            })
        ),
        "{before:?}"
    );
}

#[test]
fn who_joined_without_asking_for_an_answer_leaves_when_its_window_is_over() {
    let mut edge = Edge::new();
    let (alice, bob) = (edge.connect(), edge.joined("tea", "bob"));
    let join =
        json!({ "jsonrpc": "2.0", "method": "joinRoom", "params": { "room": "tea", "user": "alice" } });
    edge.send(alice, &join);
    edge.quiet();
    edge.drop_socket(alice);
    edge.pass(10 * SECOND);
    assert_eq!(
        edge.hears(bob),
        [notification("participantLeft", json!({ "name": "alice" }))]
    );
}
