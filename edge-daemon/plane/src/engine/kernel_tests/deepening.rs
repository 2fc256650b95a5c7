//! Rings that become deeper while the kernel uses those before them.

use crate::command::Command;
use crate::engine::lab::{GCM, HOST, Lab, retransmission_of};
use crate::metrics::{DropReason, Path};
use lianmai_webrtc::EndpointId;
use std::time::Duration;

const FIRST: EndpointId = EndpointId(2);
const SECOND: EndpointId = EndpointId(3);
const MS: Duration = Duration::from_millis(1);

fn deeper() -> Lab {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    lab.stream(20, 4 * MS);
    lab.deepen();
    lab.turn();
    lab
}

fn depth(lab: &Lab) -> u32 {
    lab.flow().expect("in the kernel").depth
}

#[test]
fn no_packet_leaves_the_kernel_while_rings_become_deeper() {
    let mut lab = deeper();
    lab.stream(100, MS);
    lab.pass(10 * MS);
    assert_eq!(depth(&lab), 2_048);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (121, 121));
    assert_eq!(
        (lab.metrics.taken(Path::Daemon), lab.metrics.left_behind()),
        (1, 0)
    );
}

#[test]
fn the_rings_of_before_are_given_back() {
    let mut lab = deeper();
    lab.pass(100 * MS);
    let pads = 2 * 2_048 * 1_280;
    let memory = lab.ground.maps.memory();
    assert!((pads..pads + (1 << 19)).contains(&memory), "{memory}");
}

/// The kernel took it for the fan of before.
#[test]
fn a_packet_under_way_from_one_ring_to_the_other_is_sealed_once() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let slow = lab.taken();
    lab.deepen();
    lab.pass(12 * MS);
    assert_eq!(depth(&lab), 2_048, "the kernel has the deeper ones");
    assert!(lab.egress(&slow, 0), "by the ring of before");
    lab.copies.push_back(slow.clone());
    lab.pass(10 * MS);
    assert!(!lab.egress(&slow, 0) && !lab.egress(&slow, 1));
    assert_eq!((lab.got(FIRST), lab.got(SECOND)), (vec![0, 1], vec![0, 1]));
    assert_eq!(lab.metrics.left_behind(), 1);
}

/// Nobody tells the daemon of it before the ring goes.
#[test]
fn what_the_ring_of_before_sealed_is_not_sealed_again_after_it_went() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    let lost = lab.taken();
    (0..2).for_each(|place| assert!(lab.egress(&lost, place)));
    lab.deepen();
    lab.stream(30, 4 * MS);
    let retransmission = lab.peer(HOST).seal(&retransmission_of(1));
    lab.at_socket(&retransmission);
    lab.pass(10 * MS);
    assert_eq!(lab.metrics.dropped(DropReason::AlreadySealed), 2);
    assert_eq!((lab.got(FIRST).len(), lab.got(SECOND).len()), (32, 32));
}

#[test]
fn a_leg_that_leaves_or_has_new_keys_meanwhile_holds_nothing_up() {
    let mut lab = Lab::running(0, &[GCM, GCM, GCM]);
    lab.deepen();
    lab.rekey(SECOND);
    lab.stream(10, 4 * MS);
    lab.deepen();
    lab.apply(Command::Remove { endpoint: FIRST });
    lab.stream(90, 4 * MS);
    lab.pass(10 * MS);
    assert!(depth(&lab) >= 2_048);
    assert_eq!(lab.flow().expect("in the kernel").legs, 2);
    assert_eq!((lab.got(SECOND).len(), lab.got(EndpointId(4)).len()), (101, 101));
}

#[test]
fn without_room_for_deeper_rings_the_kernel_goes_on_with_those_that_it_has() {
    let mut lab = Lab::running(0, &[GCM]);
    let mut rings = Vec::new();
    while let Ok(ring) = lab.ground.maps.pads(1) {
        rings.push(ring);
    }
    lab.deepen();
    lab.stream(50, 4 * MS);
    assert_eq!((depth(&lab), lab.metrics.taken(Path::Daemon)), (1_024, 1));
    drop(rings);
    lab.stream(300, 4 * MS);
    assert_eq!((depth(&lab), lab.metrics.taken(Path::Daemon)), (2_048, 1));
}
