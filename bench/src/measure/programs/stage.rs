//! Streams with a leg each in maps of their own, and the packets that the programs are run on.

use super::Durations;
use super::keys::Keys;
use anyhow::{Context, Result, ensure};
use lianmai_fanout::records::{Leg, MAX_FRAME_HEADER};
use lianmai_fanout::{ExtensionMap, PayloadType, Ssrc, checksum, frame};
use lianmai_kernel::{
    ByHand, Ethernet, FloorByHand, FrameHeader, MacAddress, Pads, PeerSlot, Run, StreamSlot, TableSlot,
    Tokens, stream_key,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use webrtc_srtp::context::Context as SrtpContext;

const MEDIA_PORT: u16 = 8444;
/// RFC 5737.
const EDGE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PUBLISHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const SUBSCRIBER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 21);
/// Slots of a ring; more than a batch has of one key.
const RING: u32 = 256;
/// What a program returns that sends a packet to its legs, and one that lets it go (`enum xdp_action` of linux/bpf.h).
const REDIRECT: u32 = 4;
const PASS: u32 = 2;
/// Until the kernel has found rings and tables.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(1);
/// Level, absolute send time and transport-wide sequence number (RFC 8285 §4.2), as browsers send them.
const EXTENSION: [u8; 16] = [0xbe, 0xde, 0, 3, 0x10, 9, 0x22, 1, 2, 3, 0x31, 8, 9, 0, 0, 0];

/// The fan-out's programs.
pub(super) struct KernelStage {
    programs: ByHand,
    streams: Vec<Stream>,
}

/// The floor's.
pub(super) struct FloorStage {
    programs: FloorByHand,
    sequence: u16,
}

struct Stream {
    ssrc: u32,
    keys: Keys,
    sealer: SrtpContext,
    tokens: Tokens,
    table: TableSlot,
    slot: StreamSlot,
    leg_keys: Keys,
    pads: Pads,
    leg_table: TableSlot,
    peer: PeerSlot,
}

impl KernelStage {
    /// So many streams, each with a leg, each of these with keys of its own.
    pub(super) fn new(streams: usize) -> Result<Self> {
        let mut programs = ByHand::load(MEDIA_PORT)?;
        let streams = (0..streams).map(|number| Stream::new(&mut programs, number));
        let mut stage = Self {
            streams: streams.collect::<Result<_>>()?,
            programs,
        };
        let deadline = Instant::now() + PATIENCE;
        while !stage.streams.iter().all(Stream::is_installed) {
            ensure!(
                Instant::now() < deadline,
                "the kernel does not take rings and tables in"
            );
            std::thread::sleep(POLL);
        }
        for stream in &mut stage.streams {
            // The kernel serves a leg only whose ring and table it had when the leg was set.
            let leg = leg(&stream.pads, &stream.leg_table, &stream.peer)?;
            stream.slot.set_legs(&[leg]);
            let from = SocketAddr::new(PUBLISHER.into(), 5000);
            stream.slot.announce(stream_key(from, Ssrc(stream.ssrc)))?;
        }
        Ok(stage)
    }

    pub(super) fn keys(&self) -> usize {
        self.streams.len()
    }

    /// One packet after the other through ingress, and then each to its leg.
    pub(super) fn run(&mut self, batch: usize, packets: usize, payload: usize) -> Result<Durations> {
        let each = packets / self.streams.len();
        let first = 1 + (batch * each) as u64;
        let mut frames = Vec::with_capacity(packets);
        for index in first..first + each as u64 {
            for stream in &mut self.streams {
                frames.push(stream.prepare(index, payload)?);
            }
        }
        let accepted: Vec<Run> = frames.iter().map(|frame| self.programs.ingress(frame)).collect();
        let sent: Vec<Run> = accepted.iter().map(|run| self.programs.egress(run)).collect();
        self.programs.copies().take(packets, |_, _, _| ());
        durations(&accepted, &sent)
    }
}

impl Stream {
    fn new(programs: &mut ByHand, number: usize) -> Result<Self> {
        let (keys, leg_keys) = (Keys::numbered(2 * number), Keys::numbered(2 * number + 1));
        let maps = programs.maps();
        let (tokens, pads) = (maps.tokens(RING)?, maps.pads(RING)?);
        let (table, leg_table) = (
            maps.table(keys.hash_subkey())?,
            maps.table(leg_keys.hash_subkey())?,
        );
        let (mut slot, peer) = (maps.stream()?, maps.peer()?);
        slot.describe(&tokens, &table);
        slot.renew(u64::MAX);
        Ok(Self {
            ssrc: 1 + number as u32,
            sealer: keys.sealer()?,
            keys,
            tokens,
            table,
            slot,
            leg_keys,
            pads,
            leg_table,
            peer,
        })
    }

    fn is_installed(&self) -> bool {
        self.tokens.is_installed()
            && self.pads.is_installed()
            && self.table.is_installed()
            && self.leg_table.is_installed()
    }

    /// The packet of this index, and the permissions to take and to seal it.
    fn prepare(&mut self, index: u64, payload: usize) -> Result<Vec<u8>> {
        let mask = self.keys.tag_mask(self.ssrc, index);
        ensure!(self.tokens.put(index, mask, false), "a ring of tokens is full");
        let mask = self.leg_keys.tag_mask(self.ssrc, index);
        let filled = self.pads.put(index, mask, false, payload, |pad| {
            self.keys.cross(self.ssrc, index, pad);
            self.leg_keys.cross(self.ssrc, index, pad);
        });
        ensure!(filled, "a ring of pads is full");
        self.slot.set_ready_until(index + 1);
        let sealed = self.sealer.encrypt_rtp(&rtp(self.ssrc, index as u16, payload))?;
        frame_of(&sealed)
    }
}

impl FloorStage {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            programs: FloorByHand::load(MEDIA_PORT, &[headers(EDGE, MEDIA_PORT, SUBSCRIBER, 6001)?])?,
            sequence: 0,
        })
    }

    /// The same in the clear.
    pub(super) fn run(&mut self, packets: usize, payload: usize) -> Result<Durations> {
        let mut frames = Vec::with_capacity(packets);
        for _ in 0..packets {
            self.sequence = self.sequence.wrapping_add(1);
            frames.push(frame_of(&rtp(1, self.sequence, payload))?);
        }
        let accepted: Vec<Run> = frames.iter().map(|frame| self.programs.ingress(frame)).collect();
        let sent: Vec<Run> = accepted.iter().map(|run| self.programs.egress(run)).collect();
        durations(&accepted, &sent)
    }
}

/// Of packets that all took the way that is measured.
fn durations(accepted: &[Run], sent: &[Run]) -> Result<Durations> {
    let refused = accepted.iter().filter(|run| run.action != REDIRECT).count();
    ensure!(
        refused == 0,
        "ingress did not forward {refused} of {} packets",
        accepted.len()
    );
    let dropped = sent.iter().filter(|run| run.action != PASS).count();
    ensure!(
        dropped == 0,
        "egress did not send {dropped} of {} packets",
        sent.len()
    );
    let of = |runs: &[Run]| runs.iter().map(|run| run.duration).collect();
    Ok(Durations {
        ingress: of(accepted),
        egress: of(sent),
    })
}

fn leg(pads: &Pads, table: &TableSlot, peer: &PeerSlot) -> Result<Leg> {
    let mut extensions = ExtensionMap::default();
    extensions.map(1, 10);
    extensions.map_abs_send_time(2, 3);
    extensions.map_transport_cc(3, 5);
    let mut leg = Leg {
        pads: pads.id(),
        pad_mask: RING - 1,
        table: table.id(),
        peer: peer.id(),
        payload_type: PayloadType(109),
        ip_version: 0,
        frame_header_len: 0,
        sums: [0; 2],
        extensions,
        reserved: [0; 7],
        frame_header: [0; MAX_FRAME_HEADER],
    };
    headers(EDGE, MEDIA_PORT, SUBSCRIBER, 6001)?.fill(&mut leg);
    Ok(leg)
}

fn headers(from: Ipv4Addr, from_port: u16, to: Ipv4Addr, to_port: u16) -> Result<FrameHeader> {
    let ethernet = Ethernet {
        to: MacAddress([2, 0, 0, 0, 0, 2]),
        from: MacAddress([2, 0, 0, 0, 0, 1]),
    };
    let (from, to) = (
        SocketAddr::new(from.into(), from_port),
        SocketAddr::new(to.into(), to_port),
    );
    FrameHeader::new(ethernet, from, to).context("both are IPv4")
}

/// The packet on its way from the publisher.
fn frame_of(datagram: &[u8]) -> Result<Vec<u8>> {
    let mut header = headers(PUBLISHER, 5000, EDGE, MEDIA_PORT)?;
    let sum = checksum::of_bytes(datagram);
    frame::complete(&mut header.bytes, 4, header.sums, datagram.len(), u64::from(sum));
    Ok([&header.bytes[..usize::from(header.len)], datagram].concat())
}

fn rtp(ssrc: u32, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x90, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 90).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(EXTENSION);
    packet.resize(packet.len() + payload, 0xa5);
    packet
}
