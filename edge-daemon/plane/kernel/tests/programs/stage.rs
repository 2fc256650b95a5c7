//! One publisher and its legs in maps of their own, and programs that are run on its packets.

use crate::keys::{self, Keys, Master};
use crate::packets::{Received, Rtp, frame};
use lianmai_fanout::records::{Leg, MAX_FRAME_HEADER, MAX_PAYLOAD, Outcome, Sealed};
use lianmai_fanout::{ExtensionMap, PayloadType, Ssrc};
use lianmai_kernel::{
    ByHand, Ethernet, FrameHeader, MacAddress, Pads, PeerSlot, Run, StreamSlot, TableSlot, Tokens, stream_key,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use webrtc_srtp::context::Context;

pub(crate) const SSRC: u32 = 0xdead_beef;
pub(crate) const MEDIA_PORT: u16 = 8444;
/// Slots of the rings.
pub(crate) const RING: u32 = 1_024;

pub(crate) const PASS: u32 = 2;
pub(crate) const DROP: u32 = 1;
pub(crate) const REDIRECT: u32 = 4;

pub(crate) struct Stage {
    pub(crate) programs: ByHand,
    pub(crate) stream: StreamSlot,
    pub(crate) tokens: Tokens,
    pub(crate) from: SocketAddr,
    pub(crate) publisher: Context,
    publisher_keys: Keys,
    pub(crate) legs: Vec<LegOnStage>,
    table: TableSlot,
}

pub(crate) struct LegOnStage {
    pub(crate) pads: Pads,
    _peer: PeerSlot,
    pub(crate) to: SocketAddr,
    /// The subscriber: opens what arrives.
    pub(crate) subscriber: Context,
    keys: Keys,
    record: Leg,
    table: TableSlot,
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The edge's own address of this family.
pub(crate) fn edge(other: SocketAddr) -> SocketAddr {
    let ip = if other.is_ipv4() {
        "192.0.2.1"
    } else {
        "2001:db8::1"
    };
    SocketAddr::new(ip.parse().expect("an address"), MEDIA_PORT)
}

/// Ethernet, IP and UDP headers from the edge to a subscriber.
pub(crate) fn headers(to: SocketAddr) -> FrameHeader {
    let ethernet = Ethernet {
        to: MacAddress([2, 0, 0, 0, 0, 2]),
        from: MacAddress([2, 0, 0, 0, 0, 1]),
    };
    FrameHeader::new(ethernet, edge(to), to).expect("one version of IP")
}

/// Ids as the tests have them: level, time, transport-wide, mid.
pub(crate) fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    map.map(1, 10);
    map.map_abs_send_time(2, 3);
    map.map_transport_cc(3, 5);
    map
}

impl Stage {
    /// A publisher over IPv4 with three legs, permissions for all that comes within a ring of `first`.
    pub(crate) fn new(first: u64) -> Self {
        let legs = ["192.0.2.21:6001", "192.0.2.22:6002", "192.0.2.23:6003"];
        Self::with(address("192.0.2.9:5000"), &legs.map(address), first)
    }

    pub(crate) fn with(from: SocketAddr, to: &[SocketAddr], first: u64) -> Self {
        pin_to_one_cpu();
        let mut programs = ByHand::load(MEDIA_PORT).unwrap_or_else(|error| panic!("{error}"));
        let master = Master(1);
        let publisher_keys = master.keys();
        let maps = programs.maps();
        let tokens = maps.tokens(RING).expect("room");
        let table = maps.table(publisher_keys.hash_subkey()).expect("room");
        let mut stream = maps.stream().expect("room");
        let legs: Vec<LegOnStage> = (2u8..)
            .zip(to)
            .map(|(n, &to)| LegOnStage::new(&mut programs, Master(n), to))
            .collect();
        stream.describe(&tokens, &table);
        stream.renew(u64::MAX);
        let mut stage = Self {
            programs,
            stream,
            tokens,
            from,
            publisher: master.context(),
            publisher_keys,
            legs,
            table,
        };
        stage.fill(first..first + u64::from(RING));
        wait_for(|| stage.is_installed());
        let records: Vec<Leg> = stage.legs.iter().map(|leg| leg.record).collect();
        stage.stream.set_legs(&records);
        stage.stream.announce(stream_key(from, Ssrc(SSRC))).expect("room");
        stage
    }

    /// Rings and tables take some milliseconds to come into the maps of maps.
    fn is_installed(&self) -> bool {
        let legs = self
            .legs
            .iter()
            .all(|leg| leg.pads.is_installed() && leg.table.is_installed());
        legs && self.tokens.is_installed() && self.table.is_installed()
    }

    /// Permissions for these packets; each leg counts its own packets from where the first lies in its own cycle.
    pub(crate) fn fill(&mut self, indices: std::ops::Range<u64>) {
        for index in indices.clone() {
            assert!(
                self.tokens
                    .put(index, self.publisher_keys.tag_mask(SSRC, index), false)
            );
            let ours = self.publisher_keys.stream(SSRC, index, MAX_PAYLOAD);
            for leg in &self.legs {
                let theirs = leg.keys.stream(SSRC, index, MAX_PAYLOAD);
                let mask = leg.keys.tag_mask(SSRC, index);
                assert!(leg.pads.put(index, mask, false, MAX_PAYLOAD, |pad| {
                    for ((pad, ours), theirs) in pad.iter_mut().zip(&ours).zip(&theirs) {
                        *pad = ours ^ theirs;
                    }
                }));
            }
        }
        self.stream.set_ready_until(indices.end);
    }

    pub(crate) fn seal(&mut self, packet: &Rtp) -> Vec<u8> {
        keys::seal(&mut self.publisher, &packet.bytes())
    }

    pub(crate) fn to_edge(&self, datagram: &[u8]) -> Vec<u8> {
        frame(self.from, edge(self.from), datagram)
    }

    /// Runs the ingress program on a datagram of the publisher.
    pub(crate) fn ingress(&mut self, datagram: &[u8]) -> Run {
        let frame = self.to_edge(datagram);
        self.programs.ingress(&frame)
    }

    /// What a frame comes to: the one outcome that it was counted as, and the action.
    pub(crate) fn judge(&mut self, frame: &[u8]) -> (Outcome, u32) {
        let before = self.programs.outcomes();
        let run = self.programs.ingress(frame);
        let after = self.programs.outcomes();
        let counted: Vec<Outcome> = Outcome::ALL
            .into_iter()
            .filter(|&outcome| after.get(outcome) > before.get(outcome))
            .collect();
        assert_eq!(counted.len(), 1, "one outcome for each packet");
        (counted[0], run.action)
    }

    /// All legs of an accepted packet, in their order, as their subscribers open them.
    pub(crate) fn fan_out(&mut self, accepted: &Run) -> Vec<Vec<u8>> {
        assert_eq!(accepted.action, REDIRECT);
        (0..self.legs.len())
            .map(|leg| self.send_to(leg, accepted))
            .collect()
    }

    fn send_to(&mut self, leg: usize, accepted: &Run) -> Vec<u8> {
        let sent = self.programs.egress(accepted);
        assert_eq!(sent.action, PASS, "leg {leg}: {:?}", self.programs.outcomes());
        let received = Received::parse(sent.frame());
        let leg = &mut self.legs[leg];
        assert_eq!((received.source, received.destination), (edge(leg.to), leg.to));
        keys::open(&mut leg.subscriber, &received.payload)
    }
}

impl LegOnStage {
    fn new(programs: &mut ByHand, master: Master, to: SocketAddr) -> Self {
        let keys = master.keys();
        let maps = programs.maps();
        let pads = maps.pads(RING).expect("room");
        let table = maps.table(keys.hash_subkey()).expect("room");
        let peer = maps.peer().expect("room");
        let mut record = Leg {
            pads: pads.id(),
            pad_mask: RING - 1,
            table: table.id(),
            peer: peer.id(),
            payload_type: PayloadType(109),
            ip_version: 0,
            frame_header_len: 0,
            sums: [0; 2],
            extensions: extensions(),
            reserved: [0; 7],
            frame_header: [0; MAX_FRAME_HEADER],
        };
        headers(to).fill(&mut record);
        Self {
            pads,
            _peer: peer,
            to,
            subscriber: master.context(),
            keys,
            record,
            table,
        }
    }

    /// What the kernel says that it sealed.
    pub(crate) fn sealed(&self, index: u64) -> Sealed {
        match self.pads.fate(index) {
            lianmai_kernel::Fate::Sealed { at, what } => {
                assert!(at > 0);
                what
            }
            other => panic!("not sealed by the kernel: {other:?}"),
        }
    }
}

/// Polls what the kernel does in its own time.
pub(crate) fn wait_for(done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "the kernel does not get there");
        std::thread::yield_now();
    }
}

/// Copies of a packet are counted on the CPU that handles them.
fn pin_to_one_cpu() {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;
    let this_thread = Pid::from_raw(0);
    let allowed = sched_getaffinity(this_thread).expect("the CPUs of this thread");
    let first = (0..CpuSet::count())
        .find(|&cpu| allowed.is_set(cpu).unwrap_or(false))
        .expect("a CPU");
    let mut one = CpuSet::new();
    one.set(first).expect("in range");
    sched_setaffinity(this_thread, &one).expect("one of those that are allowed");
}
