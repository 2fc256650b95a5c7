//! One subscriber's copy of a stream.

use crate::clock::Stamp;
use crate::metrics::{DropReason, PacketKind, Retransmission};
use crate::numbers::Numbers;
use crate::route::Route;
use crate::rtx;
use crate::snapshot::LegStats;
use crate::source::Accepted;
use crate::srtp::{NotSealed, Sealer, TAG_LEN};
use bytes::Bytes;
use lianmai_fanout::{AbsSendTime, LegHeader, Rewriting, RtpHeader, SequenceNumber, Ssrc, Stamps, records};
use lianmai_feedback::Sent;
use lianmai_kernel::{Maps, PeerSlot};
use lianmai_webrtc::EndpointId;
use lianmai_webrtc::media::Track;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// What retransmissions may take of a leg: this much at once ...
const RTX_BURST: u64 = 128 * 1024;
/// ... and one byte for every two bytes of new packets.
const RTX_SHARE: u64 = 2;

/// A subscriber.
pub(crate) struct Leg {
    source: EndpointId,
    wanted: Vec<Track>,
    /// By index into the publisher's tracks.
    routes: Vec<Option<Route>>,
    pub(crate) feedback: lianmai_feedback::Leg,
    numbers: Numbers,
    /// Next sequence number of each RTX stream.
    rtx_next: BTreeMap<Ssrc, SequenceNumber>,
    rtx_budget: u64,
    packets: u64,
    /// Of these, sealed by the kernel.
    by_kernel: u64,
    bytes: u64,
    retransmitted: u64,
}

/// A sealed packet.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) bytes: Bytes,
    pub(crate) kind: PacketKind,
}

impl Leg {
    pub(crate) fn new(now: Instant, source: EndpointId, wanted: Vec<Track>) -> Self {
        Self {
            source,
            wanted,
            routes: Vec::new(),
            feedback: lianmai_feedback::Leg::new(now),
            numbers: Numbers::Unset,
            rtx_next: BTreeMap::new(),
            rtx_budget: RTX_BURST,
            packets: 0,
            by_kernel: 0,
            bytes: 0,
            retransmitted: 0,
        }
    }

    /// Goes on where an earlier leg of the same endpoint ended: no RTX number is used twice under one key, and the
    /// subscriber's feedback stays unambiguous.
    pub(crate) fn continue_from(&mut self, earlier: Self) {
        self.numbers = earlier.numbers;
        self.rtx_next = earlier.rtx_next;
    }

    pub(crate) const fn source(&self) -> EndpointId {
        self.source
    }

    /// Pairs the publisher's tracks with those that the leg negotiated: same kind and codec, in their order.
    pub(crate) fn route<'a>(&mut self, published: impl Iterator<Item = &'a Track>) {
        let mut free: Vec<&Track> = self.wanted.iter().collect();
        self.routes = published
            .map(|from| {
                let place = free
                    .iter()
                    .position(|to| to.kind == from.kind && to.codec == from.codec)?;
                Some(Route::new(from, free.remove(place)))
            })
            .collect();
    }

    /// Nothing is published (any more).
    pub(crate) fn unroute(&mut self) {
        self.routes.clear();
    }

    pub(crate) fn takes(&self, track: usize) -> bool {
        self.route_of(track).is_some()
    }

    /// Seals a new packet for this leg; `Ok(None)` if it did not negotiate the track.
    pub(crate) fn seal(
        &mut self,
        now: Stamp,
        accepted: &Accepted,
        sealer: &mut Sealer,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<Sealed>, DropReason> {
        let Some(route) = self.route_of(accepted.track) else {
            return Ok(None);
        };
        scratch.clear();
        scratch.extend_from_slice(&accepted.packet);
        let bytes = self.finish(now, &route.header, sealer, scratch)?;
        self.count(bytes.len() as u64);
        Ok(Some(Sealed {
            bytes,
            kind: PacketKind::Rtp,
        }))
    }

    /// Seals a packet again, on the leg's RTX stream. Without one there is no answer: under a fresh seal the packet
    /// would have to be identical byte by byte, and extension values of the first time are not kept.
    pub(crate) fn seal_again(
        &mut self,
        now: Stamp,
        accepted: &Accepted,
        sealer: &mut Sealer,
        scratch: &mut Vec<u8>,
    ) -> Result<Result<Sealed, DropReason>, Retransmission> {
        let route = self
            .route_of(accepted.track)
            .ok_or(Retransmission::NotNegotiated)?;
        let (payload_type, ssrc) = route.rtx.ok_or(Retransmission::NotNegotiated)?;
        let cost = accepted.packet.len() as u64;
        self.rtx_budget = self
            .rtx_budget
            .checked_sub(cost)
            .ok_or(Retransmission::OverBudget)?;
        scratch.clear();
        scratch.extend_from_slice(&accepted.packet);
        rtx::wrap(
            scratch,
            accepted.header.len,
            payload_type,
            ssrc,
            self.next_rtx(ssrc, sealer),
        );
        let header = LegHeader {
            payload_type,
            ..route.header
        };
        Ok(self.finish(now, &header, sealer, scratch).map(|bytes| {
            self.retransmitted += 1;
            Sealed {
                bytes,
                kind: PacketKind::Rtx,
            }
        }))
    }

    /// The kernel sealed a packet of this track; `packet` is as the publisher sent it.
    pub(crate) fn sealed_by_kernel(
        &mut self,
        at: Instant,
        track: usize,
        packet: &[u8],
        header: &RtpHeader,
        sealed: records::Sealed,
    ) {
        let Some(route) = self.route_of(track) else { return };
        let sent = Sent {
            transport_seq: route
                .wants_transport_sequence(packet, header)
                .then_some(sealed.transport_sequence),
            size: usize::from(sealed.len).saturating_sub(TAG_LEN),
            ssrc: header.ssrc,
            seq: header.sequence,
        };
        self.feedback.on_sent(at, &sent);
        self.count(u64::from(sealed.len));
        self.by_kernel += 1;
    }

    /// Lets the kernel number this leg's packets too, if none is numbered yet and the kernel has room.
    pub(crate) fn share_numbers(&mut self, maps: &mut Maps) {
        self.numbers.share(maps);
    }

    /// Goes on with the numbers that the kernel shared with an earlier process.
    pub(crate) fn adopt_numbers(&mut self, peer: PeerSlot) {
        self.numbers.adopt(peer);
    }

    /// Whose numbers the kernel may take.
    pub(crate) const fn shared_numbers(&self) -> Option<&Rc<PeerSlot>> {
        self.numbers.shared()
    }

    /// How the leg numbers a track.
    pub(crate) fn header_of(&self, track: usize) -> Option<LegHeader> {
        self.route_of(track).map(|route| route.header)
    }

    pub(crate) fn stats(&self) -> LegStats {
        LegStats {
            source: self.source,
            packets: self.packets,
            by_kernel: self.by_kernel,
            bytes: self.bytes,
            retransmitted: self.retransmitted,
            estimated_bitrate: self.feedback.estimate(),
            round_trip: self.feedback.round_trip().map(|round_trip| round_trip.smoothed),
            loss: self.feedback.loss(),
        }
    }

    fn route_of(&self, track: usize) -> Option<Route> {
        self.routes.get(track).copied().flatten()
    }

    fn next_rtx(&mut self, ssrc: Ssrc, sealer: &Sealer) -> SequenceNumber {
        // RFC 4588 §4 with RFC 3550 §5.1: the first number is not to be foreseen; the SSRC is random. After a restart of this
        // daemon the first is the one behind the last.
        let next = self.rtx_next.entry(ssrc).or_insert_with(|| {
            let first = SequenceNumber((ssrc.0 & 0x7fff) as u16);
            sealer.next_sequence(ssrc).unwrap_or(first)
        });
        let taken = *next;
        next.0 = next.0.wrapping_add(1);
        taken
    }

    fn count(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
        self.rtx_budget = RTX_BURST.min(self.rtx_budget + bytes / RTX_SHARE);
    }

    /// Rewrites and seals what is in `packet`.
    fn finish(
        &mut self,
        now: Stamp,
        leg: &LegHeader,
        sealer: &mut Sealer,
        packet: &mut [u8],
    ) -> Result<Bytes, DropReason> {
        let header = RtpHeader::parse(packet).map_err(|_| DropReason::Malformed)?;
        // Before anything is used up for it: the kernel may have been faster.
        let permit = sealer.permit(&header)?;
        let mut rewriting = Rewriting::begin(packet, &header, leg);
        while rewriting.step(packet, leg) {}
        let stamps = Stamps {
            transport_sequence: if rewriting.wants_transport_sequence() {
                self.numbers.next()
            } else {
                0
            },
            send_time: AbsSendTime::from_nanos(now.nanos),
        };
        let written = rewriting.stamp(packet, &stamps);
        let bytes = sealer.seal(permit, packet, &header)?;
        let transport_seq = written.transport_sequence.then_some(stamps.transport_sequence);
        let sent = Sent {
            transport_seq,
            size: packet.len(),
            ssrc: header.ssrc,
            seq: header.sequence,
        };
        self.feedback.on_sent(now.at, &sent);
        Ok(bytes)
    }
}

impl From<NotSealed> for DropReason {
    fn from(error: NotSealed) -> Self {
        match error {
            NotSealed::AlreadySealed => Self::AlreadySealed,
            NotSealed::Refused => Self::SealRefused,
        }
    }
}
