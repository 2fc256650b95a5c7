//! Packets that the kernel took: what the daemon makes of its copy, and the legs that the kernel left behind.

use super::Engine;
use crate::clock::Stamp;
use crate::flows::{Check, FanLeg, Ground, Origin, opener_of, sealer_of};
use crate::metrics::{DropReason, PacketKind, Path};
use crate::outbox::Outbox;
use crate::source::Accepted;
use crate::srtp::Opened;
use bytes::BytesMut;
use lianmai_fanout::{RtpHeader, records};
use lianmai_kernel::Fate;
use lianmai_webrtc::EndpointId;
use std::time::{Duration, Instant};

/// How soon copies are looked for, if nothing else wakes the thread ...
const LOOK: Duration = Duration::from_millis(4);
/// ... and while the daemon serves legs from them, which wait for it.
const LOOK_FOR_LEGS: Duration = Duration::from_millis(1);
/// ... which it does if it has done so within this time.
const SERVES: Duration = Duration::from_secs(1);

impl Engine {
    /// A packet that the kernel verified and claimed, still sealed.
    pub(crate) fn on_copy(
        &mut self,
        now: Stamp,
        copy: &records::Copy,
        header: &[u8],
        payload: &[u8],
        out: &mut Outbox,
    ) {
        self.metrics.received.inc(PacketKind::Rtp);
        self.metrics.taken.inc(Path::Kernel);
        self.metrics
            .copy_age
            .observe(now.nanos.saturating_sub(copy.arrival));
        if let Err(reason) = self.take_copy(now, copy, header, payload, out) {
            self.metrics.dropped.inc(reason);
        }
    }

    fn take_copy(
        &mut self,
        now: Stamp,
        copy: &records::Copy,
        header: &[u8],
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let origin = self.flows.origin(copy.stream, copy.fan);
        let origin = origin.ok_or(DropReason::StaleCopy)?;
        let (id, arrival) = (origin.id.source, now.earlier(copy.arrival));
        let opened = open(&origin, copy.index, header, payload);
        if let Some(opener) = opener_of(&mut self.endpoints, id, &origin.session) {
            opener.taken(origin.id.ssrc, copy.index);
        }
        let endpoint = self.endpoints.get_mut(&id).ok_or(DropReason::UnknownAddress)?;
        let heard = endpoint.heard(now.at);
        let accepted = match &mut endpoint.source {
            Some(source) => source.accept(now, arrival, &opened),
            None => Err(DropReason::NotPublishing),
        };
        self.tell_heard(id, heard);
        if let Ok(accepted) = &accepted {
            self.tap_packet(id, arrival, accepted);
            if self.fan_out(now, arrival, id, accepted, &origin.legs, out) {
                self.served_from_copy_at = Some(now.at);
            }
        }
        self.leave_to_check(copy.index, arrival, origin, &opened, accepted.is_ok());
        self.drain_source(now, id, out);
        accepted.map(|_| ())
    }

    fn leave_to_check(&mut self, index: u64, arrival: Stamp, origin: Origin, opened: &Opened, is_new: bool) {
        let packet = opened.bytes().clone();
        let Ok(header) = RtpHeader::parse(&packet) else {
            return;
        };
        let packet = Accepted {
            track: origin.track,
            packet,
            header,
            is_repair: false,
        };
        let check = Check::new(origin.id, index, arrival, packet, is_new, origin.legs);
        self.flows.checks.push(check);
    }

    /// Finds out which legs the kernel sealed for, and serves the others.
    pub(crate) fn settle(&mut self, now: Stamp, out: &mut Outbox) {
        let mut unsettled = Vec::new();
        while let Some(mut check) = self.flows.checks.due(now) {
            if !check.settle(|check, leg| self.settle_leg(now, check, leg, out)) {
                unsettled.push(check);
            }
        }
        self.flows.checks.put_back(unsettled);
    }

    /// Whether it is known now what the leg got.
    fn settle_leg(&mut self, now: Stamp, check: &Check, leg: &FanLeg, out: &mut Outbox) -> bool {
        match leg.ring.fate(check.index) {
            Fate::Sealed { at, what } => {
                self.sealed_by_kernel(now, check, leg, at, what, out);
                true
            }
            Fate::Free | Fate::NoSlot => self.serve_left_behind(now, check, leg, out),
            Fate::Claimed => self.is_ours(check, leg) || self.gave_up(now, check, leg),
        }
    }

    fn sealed_by_kernel(
        &mut self,
        now: Stamp,
        check: &Check,
        leg: &FanLeg,
        at: u64,
        what: records::Sealed,
        out: &mut Outbox,
    ) {
        self.metrics.sent.inc(PacketKind::Rtp);
        self.metrics.forwarded.inc(Path::Kernel);
        out.note_transit(at.saturating_sub(check.arrival.nanos));
        self.note_sealed(check, leg);
        let endpoint = self.endpoints.get_mut(&leg.id);
        let subscriber = endpoint.and_then(|endpoint| endpoint.leg.as_mut());
        let Some(subscriber) = subscriber.filter(|leg| leg.source() == check.id.source) else {
            return;
        };
        let Accepted {
            track,
            packet,
            header,
            ..
        } = &check.packet;
        subscriber.sealed_by_kernel(now.earlier(at).at, *track, packet, header, what);
    }

    /// The kernel did not get to it, so it is sealed here, unless it gets to it this very moment.
    fn serve_left_behind(&mut self, now: Stamp, check: &Check, leg: &FanLeg, out: &mut Outbox) -> bool {
        if !check.is_new || !self.is_subscribed(leg, check.id.source) {
            return true;
        }
        match self.seal_for(now, check.arrival, leg.id, &check.packet, out) {
            Ok(sent) => {
                self.metrics.left_behind.inc_by(u64::from(sent));
                true
            }
            // Sealed before, or by the kernel just now: in that case the pad will say so.
            Err(DropReason::AlreadySealed) => self.is_ours(check, leg),
            Err(reason) => {
                self.metrics.dropped.inc(reason);
                true
            }
        }
    }

    /// Whether the sealer knows that the index is used up: it was sealed here.
    fn is_ours(&mut self, check: &Check, leg: &FanLeg) -> bool {
        let Some(index) = leg.ring.leg_index(check.index) else {
            return true;
        };
        sealer_of(&mut self.endpoints, leg.id, &leg.session)
            .is_none_or(|sealer| !sealer.is_fresh(check.id.ssrc, index))
    }

    /// A program that claimed a pad and did nothing with it for so long has failed. The pad is used up; the subscriber will
    /// ask for the packet again.
    fn gave_up(&mut self, now: Stamp, check: &Check, leg: &FanLeg) -> bool {
        let is_hopeless = check.is_hopeless(now);
        if is_hopeless {
            self.metrics.dropped.inc(DropReason::LostInKernel);
            self.note_sealed(check, leg);
        }
        is_hopeless
    }

    fn note_sealed(&mut self, check: &Check, leg: &FanLeg) {
        let sealer = sealer_of(&mut self.endpoints, leg.id, &leg.session);
        if let (Some(sealer), Some(index)) = (sealer, leg.ring.leg_index(check.index)) {
            sealer.sealed(check.id.ssrc, index);
        }
    }

    fn is_subscribed(&self, leg: &FanLeg, source: EndpointId) -> bool {
        let endpoint = self.endpoints.get(&leg.id);
        endpoint
            .and_then(|endpoint| endpoint.leg.as_ref())
            .is_some_and(|leg| leg.source() == source)
    }

    /// Commands were applied: what they ended leaves the kernel, and new legs share their numbers with it, before any packet
    /// finds them.
    pub(crate) fn review_flows(&mut self, now: Instant, ground: &mut dyn Ground) {
        self.flows.review(now, &mut self.endpoints, &self.legs, ground);
    }

    /// Brings the flows up to date; returns whether there is more to do at once.
    pub(crate) fn feed(&mut self, now: Stamp, ground: &mut dyn Ground) -> bool {
        self.end_what_no_flow_took(now.at);
        let more = self.flows.feed(now, &mut self.endpoints, &self.legs, ground);
        self.metrics
            .flows
            .set(i64::try_from(self.flows.running()).unwrap_or(i64::MAX));
        more
    }

    /// All copies that were there at this time are taken.
    pub(crate) const fn copies_drained(&mut self, at: Instant) {
        self.flows.drained(at);
    }

    /// Legs may be reached another way now.
    pub(crate) const fn routes_changed(&mut self) {
        self.flows.changed();
    }

    /// Has the kernel forget everything.
    pub(crate) fn withdraw_flows(&mut self, now: Instant) {
        self.flows.withdraw_all(now);
    }

    /// Shows what changes slowly.
    pub(crate) fn show_flows(&self, ground: &mut dyn Ground) {
        let memory = i64::try_from(ground.maps().memory()).unwrap_or(i64::MAX);
        self.metrics.kernel_memory.set(memory);
        let backlog = i64::try_from(self.flows.backlog()).unwrap_or(i64::MAX);
        self.metrics.feeder_backlog.set(backlog);
    }

    /// How soon to look for copies; `None` while there are none.
    pub(crate) fn look_within(&self, now: Instant) -> Option<Duration> {
        if self.flows.is_empty() {
            return None;
        }
        let is_waited_for = self
            .served_from_copy_at
            .is_some_and(|at| now.saturating_duration_since(at) < SERVES);
        Some(if is_waited_for { LOOK_FOR_LEGS } else { LOOK })
    }
}

/// The kernel checked the tag; the key stream is all that is left to do.
fn open(origin: &Origin, index: u64, header: &[u8], payload: &[u8]) -> Opened {
    let mut plain = BytesMut::with_capacity(header.len() + payload.len());
    plain.extend_from_slice(header);
    plain.extend_from_slice(payload);
    if let Some(payload) = plain.get_mut(header.len()..) {
        origin.session.apply_key_stream(origin.id.ssrc, index, payload);
    }
    Opened::by_kernel(plain.freeze())
}
