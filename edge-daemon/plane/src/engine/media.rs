//! RTP: opened once, sealed for every leg.

use super::{Engine, link};
use crate::clock::Stamp;
use crate::flows::FanLeg;
use crate::metrics::{DropReason, Path, Retransmission};
use crate::outbox::{Outbox, Outgoing};
use crate::source::Accepted;
use lianmai_fanout::{RtpHeader, SequenceNumber, Ssrc};
use lianmai_mixer_control::media::Kind;
use lianmai_webrtc::EndpointId;
use std::rc::Rc;

impl Engine {
    pub(super) fn on_rtp(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        id: EndpointId,
        datagram: &[u8],
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let endpoint = self.endpoints.get_mut(&id).ok_or(DropReason::UnknownAddress)?;
        let header = RtpHeader::parse(datagram).map_err(|_| DropReason::Malformed)?;
        let opened = link(endpoint)?.opener.open_rtp(datagram, &header)?;
        let heard = endpoint.heard(now.at);
        let accepted = match &mut endpoint.source {
            Some(source) => source.accept(now, arrival, &opened),
            None => Err(DropReason::NotPublishing),
        };
        self.tell_heard(id, heard);
        self.metrics.taken.inc(Path::Daemon);
        if let Ok(accepted) = &accepted {
            self.tap_packet(id, arrival, accepted);
            self.fan_out(now, arrival, id, accepted, &[], out);
        }
        self.drain_source(now, id, out);
        accepted.map(|_| ())
    }

    /// Seals a packet for all legs but those that the kernel serves; returns whether there were others.
    pub(super) fn fan_out(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        source: EndpointId,
        accepted: &Accepted,
        by_kernel: &[FanLeg],
        out: &mut Outbox,
    ) -> bool {
        let (mut place, mut has_sealed) = (0, false);
        while let Some(leg) = self.subscriber(source, place) {
            place += 1;
            if self.is_served(leg, by_kernel) {
                continue;
            }
            match self.seal_for(now, arrival, leg, accepted, out) {
                Ok(is_sealed) => has_sealed |= is_sealed,
                Err(reason) => self.metrics.dropped.inc(reason),
            }
        }
        if has_sealed {
            self.flows.missed();
        }
        has_sealed
    }

    fn subscriber(&self, source: EndpointId, place: usize) -> Option<EndpointId> {
        self.legs.get(&source)?.get(place).copied()
    }

    /// Whether the kernel seals for this leg, under the key that it has now.
    fn is_served(&self, leg: EndpointId, by_kernel: &[FanLeg]) -> bool {
        let Some(served) = by_kernel.iter().find(|served| served.id == leg) else {
            return false;
        };
        let link = self
            .endpoints
            .get(&leg)
            .and_then(|endpoint| endpoint.link.as_ref());
        link.and_then(|link| link.sealer.session())
            .is_some_and(|session| Rc::ptr_eq(session, &served.session))
    }

    /// Seals a packet for one leg; `Ok(false)` if it does not take it.
    pub(super) fn seal_for(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        leg: EndpointId,
        accepted: &Accepted,
        out: &mut Outbox,
    ) -> Result<bool, DropReason> {
        let Some(endpoint) = self.endpoints.get_mut(&leg) else {
            return Ok(false);
        };
        let (Some(link), Some(leg)) = (&mut endpoint.link, &mut endpoint.leg) else {
            return Ok(false);
        };
        let sealed = leg.seal(now, accepted, &mut link.sealer, &mut self.scratch)?;
        let Some(sealed) = sealed else { return Ok(false) };
        self.metrics.forwarded.inc(Path::Daemon);
        out.push(Outgoing {
            to: link.remote,
            bytes: sealed.bytes,
            kind: sealed.kind,
            arrival: Some(arrival),
        });
        Ok(true)
    }

    /// Answers what a leg misses from the history of its source.
    pub(super) fn retransmit(
        &mut self,
        now: Stamp,
        leg: EndpointId,
        source: EndpointId,
        ssrc: Ssrc,
        missing: &[SequenceNumber],
        out: &mut Outbox,
    ) {
        for &sequence in missing {
            let outcome = self.retransmit_one(now, leg, source, ssrc, sequence, out);
            self.metrics.retransmissions.inc(outcome);
        }
    }

    fn retransmit_one(
        &mut self,
        now: Stamp,
        leg: EndpointId,
        source: EndpointId,
        ssrc: Ssrc,
        sequence: SequenceNumber,
        out: &mut Outbox,
    ) -> Retransmission {
        let source = self
            .endpoints
            .get(&source)
            .and_then(|endpoint| endpoint.source.as_ref());
        let Some(accepted) = source.and_then(|source| source.recall(ssrc, sequence)) else {
            return Retransmission::Missed;
        };
        let Some(endpoint) = self.endpoints.get_mut(&leg) else {
            return Retransmission::Missed;
        };
        let (Some(link), Some(leg)) = (&mut endpoint.link, &mut endpoint.leg) else {
            return Retransmission::Missed;
        };
        match leg.seal_again(now, &accepted, &mut link.sealer, &mut self.scratch) {
            Err(outcome) => outcome,
            Ok(Err(reason)) => {
                self.metrics.dropped.inc(reason);
                Retransmission::Missed
            }
            Ok(Ok(sealed)) => {
                let (bytes, kind) = (sealed.bytes, sealed.kind);
                out.push(Outgoing {
                    to: link.remote,
                    bytes,
                    kind,
                    arrival: None,
                });
                Retransmission::Answered
            }
        }
    }

    pub(super) fn tap_packet(&mut self, source: EndpointId, arrival: Stamp, accepted: &Accepted) {
        let kind = match accepted.is_repair {
            true => Kind::Repair,
            false => Kind::Rtp,
        };
        self.tap(source, kind, arrival, &accepted.packet);
    }

    pub(super) fn tap(&mut self, source: EndpointId, kind: Kind, arrival: Stamp, packet: &[u8]) {
        let source = self
            .endpoints
            .get_mut(&source)
            .and_then(|endpoint| endpoint.source.as_mut());
        if let Some(tap) = source.and_then(|source| source.tap.as_mut()) {
            tap.send(kind, arrival.nanos, packet, &self.metrics);
        }
    }
}
