//! An engine, a kernel that is played by hand, peers with SRTP contexts that are not ours, and a clock that is moved.

mod peer;
mod programs;

pub(crate) use peer::{Peer, retransmission_of, sound_track, video_leg, video_track};
use programs::Tables;
pub(crate) use programs::{Taken, Verdict};

use super::Engine;
use crate::clock::Stamp;
use crate::command::{Command, Event};
use crate::flows::{FlowId, Ground, View};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::snapshot::{FlowStats, LegStats};
use lianmai_fanout::demux::Protocol;
use lianmai_fanout::{Ssrc, records};
use lianmai_kernel::{Ethernet, FrameHeader, Ledger, MacAddress, Maps};
use lianmai_webrtc::media::Track;
use lianmai_webrtc::{EndpointId, SrtpProfile};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub(crate) const GCM: SrtpProfile = SrtpProfile::AeadAes128Gcm;
pub(crate) const SHA1: SrtpProfile = SrtpProfile::Aes128CmHmacSha1_80;
pub(crate) const HOST: EndpointId = EndpointId(1);
pub(crate) const VIDEO: u32 = 0xb0b0;

/// How often the thread looks at copies.
pub(crate) const LOOK: Duration = Duration::from_millis(4);

/// Maps in memory, and ways to all peers but some.
pub(crate) struct TestGround {
    pub(crate) maps: Maps,
    pub(crate) out_of_reach: BTreeSet<SocketAddr>,
}

impl Ground for TestGround {
    fn maps(&mut self) -> &mut Maps {
        &mut self.maps
    }

    fn frame_header(&mut self, remote: SocketAddr) -> Option<FrameHeader> {
        let ethernet = Ethernet {
            to: MacAddress([2, 0, 0, 0, 0, 1]),
            from: MacAddress([2, 0, 0, 0, 0, 2]),
        };
        let from = SocketAddr::from(([192, 0, 2, 9], 8_444));
        FrameHeader::new(ethernet, from, remote).filter(|_| !self.out_of_reach.contains(&remote))
    }
}

pub(crate) struct Lab {
    pub(crate) engine: Engine,
    ledger: Ledger,
    pub(crate) now: Stamp,
    pub(crate) ground: TestGround,
    pub(crate) metrics: Metrics,
    pub(crate) peers: BTreeMap<EndpointId, Peer>,
    out: Outbox,
    /// What the host publishes, and legs negotiate.
    published: Vec<Track>,
    legs_take: Track,
    /// The ring buffer.
    pub(crate) copies: VecDeque<Taken>,
    tables: Tables,
    pub(crate) events: mpsc::Receiver<Event>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let metrics = Metrics::default();
        let (events, receiver) = mpsc::channel(16);
        let ledger = Ledger::in_memory(1_024).expect("memory");
        Self {
            engine: Engine::new(ledger.clone(), metrics.clone(), events),
            ledger,
            published: Vec::new(),
            now: Stamp {
                at: Instant::now() + Duration::from_secs(1_000),
                nanos: 1_000_000_000_000,
            },
            ground: TestGround {
                maps: Maps::in_memory().expect("memory"),
                out_of_reach: BTreeSet::new(),
            },
            metrics,
            peers: BTreeMap::new(),
            out: Outbox::default(),
            legs_take: video_leg(96),
            copies: VecDeque::new(),
            tables: Tables::default(),
            events: receiver,
        }
    }

    /// A publisher of video whose next packet has this number, and legs with these profiles.
    pub(crate) fn with_legs(first: u16, profiles: &[SrtpProfile]) -> Self {
        Self::with_track(first, profiles, video_track())
    }

    fn with_track(first: u16, profiles: &[SrtpProfile], track: Track) -> Self {
        let mut lab = Self::new();
        lab.connect(HOST, GCM);
        lab.peers.get_mut(&HOST).expect("just connected").next = first;
        lab.legs_take = Track {
            kind: track.kind,
            codec: track.codec,
            ..video_leg(96)
        };
        lab.publish(vec![track]);
        for (id, profile) in (2..).map(EndpointId).zip(profiles) {
            lab.join(id, *profile);
        }
        lab
    }

    /// The same, with its first packet sent and the stream in the kernel.
    pub(crate) fn running(first: u16, profiles: &[SrtpProfile]) -> Self {
        Self::with_legs(first, profiles).started()
    }

    /// The same with sound, whose rings are shorter than the replay windows.
    pub(crate) fn running_sound(first: u16, profiles: &[SrtpProfile]) -> Self {
        Self::with_track(first, profiles, sound_track()).started()
    }

    fn started(mut self) -> Self {
        let lab = &mut self;
        lab.send();
        lab.pass(Duration::from_millis(100));
        assert!(lab.flow().is_some(), "the kernel has the stream");
        self
    }

    pub(crate) fn connect(&mut self, id: EndpointId, profile: SrtpProfile) {
        let peer = Peer::new(id, profile);
        let command = peer.connect();
        self.peers.insert(id, peer);
        self.apply(command);
    }

    /// A new handshake of the same endpoint.
    pub(crate) fn rekey(&mut self, id: EndpointId) {
        let peer = self.peers.get_mut(&id).expect("connected");
        peer.rekey();
        let command = peer.connect();
        self.apply(command);
    }

    pub(crate) fn publish(&mut self, tracks: Vec<Track>) {
        self.published.clone_from(&tracks);
        self.apply(Command::Publish {
            endpoint: HOST,
            tracks,
        });
    }

    pub(crate) fn join(&mut self, id: EndpointId, profile: SrtpProfile) {
        self.connect(id, profile);
        self.apply(Command::Subscribe {
            endpoint: id,
            source: HOST,
            tracks: vec![self.legs_take.clone()],
        });
    }

    /// The process is killed at this moment, and the next one starts with the memory that it left and what the edge knows.
    /// The ring buffer stays, and so does what programs were about to do.
    pub(crate) fn crash(&mut self) {
        let (events, receiver) = mpsc::channel(16);
        self.ledger = self.ledger.left_in_memory();
        let engine = Engine::new(self.ledger.clone(), self.metrics.clone(), events);
        let maps = self.ground.maps.left_in_memory();
        // A killed process drops nothing.
        std::mem::forget(std::mem::replace(&mut self.engine, engine));
        std::mem::forget(std::mem::replace(&mut self.ground.maps, maps));
        self.events = receiver;
        let commands = self.commands();
        self.engine
            .resume(self.now, commands, Some(&mut self.ground), &mut self.out);
        self.deliver();
    }

    fn commands(&self) -> Vec<Command> {
        let publish = Command::Publish {
            endpoint: HOST,
            tracks: self.published.clone(),
        };
        let legs = self.peers.keys().filter(|id| **id != HOST);
        let subscribe = legs.map(|&endpoint| Command::Subscribe {
            endpoint,
            source: HOST,
            tracks: vec![self.legs_take.clone()],
        });
        let resume = self.peers.values().map(Peer::resume);
        std::iter::once(publish).chain(subscribe).chain(resume).collect()
    }

    pub(crate) fn apply(&mut self, command: Command) {
        self.engine.apply(self.now, command, &mut self.out);
        self.engine.review_flows(self.now.at, &mut self.ground);
        self.turn();
    }

    /// The next packet of the host, sealed.
    pub(crate) fn sealed(&mut self) -> Vec<u8> {
        self.peers.get_mut(&HOST).expect("a host").seal_next()
    }

    /// The next packet of the host goes the way that the kernel sends it.
    pub(crate) fn send(&mut self) {
        let packet = self.sealed();
        self.arrive(&packet);
    }

    /// So many packets, each followed by so much time.
    pub(crate) fn stream(&mut self, packets: usize, apart: Duration) {
        for _ in 0..packets {
            self.send();
            self.pass(apart);
        }
    }

    pub(crate) fn arrive(&mut self, packet: &[u8]) {
        self.arrive_from(HOST, packet);
    }

    pub(crate) fn arrive_from(&mut self, id: EndpointId, packet: &[u8]) {
        match self.ingress_from(id, packet) {
            Verdict::Passed => self.at_socket_from(id, packet),
            Verdict::Dropped => {}
            Verdict::Taken(taken) => self.egress_all(taken),
        }
    }

    pub(crate) fn ingress(&mut self, packet: &[u8]) -> Verdict {
        self.ingress_from(HOST, packet)
    }

    fn ingress_from(&mut self, id: EndpointId, packet: &[u8]) -> Verdict {
        let from = self.peers[&id].address;
        match self.view(id).filter(|view| view.remote == from) {
            Some(view) => programs::ingress(self.now, view, packet, &mut self.tables),
            None => Verdict::Passed,
        }
    }

    /// Takes a packet as the kernel does, which must have a token for it.
    pub(crate) fn taken(&mut self) -> Taken {
        let packet = self.sealed();
        match self.ingress(&packet) {
            Verdict::Taken(taken) => taken,
            Verdict::Passed | Verdict::Dropped => panic!("the kernel has a token"),
        }
    }

    pub(crate) fn egress_all(&mut self, taken: Taken) {
        for place in 0..taken.legs() {
            self.egress(&taken, place);
        }
        self.copies.push_back(taken);
    }

    /// Whether the kernel sealed for the leg at this place.
    pub(crate) fn egress(&mut self, taken: &Taken, place: usize) -> bool {
        let sent = taken.egress(self.now, place, &mut self.tables);
        let is_sealed = sent.is_some();
        if let Some(sent) = sent {
            self.peer(sent.to).receive(&sent.bytes);
        }
        is_sealed
    }

    pub(crate) fn at_socket(&mut self, packet: &[u8]) {
        self.at_socket_from(HOST, packet);
    }

    pub(crate) fn at_socket_from(&mut self, id: EndpointId, packet: &[u8]) {
        let from = self.peers[&id].address;
        self.engine
            .on_datagram(self.now, self.now, from, Protocol::Rtp, packet, &mut self.out);
        self.deliver();
    }

    /// One turn of the media thread, with all copies taken.
    pub(crate) fn turn(&mut self) {
        self.take_copies();
        self.turn_without_copies();
    }

    pub(crate) fn take_copies(&mut self) {
        while let Some(taken) = self.copies.pop_front() {
            self.engine.on_copy(
                self.now,
                &taken.copy,
                &taken.header,
                &taken.payload,
                &mut self.out,
            );
        }
        self.engine.copies_drained(self.now.at);
    }

    pub(crate) fn turn_without_copies(&mut self) {
        self.engine.settle(self.now, &mut self.out);
        while self.engine.feed(self.now, &mut self.ground) {}
        self.engine.on_tick(self.now, &mut self.out);
        self.deliver();
    }

    /// Time passes, with turns as the thread takes them.
    pub(crate) fn pass(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(LOOK);
            self.skip(step);
            self.turn();
            left -= step;
        }
    }

    /// Time passes without a turn.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.now.at += time;
        self.now.nanos += time.as_nanos() as u64;
    }

    fn deliver(&mut self) {
        for outgoing in self.out.queue() {
            let peer = self.peers.values_mut().find(|peer| peer.address == outgoing.to);
            if let Some(peer) = peer.filter(|_| !is_rtcp(&outgoing.bytes)) {
                peer.receive(&outgoing.bytes);
            }
        }
        self.out.clear();
    }

    pub(crate) fn peer(&mut self, id: EndpointId) -> &mut Peer {
        self.peers.get_mut(&id).expect("connected")
    }

    /// The sequence numbers that a leg got since this was asked last.
    pub(crate) fn got(&mut self, id: EndpointId) -> Vec<u16> {
        let received = std::mem::take(&mut self.peer(id).received);
        received
            .iter()
            .map(|packet| u16::from_be_bytes([packet[2], packet[3]]))
            .collect()
    }

    /// How the kernel forwards the host's video.
    pub(crate) fn flow(&self) -> Option<FlowStats> {
        self.engine.flows.stats(HOST, Ssrc(VIDEO))
    }

    /// Twice the slots for the host's video, if it is in the kernel.
    pub(crate) fn deepen(&mut self) {
        if self.flow().is_some() {
            let (source, ssrc) = (HOST, Ssrc(VIDEO));
            self.engine.flows.deepen(FlowId { source, ssrc });
        }
    }

    fn view(&self, source: EndpointId) -> Option<View> {
        self.engine.flows.view(FlowId {
            source,
            ssrc: Ssrc(VIDEO),
        })
    }

    /// The leg records that the kernel has of it.
    pub(crate) fn records(&self) -> Vec<records::Leg> {
        let view = self.view(HOST).expect("in the kernel");
        view.legs.iter().map(|leg| leg.record).collect()
    }

    pub(crate) fn leg(&self, id: EndpointId) -> LegStats {
        let snapshot = self.engine.snapshot();
        let endpoint = snapshot.endpoint(id).expect("connected");
        endpoint.leg.clone().expect("a leg")
    }
}

/// RFC 5761 §4.
fn is_rtcp(packet: &[u8]) -> bool {
    (192..=223).contains(&packet[1])
}
