//! Keys, addresses, legs and streams change while packets flow.

use crate::command::Command;
use crate::engine::lab::{GCM, HOST, Lab, Verdict, video_leg, video_track};
use crate::metrics::{DropReason, Path};
use lianmai_fanout::PayloadType;
use lianmai_webrtc::EndpointId;
use std::net::SocketAddr;
use std::time::Duration;

const FIRST: EndpointId = EndpointId(2);
const SECOND: EndpointId = EndpointId(3);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_publisher_with_new_keys_goes_on_by_the_daemon_and_then_by_the_kernel() {
    let mut lab = Lab::running(100, &[GCM, GCM]);
    lab.stream(50, 4 * MS);
    lab.rekey(HOST);
    lab.stream(200, 4 * MS);
    lab.pass(10 * MS);
    for leg in [FIRST, SECOND] {
        assert_eq!(lab.got(leg), (100..351).collect::<Vec<_>>());
    }
    assert!(lab.flow().is_some());
    assert!(
        lab.metrics.taken(Path::Daemon) < 30,
        "{}",
        lab.metrics.taken(Path::Daemon)
    );
}

#[test]
fn a_copy_under_the_old_key_of_a_publisher_is_opened_with_it() {
    let mut lab = Lab::running(100, &[GCM]);
    let taken = lab.taken();
    lab.egress_all(taken);
    lab.rekey(HOST);
    lab.pass(10 * MS);
    let snapshot = lab.engine.snapshot();
    let source = snapshot
        .endpoint(HOST)
        .and_then(|endpoint| endpoint.source.as_ref())
        .expect("a source");
    assert_eq!(source.tracks[0].packets, 2);
}

#[test]
fn a_leg_with_new_keys_goes_on_by_the_daemon_and_then_by_the_kernel() {
    let mut lab = Lab::running(65_480, &[GCM, GCM]);
    lab.stream(50, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(SECOND).len(), 51);
    lab.rekey(SECOND);
    lab.stream(100, 4 * MS);
    lab.pass(10 * MS);
    let expected: Vec<u16> = (0..100).map(|step| 65_531u16.wrapping_add(step)).collect();
    assert_eq!(lab.got(SECOND), expected);
    assert_eq!(lab.got(FIRST).len(), 151);
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
}

/// The kernel sealed it for the leg, but under a key that the leg no longer has.
#[test]
fn a_packet_that_was_under_way_to_a_leg_with_new_keys_is_sealed_again_under_them() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let taken = lab.taken();
    lab.egress(&taken, 0);
    lab.egress(&taken, 1);
    lab.got(SECOND);
    lab.copies.push_back(taken);
    let copy = lab.copies.pop_front().expect("just pushed");
    lab.rekey(SECOND);
    lab.copies.push_back(copy);
    lab.pass(10 * MS);
    assert_eq!(lab.got(SECOND), [1]);
    assert_eq!(lab.got(FIRST), [0, 1]);
}

/// The same keys again are the same association: what they sealed stays sealed.
#[test]
fn a_repeated_connect_forgets_nothing() {
    let mut lab = Lab::running(0, &[GCM]);
    let packet = lab.sealed();
    lab.arrive(&packet);
    lab.pass(10 * MS);
    for id in [HOST, FIRST] {
        let command = lab.peer(id).connect();
        lab.apply(command);
    }
    lab.at_socket(&packet);
    lab.stream(10, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 1);
    assert_eq!(lab.got(FIRST), (0..12).collect::<Vec<_>>());
}

#[test]
fn a_publisher_that_moved_is_found_at_its_new_address() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(10, 4 * MS);
    let command = lab
        .peer(HOST)
        .move_to(SocketAddr::from(([198, 51, 100, 7], 4_000)));
    lab.apply(command);
    lab.stream(10, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST), (0..21).collect::<Vec<_>>());
    assert_eq!(lab.metrics.taken(Path::Daemon), 1);
}

#[test]
fn a_leg_that_moved_is_sent_to_its_new_address_with_the_pads_that_it_has() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    lab.stream(10, 4 * MS);
    let before = lab.records();
    let command = lab
        .peer(SECOND)
        .move_to(SocketAddr::from(([198, 51, 100, 7], 4_000)));
    lab.apply(command);
    let after = lab.records();
    assert_eq!((before[1].pads, before[0]), (after[1].pads, after[0]));
    assert_eq!(after[1].frame_header[30..34], [198, 51, 100, 7]);
    assert_eq!(after[1].frame_header[36..38], 4_000u16.to_be_bytes());
    lab.stream(10, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(SECOND).len(), 21);
}

#[test]
fn a_leg_with_other_numbers_has_them_in_the_kernel() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(10, 4 * MS);
    lab.apply(Command::Subscribe {
        endpoint: FIRST,
        source: HOST,
        tracks: vec![video_leg(120)],
    });
    lab.stream(10, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.records()[0].payload_type, PayloadType(120));
    let received = std::mem::take(&mut lab.peer(FIRST).received);
    assert_eq!(received.len(), 21);
    assert!(received[..11].iter().all(|packet| packet[1] & 0x7f == 96));
    assert!(received[11..].iter().all(|packet| packet[1] & 0x7f == 120));
}

#[test]
fn a_leg_that_left_gets_nothing_more_and_the_others_go_on() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    lab.stream(10, 4 * MS);
    lab.apply(Command::Remove { endpoint: FIRST });
    lab.got(FIRST);
    lab.stream(50, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST), lab.got(SECOND).len()), (vec![], 61));
    assert_eq!(lab.flow().expect("in the kernel").legs, 1);
}

#[test]
fn a_leg_that_joins_while_copies_wait_comes_into_the_kernel_all_the_same() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.connect(SECOND, GCM);
    lab.send();
    lab.apply(Command::Subscribe {
        endpoint: SECOND,
        source: HOST,
        tracks: vec![video_leg(96)],
    });
    lab.stream(50, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
    assert_eq!(
        lab.got(SECOND),
        (1..52).collect::<Vec<_>>(),
        "that copy is its first packet"
    );
}

/// Leg records are written over only when no program can be reading them.
#[test]
fn legs_that_come_and_go_at_once_change_the_fan_once_in_a_grace() {
    let mut lab = Lab::running(0, &[GCM; 4]);
    lab.stream(10, 4 * MS);
    let before = lab.records().len();
    lab.apply(Command::Remove {
        endpoint: EndpointId(2),
    });
    lab.apply(Command::Remove {
        endpoint: EndpointId(3),
    });
    assert_eq!((before, lab.records().len()), (4, 3), "the second change waits");
    lab.skip(15 * MS);
    lab.turn();
    assert_eq!(lab.records().len(), 3);
    lab.skip(5 * MS);
    lab.turn_without_copies();
    assert_eq!(lab.records().len(), 3, "there may be copies");
    lab.turn();
    assert_eq!(lab.records().len(), 2);
}

#[test]
fn a_copy_of_the_fan_before_is_settled_with_the_legs_of_that_fan() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let taken = lab.taken();
    lab.egress(&taken, 0);
    let packet = lab.sealed();
    let Verdict::Taken(second) = lab.ingress(&packet) else {
        panic!("a token")
    };
    lab.join(EndpointId(4), GCM);
    lab.stream(1, MS);
    lab.copies.push_back(taken);
    lab.copies.push_back(second);
    lab.pass(5 * MS);
    lab.pass(100 * MS);
    lab.stream(20, 4 * MS);
    lab.pass(10 * MS);
    for leg in [FIRST, SECOND] {
        let mut got = lab.got(leg);
        got.sort_unstable();
        assert_eq!(got, (0..24).collect::<Vec<_>>(), "{leg}");
    }
    assert_eq!(lab.flow().expect("in the kernel").legs, 3);
}

#[test]
fn rings_are_given_back_a_grace_after_the_end_and_not_before_all_copies_are_taken() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let taken = lab.taken();
    lab.apply(Command::Remove { endpoint: HOST });
    assert_eq!(lab.flow(), None);
    let in_use = lab.ground.maps.memory();
    assert!(in_use > 2 * 1_024 * 1_280);
    lab.skip(30 * MS);
    lab.turn_without_copies();
    assert_eq!(lab.ground.maps.memory(), in_use, "there may be copies");
    lab.copies.push_back(taken);
    lab.turn();
    assert_eq!(
        lab.metrics.dropped(DropReason::UnknownAddress),
        1,
        "its publisher is gone"
    );
    lab.pass(100 * MS);
    assert_eq!((lab.ground.maps.memory(), lab.engine.flows.count()), (0, 0));
}

#[test]
fn a_copy_that_outlives_its_stream_is_counted_and_forgotten() {
    let mut lab = Lab::running(0, &[GCM]);
    let taken = lab.taken();
    lab.apply(Command::Remove { endpoint: HOST });
    lab.pass(100 * MS);
    lab.copies.push_back(taken);
    lab.turn();
    assert_eq!(lab.metrics.dropped(DropReason::StaleCopy), 1);
}

#[test]
fn a_stream_that_is_published_again_comes_back_into_the_kernel() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(10, 4 * MS);
    lab.publish(vec![video_track()]);
    lab.stream(100, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST), (0..111).collect::<Vec<_>>());
    assert!(lab.flow().is_some());
}

/// One host leaves and another comes with the same SSRC, while packets of the first are still on their way through the
/// kernel: both would be sealed under the same key and indices.
#[test]
fn two_streams_with_one_ssrc_never_share_an_index_of_a_leg() {
    let mut lab = Lab::running(0, &[GCM]);
    let slow = lab.taken();
    let guest = EndpointId(9);
    lab.connect(guest, GCM);
    lab.apply(Command::Publish {
        endpoint: guest,
        tracks: vec![video_track()],
    });
    lab.apply(Command::Subscribe {
        endpoint: FIRST,
        source: guest,
        tracks: vec![video_leg(96)],
    });
    assert!(lab.egress(&slow, 0), "sequence number 1");
    lab.peer(guest).next = 1;
    for _ in 0..2 {
        let packet = lab.peer(guest).seal_next();
        lab.at_socket_from(guest, &packet);
    }
    assert_eq!(lab.got(FIRST), [0, 1, 2]);
    assert_eq!(lab.metrics.dropped(DropReason::AlreadySealed), 1);
}

/// What the leg got of the first host, it gets from nobody again: the kernel has no pads for it.
#[test]
fn a_stream_with_the_ssrc_of_an_earlier_one_begins_in_the_kernel_where_that_one_ended() {
    let mut lab = Lab::running(0, &[GCM]);
    lab.stream(99, MS);
    let guest = EndpointId(9);
    lab.connect(guest, GCM);
    lab.peer(guest).next = 30;
    lab.apply(Command::Publish {
        endpoint: guest,
        tracks: vec![video_track()],
    });
    let packet = lab.peer(guest).seal_next();
    lab.at_socket_from(guest, &packet);
    lab.apply(Command::Subscribe {
        endpoint: FIRST,
        source: guest,
        tracks: vec![video_leg(96)],
    });
    lab.pass(200 * MS);
    for _ in 0..100 {
        let packet = lab.peer(guest).seal_next();
        lab.arrive_from(guest, &packet);
        lab.pass(MS);
    }
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST), (0..131).collect::<Vec<_>>());
    assert!(lab.metrics.taken(Path::Kernel) > 190, "both were in the kernel");
}

#[test]
fn a_kernel_without_room_leaves_everything_to_the_daemon_and_is_asked_again() {
    let mut lab = Lab::with_legs(0, &[GCM]);
    let mut rings = Vec::new();
    while let Ok(ring) = lab.ground.maps.tokens(1) {
        rings.push(ring);
    }
    lab.stream(100, 4 * MS);
    assert_eq!((lab.flow(), lab.got(FIRST).len()), (None, 100));
    drop(rings);
    lab.stream(400, 4 * MS);
    assert!(lab.flow().is_some());
    assert_eq!(lab.got(FIRST).len(), 400);
}

#[test]
fn a_leg_without_room_is_served_by_the_daemon() {
    let mut lab = Lab::running(0, &[GCM]);
    let mut rings = Vec::new();
    while let Ok(ring) = lab.ground.maps.pads(1) {
        rings.push(ring);
    }
    lab.join(SECOND, GCM);
    lab.stream(50, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (51, 50));
    assert_eq!(lab.flow().expect("for the first").legs, 1);
}

#[test]
fn a_plane_that_ends_leaves_nothing_in_the_kernel() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    lab.engine.withdraw_flows(lab.now.at);
    assert_eq!((lab.flow(), lab.engine.flows.running()), (None, 0));
    let packet = lab.sealed();
    assert!(matches!(lab.ingress(&packet), Verdict::Passed));
}
