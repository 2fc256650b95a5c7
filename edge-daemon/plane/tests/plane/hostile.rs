//! What reaches nobody.

use crate::support::{GCM, Peer, Plane, SHA1, VIDEO, packet, socket, video, video_leg, video_track};
use lianmai_plane::DropReason;
use lianmai_webrtc::DatagramSink;

/// A publisher with one leg.
fn pair(profile: lianmai_webrtc::SrtpProfile) -> (Plane, Peer, Peer) {
    let plane = Plane::start();
    let publisher = plane.connect(1, profile);
    plane.publish(&publisher, vec![video_track()]);
    let leg = plane.connect(2, profile);
    plane.subscribe(&leg, &publisher, vec![video_leg(96, None)]);
    (plane, publisher, leg)
}

/// DESIGN §3, invariant 1.
#[test]
fn a_forged_tag_from_the_right_address_reaches_nobody() {
    for profile in [GCM, SHA1] {
        let (plane, mut publisher, mut leg) = pair(profile);
        publisher.send(&video(1));
        for at in [12, 40, 200] {
            let mut forged = publisher.seal(&video(2));
            forged[at] ^= 0x10;
            publisher.send_raw(&forged);
        }
        publisher.send(&video(3));
        leg.expect_next(1);
        leg.expect_next(3);
        assert_eq!(plane.metrics().dropped(DropReason::Forged), 3);
    }
}

#[test]
fn a_replay_reaches_nobody() {
    for profile in [GCM, SHA1] {
        let (plane, mut publisher, mut leg) = pair(profile);
        let first = publisher.seal(&video(1));
        publisher.send_raw(&first);
        publisher.send_raw(&first);
        publisher.send(&video(2));
        publisher.send_raw(&first);
        publisher.send(&video(3));
        (1..=3).for_each(|sequence| leg.expect_next(sequence));
        assert_eq!(plane.metrics().dropped(DropReason::Replayed), 2);
    }
}

#[test]
fn the_right_packet_from_another_address_reaches_nobody() {
    let (plane, mut publisher, mut leg) = pair(GCM);
    let stolen = publisher.seal(&video(1));
    socket().send_to(&stolen, plane.address()).expect("sent");
    publisher.send(&video(2));
    leg.expect_next(2);
    assert_eq!(plane.metrics().dropped(DropReason::UnknownAddress), 1);
}

#[test]
fn a_flood_of_forged_ssrcs_does_not_stop_the_stream() {
    let (plane, mut publisher, mut leg) = pair(GCM);
    for ssrc in 0..200u32 {
        publisher.send_raw(&packet(102, ssrc, 1, &[], &[1; 60]));
    }
    publisher.send(&video(2));
    leg.expect_next(2);
    assert_eq!(plane.metrics().dropped(DropReason::Forged), 200);
}

#[test]
fn junk_of_every_length_from_a_known_address_is_survived() {
    let (plane, mut publisher, mut leg) = pair(SHA1);
    let mut sent = 0;
    for second in [96, 200, 205, 206] {
        for len in 2..120 {
            let mut junk = vec![0xff; len];
            (junk[0], junk[1]) = (0xbf, second);
            publisher.send_raw(&junk);
            sent += 1;
        }
        // Far fewer than a receive buffer holds.
        plane.wait_until("all junk is counted", |_, metrics| {
            let reasons = [DropReason::Malformed, DropReason::Forged, DropReason::Unencrypted];
            reasons.iter().map(|&reason| metrics.dropped(reason)).sum::<u64>() == sent
        });
    }
    publisher.send(&video(2));
    leg.expect_next(2);
}

#[test]
fn media_of_an_endpoint_that_publishes_nothing_reaches_nobody() {
    let (plane, mut publisher, mut leg) = pair(GCM);
    leg.send(&video(1));
    plane.wait_until("it is counted", |_, metrics| {
        metrics.dropped(DropReason::NotPublishing) == 1
    });
    publisher.send(&video(2));
    leg.expect_next(2);
}

#[test]
fn stun_and_dtls_go_to_signalling_with_their_sender_and_nothing_else_does() {
    let mut plane = Plane::start();
    let stranger = socket();
    for datagram in [
        b"\x00\x01stun".as_slice(),
        b"\x16\xfe\xfddtls",
        b"\x05noise",
        b"\x80\x60rtp",
        b"",
        b"\x03end",
    ] {
        stranger.send_to(datagram, plane.address()).expect("sent");
    }
    let from = stranger.local_addr().expect("bound");
    for expected in [b"\x00\x01stun".as_slice(), b"\x16\xfe\xfddtls", b"\x03end"] {
        let datagram = plane.outputs.datagrams.blocking_recv().expect("a running plane");
        assert_eq!((datagram.from, &datagram.bytes[..]), (from, expected));
    }
    assert_eq!(plane.metrics().dropped(DropReason::NotServed), 2);
    plane.outputs.sender.send(from, b"answer").expect("sent");
    let mut buffer = [0; 16];
    let (len, answerer) = stranger.recv_from(&mut buffer).expect("an answer");
    assert_eq!(
        (&buffer[..len], answerer),
        (b"answer".as_slice(), plane.address())
    );
}

#[test]
fn signalling_that_does_not_read_costs_the_talk_nothing() {
    let (plane, mut publisher, mut leg) = pair(GCM);
    let stranger = socket();
    for round in 0..30u16 {
        (0..50).for_each(|_| _ = stranger.send_to(b"\x00\x01stun", plane.address()).expect("sent"));
        publisher.send(&video(round));
        leg.expect_next(round);
    }
    plane.wait_until("1024 wait and the rest is dropped", |_, metrics| {
        metrics.dropped(DropReason::SignallingBusy) == 1_500 - 1_024
    });
}

#[test]
fn a_datagram_that_no_buffer_holds_is_dropped_whole() {
    let (plane, mut publisher, mut leg) = pair(GCM);
    publisher.send(&packet(102, VIDEO, 1, &[], &[7; 4_000]));
    publisher.send(&video(2));
    leg.expect_next(2);
    assert_eq!(plane.metrics().dropped(DropReason::Oversized), 1);
}
