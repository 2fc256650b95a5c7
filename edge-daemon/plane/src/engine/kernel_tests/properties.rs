//! Any order of everything.

use crate::engine::lab::{GCM, HOST, Lab, SHA1, Taken, Verdict};
use lianmai_webrtc::{EndpointId, SrtpProfile};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, TestCaseError, prop, prop_assert_eq, prop_oneof, proptest,
};
use std::time::{Duration, Instant};

const LEGS: [EndpointId; 3] = [EndpointId(2), EndpointId(3), EndpointId(4)];
const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The next packet, through the kernel if that takes it.
    Send,
    /// The next packet, on the socket.
    SendToSocket,
    /// The next packet is taken by the kernel, which is interrupted there.
    Begin,
    /// The kernel goes on with a packet that it began: this leg of it.
    Continue(usize, usize),
    /// The copy of a packet that the kernel began comes.
    Copy(usize),
    /// A packet of before comes again, here or there.
    Replay(usize, bool),
    /// A packet is held back by the network.
    Hold,
    /// One that was held back comes, here or there.
    Release(usize, bool),
    /// Deeper rings are asked for, and take over some turns later.
    Deepen,
    Turn,
    Pass(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..64usize;
    prop_oneof![
        6 => Just(Step::Send),
        2 => Just(Step::SendToSocket),
        4 => Just(Step::Begin),
        6 => (any.clone(), 0..2usize).prop_map(|(which, leg)| Step::Continue(which, leg)),
        3 => any.clone().prop_map(Step::Copy),
        2 => (any.clone(), prop::bool::ANY).prop_map(|(which, kernel)| Step::Replay(which, kernel)),
        1 => Just(Step::Hold),
        1 => (any, prop::bool::ANY).prop_map(|(which, kernel)| Step::Release(which, kernel)),
        2 => Just(Step::Turn),
        2 => (0..12u32).prop_map(Step::Pass),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

pub(super) fn steps_with_deeper_rings() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![24 => step(), 1 => Just(Step::Deepen)];
    prop::collection::vec(step, 1..120)
}

/// Packets that the kernel took and is not done with: which legs it got to, and whether the copy came.
struct Begun {
    taken: Taken,
    has_copy: bool,
    at: Instant,
    is_through: bool,
}

/// When a program is through, where it is known to be: before it could be twice the time of the longest step.
const THROUGH: Duration = Duration::from_millis(8);

pub(super) struct Run {
    pub(super) lab: Lab,
    begun: Vec<Begun>,
    pub(super) sent: Vec<Vec<u8>>,
    held: Vec<Vec<u8>>,
}

impl Run {
    pub(super) fn with_legs(first: u16, profiles: &[SrtpProfile]) -> Self {
        Self {
            lab: Lab::running(first, profiles),
            begun: Vec::new(),
            sent: Vec::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Send => {
                let packet = self.next();
                self.lab.arrive(&packet);
            }
            Step::SendToSocket => {
                let packet = self.next();
                self.lab.at_socket(&packet);
            }
            Step::Begin => {
                let packet = self.next();
                self.begin(&packet);
            }
            Step::Continue(which, leg) => {
                if let Some(begun) = pick(&self.begun, which)
                    && leg < begun.taken.legs()
                    && !begun.is_through
                {
                    self.lab.egress(&begun.taken, leg);
                }
            }
            Step::Copy(which) => {
                if let Some(begun) = pick_mut(&mut self.begun, which)
                    && !std::mem::replace(&mut begun.has_copy, true)
                {
                    self.lab.copies.push_back(begun.taken.clone());
                }
            }
            Step::Replay(which, by_kernel) => {
                if let Some(packet) = pick(&self.sent, which).cloned() {
                    self.come(&packet, by_kernel);
                }
            }
            Step::Hold => {
                let packet = self.lab.sealed();
                self.held.push(packet);
            }
            Step::Release(which, by_kernel) => {
                if !self.held.is_empty() {
                    let packet = self.held.remove(which % self.held.len());
                    self.sent.push(packet.clone());
                    self.come(&packet, by_kernel);
                }
            }
            Step::Deepen => self.lab.deepen(),
            Step::Turn => self.lab.turn(),
            Step::Pass(ms) => self.lab.pass(MS * ms),
        }
    }

    fn next(&mut self) -> Vec<u8> {
        let packet = self.lab.sealed();
        self.sent.push(packet.clone());
        packet
    }

    fn come(&mut self, packet: &[u8], by_kernel: bool) {
        if by_kernel {
            self.lab.arrive(packet);
        } else {
            self.lab.at_socket(packet);
        }
    }

    fn begin(&mut self, packet: &[u8]) {
        match self.lab.ingress(packet) {
            Verdict::Passed => self.lab.at_socket(packet),
            Verdict::Dropped => {}
            Verdict::Taken(taken) => self.begun.push(Begun {
                taken,
                has_copy: false,
                at: self.lab.now.at,
                is_through: false,
            }),
        }
    }

    /// Rings that nobody needs any more go a grace later, by when programs are through and copies have come.
    pub(super) fn keep_to_the_grace(&mut self) {
        for begun in &mut self.begun {
            if self.lab.now.at.saturating_duration_since(begun.at) < THROUGH {
                continue;
            }
            begun.is_through = true;
            if !std::mem::replace(&mut begun.has_copy, true) {
                self.lab.copies.push_back(begun.taken.clone());
            }
        }
    }

    fn check(&mut self, first: u16) -> Result<(), TestCaseError> {
        self.finish();
        let mut expected: Vec<u16> = self.sent.iter().map(|packet| number(packet)).collect();
        expected.push(first);
        expected.sort_unstable();
        for leg in LEGS {
            let mut got = self.lab.got(leg);
            got.sort_unstable();
            prop_assert_eq!(&got, &expected, "{}", leg);
        }
        let snapshot = self.lab.engine.snapshot();
        let source = snapshot.endpoint(HOST).and_then(|host| host.source.as_ref());
        let packets = source.map(|source| source.tracks[0].packets);
        prop_assert_eq!(packets, Some(expected.len() as u64));
        Ok(())
    }

    /// The kernel is done with what it began, or not; its copies have come; and the daemon has had its time.
    pub(super) fn finish(&mut self) {
        for begun in &mut self.begun {
            if !std::mem::replace(&mut begun.has_copy, true) {
                self.lab.copies.push_back(begun.taken.clone());
            }
        }
        self.lab.pass(100 * MS);
    }
}

fn pick<T>(from: &[T], which: usize) -> Option<&T> {
    from.get(which.checked_rem(from.len())?)
}

fn pick_mut<T>(from: &mut [T], which: usize) -> Option<&mut T> {
    let place = which.checked_rem(from.len())?;
    from.get_mut(place)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// DESIGN §3, invariants 2 and 4: a peer's own contexts open everything, once.
    #[test]
    fn whatever_happens_when_each_leg_gets_each_packet_exactly_once(
        first in prop_oneof![Just(0u16), Just(65_500)],
        steps in steps(),
    ) {
        let mut run = Run::with_legs(first, &[GCM, GCM, SHA1]);
        steps.iter().for_each(|step| run.step(step));
        run.check(first)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// The same while rings become deeper, with programs that are through within the grace.
    #[test]
    fn whatever_happens_when_rings_become_deeper_each_leg_gets_each_packet_exactly_once(
        first in prop_oneof![Just(0u16), Just(65_500)],
        steps in steps_with_deeper_rings(),
    ) {
        let mut run = Run::with_legs(first, &[GCM, GCM, SHA1]);
        for step in &steps {
            run.keep_to_the_grace();
            run.step(step);
        }
        run.check(first)?;
    }
}

pub(super) fn number(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}
