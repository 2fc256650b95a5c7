//! The process ends without warning, and another goes on with what was written down.

use crate::support::{Client, ENDPOINT, Edge};
use crate::{nomination, wait_for};
use lianmai_webrtc::sdp::Answer;
use lianmai_webrtc::{Credentials, SavedEndpoint, TransportEvent};
use str0m::Event;
use tokio::net::UdpSocket;

/// The client's offer is answered; returns what is written down of its endpoint so far.
async fn accepted(edge: &mut Edge, client: &mut Client) -> (SavedEndpoint, Answer) {
    let (offer, pending) = client.offer();
    let answer = edge.accept(&offer, |_| ()).await;
    client.take(&answer.sdp, pending);
    let local = Credentials {
        ufrag: value(&answer.sdp, "a=ice-ufrag:"),
        pwd: value(&answer.sdp, "a=ice-pwd:"),
    };
    let saved = SavedEndpoint::new(ENDPOINT, local, answer.remote.clone());
    (saved, answer)
}

/// The same, connected.
async fn connected(edge: &mut Edge, client: &mut Client) -> (SavedEndpoint, Answer) {
    let (mut saved, answer) = accepted(edge, client).await;
    client.run_until(|event| matches!(event, Event::Connected)).await;
    assert!(matches!(edge.event().await, TransportEvent::Checking { .. }));
    let TransportEvent::Connected { remote, keys, .. } = edge.event().await else {
        panic!("not connected");
    };
    saved.connected(remote, keys);
    (written(&saved), answer)
}

/// What is read of what was written.
fn written(saved: &SavedEndpoint) -> SavedEndpoint {
    let bytes = postcard::to_stdvec(saved).expect("plain data");
    postcard::from_bytes(&bytes).expect("what was written is read")
}

fn value(sdp: &str, name: &str) -> String {
    let line = sdp.lines().find_map(|line| line.strip_prefix(name));
    line.expect("the attribute").to_owned()
}

#[tokio::test]
async fn a_connected_client_gets_its_checks_answered_and_nothing_begins_anew() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (saved, _) = connected(&mut edge, &mut client).await;
    edge.restart(&[saved]);
    let answered = "stun_messages_total{outcome=\"answered\"}";
    let before = edge.counter(answered);
    client
        .run_beside(wait_for(|| edge.counter(answered) >= before + 2))
        .await;
    assert_eq!(edge.counter("stun_messages_total{outcome=\"unknown_user\"}"), 0);
    assert!(edge.events.try_recv().is_err());
    assert!(client.rtc.is_connected());
}

#[tokio::test]
async fn a_restored_client_may_move() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (saved, answer) = connected(&mut edge, &mut client).await;
    edge.restart(&[saved]);
    let username = format!(
        "{}:{}",
        value(&answer.sdp, "a=ice-ufrag:"),
        answer.remote.ice.ufrag
    );
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let check = nomination(&username, value(&answer.sdp, "a=ice-pwd:"));
    elsewhere.send_to(&check, edge.address).await.expect("sent");
    let TransportEvent::Moved { endpoint, remote } = edge.event().await else {
        panic!("not moved")
    };
    let there = elsewhere.local_addr().expect("bound");
    assert_eq!((endpoint, remote.get()), (ENDPOINT, there));
}

#[tokio::test]
async fn dtls_of_a_restored_client_is_counted_and_dropped() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (saved, _) = connected(&mut edge, &mut client).await;
    edge.restart(&[saved]);
    client.rtc.close().expect("closed");
    let dropped = "transport_drops_total{reason=\"dtls_no_association\"}";
    client.run_beside(wait_for(|| edge.counter(dropped) >= 1)).await;
    assert!(edge.events.try_recv().is_err(), "a farewell is not understood");
}

#[tokio::test]
async fn a_client_that_was_not_connected_yet_connects_to_the_new_process() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (saved, _) = accepted(&mut edge, &mut client).await;
    edge.restart(&[written(&saved)]);
    client.run_until(|event| matches!(event, Event::Connected)).await;
    assert!(matches!(edge.event().await, TransportEvent::Checking { .. }));
    assert!(matches!(edge.event().await, TransportEvent::Connected { .. }));
}

#[tokio::test]
async fn keys_and_passwords_stay_out_of_logs() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (saved, answer) = connected(&mut edge, &mut client).await;
    let shown = format!("{saved:?} {:?}", edge.certificate.save());
    let (_, keys) = saved.connection().expect("connected");
    assert!(!shown.contains(&format!("{:?}", keys.inbound.key)), "{shown}");
    assert!(!shown.contains(&value(&answer.sdp, "a=ice-pwd:")), "{shown}");
    assert!(shown.ends_with("SavedCertificate(..)"), "{shown}");
}
