//! ICE and DTLS over loopback sockets, with `str0m` as a client that is not ours.

mod resume;
mod support;

use lianmai_webrtc::sdp::Offer;
use lianmai_webrtc::{
    DtlsRole, Fingerprint, HashFunction, LostReason, SrtpKeys, SrtpProfile, TransportEvent,
};
use std::time::{Duration, Instant};
use str0m::Event;
use str0m::media::MediaTime;
use stun::attributes::{ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME};
use stun::fingerprint::FINGERPRINT;
use stun::integrity::MessageIntegrity;
use stun::message::{BINDING_REQUEST, Message, Setter};
use support::{Client, ENDPOINT, Edge};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

/// Signals, and runs the client until both sides are connected.
async fn connect(edge: &mut Edge, client: &mut Client) -> SrtpKeys {
    let (offer, pending) = client.offer();
    let answer = edge.accept(&offer, |_| ()).await;
    client.take(&answer.sdp, pending);
    client.run_until(|event| matches!(event, Event::Connected)).await;
    assert_eq!(
        edge.event().await,
        TransportEvent::Checking { endpoint: ENDPOINT }
    );
    let TransportEvent::Connected {
        endpoint,
        remote,
        keys,
        handshake_rtt,
    } = edge.event().await
    else {
        panic!("not connected");
    };
    assert_eq!(endpoint, ENDPOINT);
    assert_eq!(remote.get(), client.socket.local_addr().expect("bound"));
    assert!(handshake_rtt.is_some_and(|rtt| rtt < Duration::from_secs(5)));
    keys
}

#[tokio::test]
async fn a_client_connects_with_gcm_and_our_keys_open_its_media() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let keys = connect(&mut edge, &mut client).await;
    assert_eq!(keys.profile, SrtpProfile::AeadAes128Gcm);
    assert_eq!(
        edge.counter("dtls_connected_total{profile=\"aead_aes_128_gcm\"}"),
        1
    );

    let audio = client.audio.expect("offered");
    let writer = client.rtc.writer(audio).expect("a writer");
    let payload_type = writer.payload_params().next().expect("a codec").pt();
    let time = MediaTime::from_90khz(0);
    writer
        .write(payload_type, Instant::now(), time, b"an opus packet".to_vec())
        .expect("written");
    let packet = client.run_beside(edge.media.recv()).await.expect("a packet");
    let mut context = Context::new(
        &keys.inbound.key,
        &keys.inbound.salt,
        ProtectionProfile::AeadAes128Gcm,
        None,
        None,
    )
    .expect("keys");
    let opened = context
        .decrypt_rtp(&packet)
        .expect("the keys of both sides agree");
    assert!(opened.ends_with(b"an opus packet"));
}

#[tokio::test]
async fn we_connect_as_dtls_client_when_the_offer_is_passive() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (offer, pending) = client.offer();
    let passive = offer.replace("a=setup:actpass", "a=setup:passive");
    let answer = edge
        .accept(&passive, |remote| assert_eq!(remote.role, DtlsRole::Client))
        .await;
    client.take(&answer.sdp, pending);
    client.run_until(|event| matches!(event, Event::Connected)).await;
    assert_eq!(
        edge.event().await,
        TransportEvent::Checking { endpoint: ENDPOINT }
    );
    let TransportEvent::Connected { keys, .. } = client.run_beside(edge.event()).await else {
        panic!("not connected")
    };
    assert_eq!(keys.profile, SrtpProfile::AeadAes128Gcm);
}

#[tokio::test]
async fn a_client_that_nominates_another_address_is_followed() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (offer, pending) = client.offer();
    let answer = edge.accept(&offer, |_| ()).await;
    client.take(&answer.sdp, pending);
    client.run_until(|event| matches!(event, Event::Connected)).await;
    assert!(matches!(edge.event().await, TransportEvent::Checking { .. }));
    assert!(matches!(edge.event().await, TransportEvent::Connected { .. }));

    let value = |sdp: &str, name: &str| {
        let line = sdp.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the attribute").to_owned()
    };
    let username = format!(
        "{}:{}",
        value(&answer.sdp, "a=ice-ufrag:"),
        value(&offer, "a=ice-ufrag:")
    );
    let check = nomination(&username, value(&answer.sdp, "a=ice-pwd:"));
    let elsewhere = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    elsewhere.send_to(&check, edge.address).await.expect("sent");
    let TransportEvent::Moved { endpoint, remote } = edge.event().await else {
        panic!("not moved")
    };
    assert_eq!(
        (endpoint, remote.get()),
        (ENDPOINT, elsewhere.local_addr().expect("bound"))
    );
}

/// A check of the highest priority with USE-CANDIDATE.
fn nomination(username: &str, password: String) -> Vec<u8> {
    let mut check = Message::new();
    check.new_transaction_id().expect("random");
    check.set_type(BINDING_REQUEST);
    check.write_header();
    check.add(ATTR_USERNAME, username.as_bytes());
    check.add(ATTR_PRIORITY, &u32::MAX.to_be_bytes());
    check.add(ATTR_USE_CANDIDATE, &[]);
    MessageIntegrity::new_short_term_integrity(password)
        .add_to(&mut check)
        .expect("room");
    FINGERPRINT.add_to(&mut check).expect("room");
    check.raw
}

#[tokio::test]
async fn a_removed_endpoint_says_goodbye() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    connect(&mut edge, &mut client).await;
    edge.handle.remove(ENDPOINT);
    client.run_until(|event| matches!(event, Event::Closed)).await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_reported() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    connect(&mut edge, &mut client).await;
    client.rtc.close().expect("closed");
    let event = client.run_beside(edge.event()).await;
    assert_eq!(
        event,
        TransportEvent::Lost {
            endpoint: ENDPOINT,
            reason: LostReason::PeerClosed
        }
    );
}

// RFC 6347 §4.2.4: the side that sends the last flight must send it again when the peer repeats its own.
#[tokio::test]
async fn a_lost_last_flight_is_sent_again() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let mut to_lose = 2;
    client.loses = Box::new(move |datagram| {
        // A ChangeCipherSpec record opens the server's last flight.
        let lost = datagram.first() == Some(&20) && to_lose > 0;
        to_lose -= i32::from(lost);
        lost
    });
    connect(&mut edge, &mut client).await;
}

#[tokio::test]
async fn a_lost_first_answer_is_sent_again() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let mut to_lose = 1;
    client.loses = Box::new(move |datagram| {
        let lost = datagram.first() == Some(&22) && to_lose > 0;
        to_lose -= i32::from(lost);
        lost
    });
    connect(&mut edge, &mut client).await;
}

#[tokio::test]
async fn a_certificate_that_the_sdp_did_not_announce_gets_no_keys() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (offer, pending) = client.offer();
    let forged = Fingerprint::of(HashFunction::Sha256, b"somebody else");
    let answer = edge
        .accept(&offer, |remote| remote.fingerprints = vec![forged])
        .await;
    client.take(&answer.sdp, pending);
    assert_eq!(
        client.run_beside(edge.event()).await,
        TransportEvent::Checking { endpoint: ENDPOINT }
    );
    let event = client.run_beside(edge.event()).await;
    assert_eq!(
        event,
        TransportEvent::Lost {
            endpoint: ENDPOINT,
            reason: LostReason::FingerprintMismatch
        }
    );
    assert_eq!(
        edge.counter("endpoints_lost_total{reason=\"fingerprint_mismatch\"}"),
        1
    );
}

/// A ClientHello that would be answered, were its sender known.
const CLIENT_HELLO: &[u8] = &[
    22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 254, 253, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 192, 43,
    1, 0,
];

#[tokio::test]
async fn dtls_from_an_address_that_was_not_validated_gets_not_one_byte_back() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    connect(&mut edge, &mut client).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    for _ in 0..50 {
        stranger.send_to(CLIENT_HELLO, edge.address).await.expect("sent");
    }
    wait_for(|| edge.counter("transport_drops_total{reason=\"dtls_unvalidated\"}") == 50).await;
    assert!(stranger.try_recv(&mut [0; 2048]).is_err(), "an answer is waiting");
}

#[tokio::test]
async fn a_check_with_a_wrong_password_meets_silence() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (offer, pending) = client.offer();
    let answer = edge.accept(&offer, |_| ()).await;
    let pwd = answer
        .sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-pwd:"))
        .expect("a password");
    client.take(
        &answer.sdp.replace(pwd, "not-the-password-of-the-edge-at-all"),
        pending,
    );
    client.loses = Box::new(|_| panic!("an answer came"));
    client
        .run_beside(wait_for(|| {
            edge.counter("stun_messages_total{outcome=\"wrong_password\"}") >= 3
        }))
        .await;
    assert_eq!(edge.counter("stun_messages_total{outcome=\"answered\"}"), 0);
}

#[tokio::test]
async fn noise_on_the_port_harms_nobody() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let noise = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    for first in 0..=255u8 {
        for len in [1, 2, 13, 20, 60, 1400] {
            noise
                .send_to(&vec![first; len], edge.address)
                .await
                .expect("sent");
        }
    }
    connect(&mut edge, &mut client).await;
    assert!(noise.try_recv(&mut [0; 2048]).is_err(), "an answer is waiting");
}

#[tokio::test]
async fn dtls_noise_from_a_validated_address_ends_no_handshake() {
    let (mut edge, mut client) = (Edge::start(), Client::new().await);
    let (offer, pending) = client.offer();
    let answer = edge.accept(&offer, |_| ()).await;
    client.take(&answer.sdp, pending);
    let checking = client.run_beside(edge.event()).await;
    assert_eq!(checking, TransportEvent::Checking { endpoint: ENDPOINT });
    for len in 0..60 {
        let mut datagram = CLIENT_HELLO[..len].to_vec();
        datagram.resize(60, 0xaa);
        client
            .socket
            .send_to(&datagram, edge.address)
            .await
            .expect("sent");
    }
    client.run_until(|event| matches!(event, Event::Connected)).await;
    assert!(matches!(edge.event().await, TransportEvent::Connected { .. }));
}

#[tokio::test]
async fn an_offer_of_str0m_is_read_like_a_browsers() {
    let (offer, _) = Client::new().await.offer();
    assert!(Offer::parse(&offer).is_ok());
}

/// Polls a condition that another task will make true.
async fn wait_for(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(support::PATIENCE, poll)
        .await
        .expect("the condition comes true");
}
