//! The kernel and the daemon with the same packet in their hands.

use crate::engine::lab::{GCM, HOST, Lab, SHA1, Verdict, retransmission_of, video_track};
use crate::metrics::{DropReason, Path};
use lianmai_webrtc::EndpointId;
use std::time::Duration;

const FIRST: EndpointId = EndpointId(2);
const SECOND: EndpointId = EndpointId(3);
const MS: Duration = Duration::from_millis(1);

#[test]
fn a_twin_on_the_socket_is_a_replay_before_and_after_the_copy() {
    let mut lab = Lab::running(0, &[GCM, SHA1]);
    let packet = lab.sealed();
    lab.arrive(&packet);
    lab.at_socket(&packet);
    lab.pass(10 * MS);
    lab.at_socket(&packet);
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 2);
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![0, 1], vec![0, 1]));
}

#[test]
fn a_twin_in_the_kernel_is_a_replay_after_the_socket_had_the_packet() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let packet = lab.sealed();
    lab.at_socket(&packet);
    assert!(matches!(lab.ingress(&packet), Verdict::Dropped));
    lab.pass(10 * MS);
    assert!(matches!(lab.ingress(&packet), Verdict::Dropped));
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![0, 1], vec![0, 1]));
}

/// DESIGN §3, invariant 4.
#[test]
fn a_leg_that_the_kernel_left_behind_is_served_by_the_daemon() {
    let mut lab = Lab::running(0, &[GCM, GCM, GCM]);
    let taken = lab.taken();
    lab.egress(&taken, 0);
    lab.copies.push_back(taken);
    lab.turn();
    assert_eq!(lab.got(SECOND), [0], "the kernel still has its time");
    lab.pass(2 * MS);
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![0, 1], vec![1]));
    assert_eq!(lab.got(EndpointId(4)), [0, 1]);
    assert_eq!(
        (lab.metrics.left_behind(), lab.metrics.forwarded(Path::Kernel)),
        (2, 1)
    );
}

#[test]
fn the_daemon_and_a_slow_program_seal_a_packet_once_between_them() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let slow = lab.taken();
    lab.copies.push_back(slow.clone());
    lab.egress(&slow, 0);
    lab.pass(5 * MS);
    assert!(
        !lab.egress(&slow, 0) && !lab.egress(&slow, 1),
        "both are sealed by now"
    );
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![0, 1], vec![0, 1]));
    assert_eq!(lab.metrics.left_behind(), 1);
}

/// The kernel does not look at payload types; the daemon does, and keeps what it would not have forwarded.
#[test]
fn a_leg_that_was_left_behind_with_a_payload_type_of_nobody_is_not_served() {
    let mut lab = Lab::running(0, &[GCM]);
    let mut packet = lab.peer(HOST).next_packet();
    packet[1] = 35;
    let packet = lab.peer(HOST).seal(&packet);
    let Verdict::Taken(taken) = lab.ingress(&packet) else {
        panic!("a token")
    };
    lab.copies.push_back(taken);
    lab.pass(10 * MS);
    assert_eq!(lab.metrics.dropped(DropReason::UnknownPayloadType), 1);
    assert_eq!((lab.got(FIRST), lab.metrics.left_behind()), (vec![0], 0));
}

/// The program was interrupted between its claim and its seal.
#[test]
fn a_pad_that_is_claimed_and_not_used_is_waited_for_and_then_given_up() {
    let mut lab = Lab::running(0, &[GCM]);
    let taken = lab.taken();
    assert!(taken.claim_pad(0));
    lab.copies.push_back(taken);
    lab.pass(40 * MS);
    assert_eq!(lab.metrics.dropped(DropReason::LostInKernel), 0);
    lab.pass(20 * MS);
    assert_eq!(lab.metrics.dropped(DropReason::LostInKernel), 1);
    assert_eq!((lab.got(FIRST), lab.metrics.left_behind()), (vec![0], 0));
    lab.stream(10, 4 * MS);
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST), (2..12).collect::<Vec<_>>());
}

/// A packet that the kernel forwarded while the ring buffer was full, so that the daemon has never heard of it.
fn lose_a_copy(lab: &mut Lab) -> Vec<u8> {
    let packet = lab.sealed();
    let Verdict::Taken(taken) = lab.ingress(&packet) else {
        panic!("a token")
    };
    (0..taken.legs()).for_each(|place| assert!(lab.egress(&taken, place)));
    packet
}

#[test]
fn a_lost_copy_lets_no_replay_through_while_its_slots_are_there() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let packet = lose_a_copy(&mut lab);
    lab.at_socket(&packet);
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 1);
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![0, 1], vec![0, 1]));
}

#[test]
fn a_lost_copy_lets_no_replay_through_after_its_slots_went_to_others() {
    let mut lab = Lab::running_sound(0, &[GCM, GCM]);
    let packet = lose_a_copy(&mut lab);
    lab.stream(700, MS);
    assert!(
        matches!(lab.ingress(&packet), Verdict::Passed),
        "its slot is another's"
    );
    lab.at_socket(&packet);
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 1);
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (702, 702));
}

/// The daemon misses the packet, asks the publisher for it, and gets it: but its legs have it already.
#[test]
fn a_packet_whose_copy_was_lost_is_not_sealed_again_when_it_is_recovered() {
    for packets in [0, 700] {
        let mut lab = Lab::running(0, &[GCM, GCM]);
        lose_a_copy(&mut lab);
        lab.stream(packets, MS);
        let retransmission = lab.peer(HOST).seal(&retransmission_of(1));
        lab.at_socket(&retransmission);
        lab.pass(10 * MS);
        assert_eq!(lab.metrics.dropped(DropReason::AlreadySealed), 2);
        assert_eq!(
            (lab.got(FIRST).len(), lab.got(SECOND).len()),
            (packets + 2, packets + 2)
        );
    }
}

#[test]
fn a_lost_copy_is_not_forgotten_when_its_stream_leaves_the_kernel() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let packet = lose_a_copy(&mut lab);
    lab.stream(10, MS);
    lab.publish(vec![video_track()]);
    lab.send();
    lab.pass(30 * MS);
    lab.at_socket(&packet);
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 1);
    let retransmission = lab.peer(HOST).seal(&retransmission_of(1));
    lab.at_socket(&retransmission);
    assert_eq!(lab.metrics.dropped(DropReason::AlreadySealed), 2);
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (13, 13));
}

/// Sound has rings of 256, so that the window reaches farther back than they do.
#[test]
fn a_lost_copy_is_not_forgotten_in_a_gap() {
    let mut lab = Lab::running_sound(0, &[GCM, GCM]);
    let packet = lose_a_copy(&mut lab);
    lab.peer(HOST).next += 400;
    lab.stream(10, MS);
    lab.at_socket(&packet);
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 1);
    let retransmission = lab.peer(HOST).seal(&retransmission_of(1));
    lab.at_socket(&retransmission);
    assert_eq!(lab.metrics.dropped(DropReason::AlreadySealed), 2);
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (12, 12));
}

/// The slots of some of them went to newer packets, those of others stand empty.
#[test]
fn packets_that_others_overtook_by_more_than_a_ring_are_still_forwarded_when_they_come() {
    let mut lab = Lab::running_sound(0, &[GCM, GCM]);
    let late: Vec<Vec<u8>> = (0..400).map(|_| lab.sealed()).collect();
    lab.stream(10, MS);
    lab.got(FIRST);
    late.iter().for_each(|packet| lab.at_socket(packet));
    lab.pass(10 * MS);
    assert_eq!(lab.got(FIRST), (1..401).collect::<Vec<_>>());
    assert_eq!(lab.got(SECOND).len(), 411);
    late.iter().for_each(|packet| lab.arrive(packet));
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![], vec![]));
}

#[test]
fn replays_behind_the_rings_reach_nobody() {
    let mut lab = Lab::running_sound(0, &[GCM]);
    let early: Vec<Vec<u8>> = (0..20).map(|_| lab.sealed()).collect();
    early.iter().for_each(|packet| lab.arrive(packet));
    lab.stream(1_500, MS);
    lab.got(FIRST);
    for packet in &early {
        lab.arrive(packet);
    }
    lab.pass(10 * MS);
    assert!(lab.got(FIRST).is_empty());
    assert_eq!(lab.metrics.dropped(DropReason::Replayed), 20);
}

#[test]
fn a_packet_that_comes_late_is_forwarded_once_whoever_gets_it() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let late: Vec<Vec<u8>> = (0..4).map(|_| lab.sealed()).collect();
    lab.stream(100, MS);
    lab.arrive(&late[0]);
    lab.at_socket(&late[1]);
    lab.stream(700, MS);
    lab.arrive(&late[2]);
    lab.stream(400, MS);
    lab.arrive(&late[3]);
    lab.pass(10 * MS);
    for leg in [FIRST, SECOND] {
        let got = lab.got(leg);
        assert_eq!(got.len(), 1 + 1_200 + 3);
        assert!(!got.contains(&4), "older than any window");
    }
    // All of them once more.
    for packet in &late {
        lab.arrive(packet);
    }
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![], vec![]));
}

/// The publisher answered a NACK, and then the original came after all.
#[test]
fn a_recovered_packet_and_its_late_original_are_one() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let late = lab.sealed();
    lab.stream(10, MS);
    let retransmission = lab.peer(HOST).seal(&retransmission_of(1));
    lab.at_socket(&retransmission);
    assert!(lab.got(FIRST).contains(&1) && lab.got(SECOND).contains(&1));
    // The token is free: to the kernel this packet is new.
    let Verdict::Taken(taken) = lab.ingress(&late) else {
        panic!("a token")
    };
    assert!(!lab.egress(&taken, 0) && !lab.egress(&taken, 1));
    lab.copies.push_back(taken);
    lab.pass(10 * MS);
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![], vec![]));
    assert_eq!(lab.metrics.dropped(DropReason::Duplicate), 1);
}

#[test]
fn feedback_finds_packets_of_both_planes_in_flight() {
    use lianmai_feedback::{Incoming, TransportFeedback};
    let mut lab = Lab::running(0, &[GCM]);
    // The daemon numbers a packet while one of the kernel's before it is not accounted for yet.
    let taken = lab.taken();
    lab.egress(&taken, 0);
    lab.copies.push_back(taken);
    lab.turn();
    let packet = lab.sealed();
    lab.at_socket(&packet);
    lab.pass(10 * MS);
    let feedback = TransportFeedback {
        sender: lianmai_fanout::Ssrc(1),
        media: lianmai_fanout::Ssrc(2),
        base: 1,
        count: 1,
        reference: 0,
        sequence: 0,
        arrivals: vec![(0, 4)],
    };
    let now = lab.now.at;
    let endpoint = lab.engine.endpoints.get_mut(&FIRST).expect("connected");
    let leg = &mut endpoint.leg.as_mut().expect("a leg").feedback;
    leg.on_rtcp(now, &Incoming::TransportFeedback(feedback));
    let round_trip = leg.round_trip().expect("the kernel's packet is known");
    assert_eq!(round_trip.least, 10 * MS);
}
