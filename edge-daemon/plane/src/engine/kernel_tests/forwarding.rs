//! A stream in the kernel, and what stays with the daemon.

use crate::engine::lab::{GCM, HOST, LOOK, Lab, SHA1, VIDEO};
use crate::metrics::{DropReason, PacketKind, Path};
use lianmai_fanout::{RtpPacket, Ssrc};
use lianmai_webrtc::EndpointId;
use std::time::Duration;

const FIRST: EndpointId = EndpointId(2);
const SECOND: EndpointId = EndpointId(3);
const MS: Duration = Duration::from_millis(1);

fn transport_sequence(packet: &[u8]) -> u16 {
    let packet = RtpPacket::parse(packet).expect("RTP");
    let bytes = packet
        .extension(5)
        .and_then(<[u8]>::first_chunk)
        .expect("a number");
    u16::from_be_bytes(*bytes)
}

#[test]
fn after_its_first_packet_a_stream_is_the_kernels_and_every_leg_opens_all_of_it() {
    let mut lab = Lab::with_legs(500, &[GCM, GCM]);
    lab.stream(300, 4 * MS);
    lab.pass(10 * MS);
    for leg in [FIRST, SECOND] {
        let received = lab.peer(leg).received.clone();
        let numbers: Vec<u16> = received.iter().map(|packet| transport_sequence(packet)).collect();
        assert_eq!(numbers, (0..300).collect::<Vec<_>>(), "one count for both planes");
        assert_eq!(lab.got(leg), (500..800).collect::<Vec<_>>());
        let stats = lab.leg(leg);
        assert_eq!(stats.packets, 300);
        assert!(stats.by_kernel > 280, "{stats:?}");
        let bytes: usize = received.iter().map(|packet| packet.len() + 16).sum();
        assert_eq!(stats.bytes, bytes as u64);
    }
    let flow = lab.flow().expect("in the kernel");
    assert_eq!((flow.legs, flow.depth), (2, 1_024));
    let by_kernel = lab.metrics.taken(Path::Kernel);
    assert_eq!(by_kernel + lab.metrics.taken(Path::Daemon), 300);
    assert_eq!(lab.metrics.forwarded(Path::Kernel), 2 * by_kernel);
    assert_eq!(
        lab.metrics.sent(PacketKind::Rtp),
        2 * by_kernel,
        "the thread counts those that it sends itself"
    );
    assert_eq!(lab.metrics.left_behind(), 0);
}

#[test]
fn the_source_counts_packets_of_both_planes() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(50, 4 * MS);
    let snapshot = lab.engine.snapshot();
    let source = snapshot
        .endpoint(HOST)
        .and_then(|endpoint| endpoint.source.as_ref())
        .expect("a source");
    assert_eq!((source.tracks[0].packets, source.tracks[0].lost), (51, 0));
    assert_eq!(source.tracks[0].kernel, lab.flow());
}

/// RFC 3711 §3.3.1: the rollover counter goes up with every wrap, of the publisher and of each leg for itself.
#[test]
fn the_sequence_number_wraps_in_the_kernel() {
    let mut lab = Lab::running(65_400, &[GCM]);
    lab.stream(300, 4 * MS);
    lab.pass(10 * MS);
    let expected: Vec<u16> = (0..301).map(|step| 65_400u16.wrapping_add(step)).collect();
    assert_eq!(lab.got(FIRST), expected);
    assert_eq!(lab.metrics.taken(Path::Daemon), 1);
}

/// A receiver that joins late starts at the rollover counter 0, so that its indices are 65,536 behind the publisher's.
#[test]
fn a_leg_that_joins_after_a_wrap_has_its_own_rollover_counter_in_the_kernel() {
    let mut lab = Lab::running(65_500, &[GCM]);
    lab.stream(100, 4 * MS);
    lab.join(SECOND, GCM);
    lab.stream(100, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(SECOND), (65..165).collect::<Vec<u16>>());
    assert_eq!(lab.got(FIRST).len(), 201);
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
    assert!(lab.leg(SECOND).by_kernel > 70);
    // Over the wraps of both, in leaps that are still forwards.
    for _ in 0..3 {
        let next = lab.peer(HOST).next.wrapping_add(30_000);
        lab.peer(HOST).next = next;
        lab.stream(50, 4 * MS);
        lab.pass(10 * MS);
        let expected: Vec<u16> = (0..50).map(|step| next.wrapping_add(step)).collect();
        assert_eq!((lab.got(FIRST), lab.got(SECOND)), (expected.clone(), expected));
    }
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
}

#[test]
fn a_leg_that_joins_across_the_wrap_of_the_publisher_is_served_throughout() {
    let mut lab = Lab::running(65_000, &[GCM]);
    lab.stream(532, MS);
    lab.join(SECOND, GCM);
    lab.stream(200, MS);
    lab.pass(10 * MS);
    let expected: Vec<u16> = (0..200).map(|step| 65_533u16.wrapping_add(step)).collect();
    assert_eq!(lab.got(SECOND), expected);
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
}

#[test]
fn a_leg_of_the_other_profile_is_served_by_the_daemon_beside_those_of_the_kernel() {
    let mut lab = Lab::running(65_500, &[GCM, SHA1, GCM]);
    lab.stream(100, 4 * MS);
    lab.pass(10 * MS);
    let expected: Vec<u16> = (0..101).map(|step| 65_500u16.wrapping_add(step)).collect();
    for id in [2, 3, 4].map(EndpointId) {
        assert_eq!(lab.got(id), expected, "{id}");
    }
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
    assert_eq!((lab.leg(SECOND).packets, lab.leg(SECOND).by_kernel), (101, 0));
    assert_eq!(lab.metrics.dropped(DropReason::AlreadySealed), 0);
}

#[test]
fn copies_are_looked_at_sooner_while_a_leg_waits_for_them() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(300, 4 * MS);
    assert_eq!(lab.engine.look_within(lab.now.at), Some(LOOK));
    lab.join(SECOND, SHA1);
    lab.send();
    lab.pass(LOOK);
    assert_eq!(lab.engine.look_within(lab.now.at), Some(MS));
}

#[test]
fn without_a_leg_that_the_kernel_can_serve_a_stream_takes_no_detour() {
    for profile in [SHA1, GCM] {
        let mut lab = Lab::with_legs(0, &[profile]);
        let address = lab.peers[&FIRST].address;
        lab.ground.out_of_reach.insert(address);
        lab.stream(50, 4 * MS);
        assert_eq!(lab.flow(), None, "{profile:?}");
        assert_eq!(lab.got(FIRST), (0..50).collect::<Vec<_>>());
        assert_eq!(lab.engine.look_within(lab.now.at), None);
    }
}

#[test]
fn a_publisher_of_the_other_profile_stays_with_the_daemon() {
    let mut lab = Lab::new();
    lab.connect(HOST, SHA1);
    lab.publish(vec![crate::engine::lab::video_track()]);
    lab.join(FIRST, GCM);
    lab.stream(50, 4 * MS);
    assert_eq!((lab.flow(), lab.got(FIRST).len()), (None, 50));
}

#[test]
fn a_leg_beyond_the_kernels_reach_is_served_by_the_daemon() {
    let mut lab = Lab::with_legs(0, &[GCM, GCM]);
    let address = lab.peers[&SECOND].address;
    lab.ground.out_of_reach.insert(address);
    lab.stream(100, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.flow().expect("for the other").legs, 1);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (100, 100));
    // Its next hop becomes known.
    lab.ground.out_of_reach.clear();
    lab.engine.routes_changed();
    lab.stream(100, 4 * MS);
    assert_eq!(lab.flow().expect("for both").legs, 2);
    assert_eq!(lab.got(SECOND).len(), 100);
}

#[test]
fn the_sixteenth_leg_is_served_by_the_daemon_until_another_one_leaves() {
    let mut lab = Lab::running(0, &[GCM; 16]);
    lab.stream(50, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.flow().expect("in the kernel").legs, 15);
    for id in (2..18).map(EndpointId) {
        assert_eq!(lab.got(id).len(), 51, "{id}");
    }
    lab.apply(crate::command::Command::Remove { endpoint: SECOND });
    lab.stream(50, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.flow().expect("in the kernel").legs, 15);
    assert_eq!(lab.got(EndpointId(17)).len(), 50);
    assert!(lab.leg(EndpointId(17)).by_kernel > 20);
}

/// Its pads are filled while it is served already.
#[test]
fn a_leg_that_joined_just_now_holds_the_kernel_to_the_pads_that_it_has() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.join(SECOND, GCM);
    lab.send();
    lab.skip(100 * MS);
    lab.take_copies();
    lab.engine.feed(lab.now, &mut lab.ground);
    assert_eq!(lab.records().len(), 2);
    lab.peer(HOST).next += 150;
    let packet = lab.sealed();
    assert!(
        matches!(lab.ingress(&packet), crate::engine::lab::Verdict::Passed),
        "the first leg has pads for it"
    );
    lab.turn();
    assert!(matches!(
        lab.ingress(&packet),
        crate::engine::lab::Verdict::Taken(_)
    ));
}

#[test]
fn what_the_kernel_does_not_take_is_forwarded_by_the_daemon_to_the_same_legs() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    for round in 0..100 {
        let packet = lab.sealed();
        // A fragment, an IP option, a VLAN tag: the program does not look at it.
        if round % 3 == 0 {
            lab.at_socket(&packet);
        } else {
            lab.arrive(&packet);
        }
        lab.pass(4 * MS);
    }
    lab.pass(10 * MS);
    for leg in [FIRST, SECOND] {
        assert_eq!(lab.got(leg), (0..101).collect::<Vec<_>>());
    }
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 0);
}

#[test]
fn a_gap_beyond_the_rings_is_bridged_by_the_daemon_and_the_kernel_goes_on() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(20, 4 * MS);
    lab.peer(HOST).next += 5_000;
    lab.stream(100, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST).len(), 121);
    assert_eq!(
        lab.metrics.taken(Path::Daemon),
        2,
        "the first packet, and the first one behind the gap"
    );
}

#[test]
fn a_stream_faster_than_its_rings_gets_deeper_ones_and_loses_nothing() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    assert_eq!(lab.flow().expect("in the kernel").depth, 1_024);
    lab.stream(5_000, MS);
    lab.pass(10 * MS);
    assert_eq!(lab.flow().expect("in the kernel").depth, 4_096);
    for leg in [FIRST, SECOND] {
        assert_eq!(lab.got(leg), (0..5_001).collect::<Vec<_>>());
    }
    assert_eq!(lab.metrics.taken(Path::Daemon), 1, "the first packet");
    assert_eq!(lab.metrics.left_behind(), 0);
}

/// Copies that nobody has time to read are no reason for pads to run out.
#[test]
fn rings_are_filled_ahead_of_what_the_kernel_took_though_its_copies_wait() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    for _ in 0..200 {
        (0..10).for_each(|_| lab.send());
        lab.skip(4 * MS);
        lab.turn_without_copies();
    }
    assert_eq!(lab.metrics.taken(Path::Daemon), 1, "the first packet");
    lab.pass(10 * MS);
    for leg in [FIRST, SECOND] {
        assert_eq!(lab.got(leg), (0..2_001).collect::<Vec<_>>());
    }
}

#[test]
fn a_silent_stream_stays_in_the_kernel() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.pass(Duration::from_secs(60));
    lab.stream(10, MS);
    assert_eq!(lab.metrics.taken(Path::Daemon), 1);
}

#[test]
fn a_forged_packet_changes_nothing_on_either_way() {
    let mut lab = Lab::running(0, &[GCM]);
    let packet = lab.sealed();
    for at in [12, 20, 60, packet.len() - 1] {
        let mut forged = packet.clone();
        forged[at] ^= 1;
        lab.arrive(&forged);
        lab.at_socket(&forged);
    }
    lab.arrive(&packet);
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST), [0, 1]);
    assert_eq!(lab.metrics.dropped(DropReason::Forged), 4);
}

#[test]
fn legs_ask_again_for_what_the_kernel_sent_them_and_get_it_on_their_rtx_stream() {
    let mut lab = Lab::with_legs(0, &[GCM]);
    let mut track = crate::engine::lab::video_leg(96);
    track.rtx_payload_type = Some(lianmai_fanout::PayloadType(97));
    track.rtx_ssrc = Some(Ssrc(0x77));
    lab.apply(crate::command::Command::Subscribe {
        endpoint: FIRST,
        source: HOST,
        tracks: vec![track],
    });
    lab.send();
    lab.pass(100 * MS);
    lab.stream(20, 4 * MS);
    lab.pass(10 * MS);
    let before = lab.peer(FIRST).received.clone();
    let missing = [lianmai_fanout::SequenceNumber(15)];
    let (now, mut out) = (lab.now, crate::outbox::Outbox::default());
    lab.engine
        .retransmit(now, FIRST, HOST, Ssrc(VIDEO), &missing, &mut out);
    let sealed = out.queue()[0].bytes.clone();
    lab.peer(FIRST).receive(&sealed);
    let again = lab.peer(FIRST).received.last().expect("a packet").clone();
    let newest = transport_sequence(before.last().expect("packets"));
    assert_eq!(transport_sequence(&again), newest + 1, "the same count");
    assert_eq!(
        (&again[8..12], &again[20..22]),
        (&0x77u32.to_be_bytes()[..], &[0, 15][..])
    );
    assert_eq!(again[22..], before[15][20..]);
}
