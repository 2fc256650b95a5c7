//! RTP: opened once, sealed for every leg.

use super::{Engine, link};
use crate::clock::Stamp;
use crate::metrics::{DropReason, Retransmission};
use crate::outbox::{Outbox, Outgoing};
use crate::source::Accepted;
use lianmai_fanout::{RtpHeader, SequenceNumber, Ssrc};
use lianmai_mixer_control::media::Kind;
use lianmai_webrtc::EndpointId;

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
        if let Ok(accepted) = &accepted {
            self.tap(id, Kind::Rtp, arrival, &accepted.packet);
            self.fan_out(now, arrival, id, accepted, out);
        }
        self.drain_source(now, id, out);
        accepted.map(|_| ())
    }

    fn fan_out(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        source: EndpointId,
        accepted: &Accepted,
        out: &mut Outbox,
    ) {
        let Some(legs) = self.legs.get(&source) else {
            return;
        };
        for leg in legs {
            let Some(endpoint) = self.endpoints.get_mut(leg) else {
                continue;
            };
            let (Some(link), Some(leg)) = (&mut endpoint.link, &mut endpoint.leg) else {
                continue;
            };
            match leg.seal(now, accepted, &mut link.sealer, &mut self.scratch) {
                Ok(None) => {}
                Ok(Some(sealed)) => out.push(Outgoing {
                    to: link.remote,
                    bytes: sealed.bytes,
                    kind: sealed.kind,
                    arrival: Some(arrival),
                }),
                Err(reason) => self.metrics.dropped.inc(reason),
            }
        }
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
