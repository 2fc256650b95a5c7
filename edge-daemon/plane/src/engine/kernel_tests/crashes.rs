//! Processes that are killed at any moment, and what the next one makes of what is left.

use super::properties::{Run, Step, number, steps, steps_with_deeper_rings};
use crate::command::Event;
use crate::engine::lab::{GCM, HOST, Lab, SHA1};
use lianmai_webrtc::EndpointId;
use proptest::prelude::{Just, ProptestConfig, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeSet;
use std::time::Duration;

const LEGS: [EndpointId; 2] = [EndpointId(2), EndpointId(3)];
const MS: Duration = Duration::from_millis(1);

#[test]
fn the_next_process_has_the_stream_in_the_kernel_from_the_first_moment() {
    let mut lab = Lab::running(65_500, &[GCM, GCM]);
    lab.stream(200, MS);
    let before = lab.flow().expect("in the kernel");
    lab.crash();
    let after = lab.flow().expect("still in the kernel");
    assert_eq!((before.legs, before.depth), (after.legs, after.depth));
    let _ = LEGS.map(|leg| lab.got(leg));
    lab.stream(200, MS);
    for leg in LEGS {
        assert_eq!(lab.got(leg).len(), 200);
        assert!(lab.leg(leg).by_kernel >= 190);
    }
}

#[test]
fn what_the_kernel_forwarded_while_nobody_ran_is_accounted_for() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    lab.stream(50, MS);
    // Nobody takes copies or fills rings.
    (0..600).for_each(|_| lab.send());
    lab.crash();
    lab.pass(100 * MS);
    for leg in LEGS {
        assert_eq!(lab.got(leg).len(), 651);
        assert!(lab.leg(leg).by_kernel >= 600);
    }
    lab.stream(300, MS);
    for leg in LEGS {
        assert_eq!(lab.got(leg).len(), 300);
    }
}

#[test]
fn a_leg_that_cannot_go_on_is_told_and_the_others_go_on() {
    let mut lab = Lab::running(0, &[GCM, GCM, SHA1]);
    lab.stream(50, MS);
    lab.crash();
    let endpoint = EndpointId(4);
    assert_eq!(lab.events.try_recv(), Ok(Event::NotResumed { endpoint }));
    let _ = LEGS.map(|leg| lab.got(leg));
    lab.stream(100, MS);
    assert_eq!(LEGS.map(|leg| lab.got(leg).len()), [100, 100]);
}

/// The kernel is between ingress and egress when the daemon dies.
#[test]
fn a_packet_on_its_way_through_the_kernel_reaches_its_legs() {
    let mut lab = Lab::running(0, &[GCM, GCM]);
    lab.stream(50, MS);
    let _ = LEGS.map(|leg| lab.got(leg));
    let taken = lab.taken();
    lab.crash();
    lab.egress_all(taken);
    lab.pass(100 * MS);
    assert_eq!(LEGS.map(|leg| lab.got(leg)), [[51], [51]]);
}

#[test]
fn a_second_crash_is_no_worse_than_the_first() {
    let mut lab = Lab::running(65_000, &[GCM, GCM]);
    for _ in 0..8 {
        lab.stream(150, MS);
        lab.crash();
        lab.stream(3, MS);
        lab.crash();
    }
    lab.stream(100, MS);
    for leg in LEGS {
        assert_eq!(lab.got(leg).len(), 1 + 8 * 153 + 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// DESIGN §3, invariants 2 and 6. Peers' own contexts refuse what is sealed twice (see `Peer::receive`).
    #[test]
    fn wherever_the_process_dies_nothing_is_sealed_twice_and_what_comes_afterwards_arrives(
        first in prop_oneof![Just(0u16), Just(65_500)],
        lives in prop::collection::vec(steps(), 1..4),
        afterwards in 1..40usize,
    ) {
        let mut run = Run::with_legs(first, &[GCM, GCM]);
        for steps in &lives {
            steps.iter().for_each(|step: &Step| run.step(step));
            run.lab.crash();
        }
        run.finish();
        let sent: BTreeSet<u16> = run.sent.iter().map(|packet| number(packet)).chain([first]).collect();
        for leg in LEGS {
            let got: BTreeSet<u16> = run.lab.got(leg).into_iter().collect();
            prop_assert!(got.is_subset(&sent));
        }
        run.lab.stream(afterwards, MS);
        for leg in LEGS {
            prop_assert_eq!(run.lab.got(leg).len(), afterwards, "{}", leg);
        }
        prop_assert!(run.lab.engine.snapshot().endpoint(HOST).is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// The same while one ring takes over from another, with programs that are through within the grace: the next process ends the
    /// one that the kernel does not use.
    #[test]
    fn wherever_the_process_dies_while_rings_become_deeper_nothing_is_sealed_twice(
        first in prop_oneof![Just(0u16), Just(65_500)],
        lives in prop::collection::vec(steps_with_deeper_rings(), 1..4),
        afterwards in 1..40usize,
    ) {
        let mut run = Run::with_legs(first, &[GCM, GCM]);
        for steps in &lives {
            for step in steps {
                run.keep_to_the_grace();
                run.step(step);
            }
            run.lab.deepen();
            run.lab.turn();
            run.lab.crash();
        }
        run.finish();
        let _ = LEGS.map(|leg| run.lab.got(leg));
        run.lab.stream(afterwards, MS);
        for leg in LEGS {
            prop_assert_eq!(run.lab.got(leg).len(), afterwards, "{}", leg);
        }
    }
}
