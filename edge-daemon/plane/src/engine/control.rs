//! RTCP: sender reports go to the legs, everything else ends at the feedback machines.

use super::{Engine, link};
use crate::clock::Stamp;
use crate::command::Event;
use crate::metrics::DropReason;
use crate::outbox::Outbox;
use crate::source::CNAME;
use lianmai_fanout::Ssrc;
use lianmai_feedback::{Action, Incoming, Output, SenderReport, goodbye, parse, relay_sender_report};
use lianmai_mixer_control::media::Kind;
use lianmai_webrtc::EndpointId;
use std::time::Instant;

impl Engine {
    pub(super) fn on_rtcp(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        id: EndpointId,
        datagram: &[u8],
        out: &mut Outbox,
    ) -> Result<(), DropReason> {
        let endpoint = self.endpoints.get_mut(&id).ok_or(DropReason::UnknownAddress)?;
        let opened = link(endpoint)?.opener.open_rtcp(datagram)?;
        let heard = endpoint.heard(now.at);
        let said = parse(opened.bytes()).map_err(|_| DropReason::Malformed)?;
        for incoming in &said {
            if let Some(source) = &mut endpoint.source {
                source.feedback.on_rtcp(arrival.at, incoming);
            }
            if let Some(leg) = &mut endpoint.leg {
                leg.feedback.on_rtcp(now.at, incoming);
            }
        }
        self.tell_heard(id, heard);
        let reports = said.iter().filter_map(|incoming| match incoming {
            Incoming::SenderReport(report) => Some(*report),
            _ => None,
        });
        let reports: Vec<SenderReport> = reports.collect();
        if !reports.is_empty() {
            self.tap(id, Kind::Rtcp, arrival, opened.bytes());
        }
        for report in &reports {
            self.relay(now.at, id, report, out);
        }
        self.drain_leg(now, id, out);
        self.drain_source(now, id, out);
        Ok(())
    }

    /// Passes a sender report on to the legs that have its track.
    fn relay(&mut self, now: Instant, id: EndpointId, report: &SenderReport, out: &mut Outbox) {
        let Some(source) = self
            .endpoints
            .get(&id)
            .and_then(|endpoint| endpoint.source.as_ref())
        else {
            return;
        };
        let Some(track) = source.track_of(report.ssrc) else {
            return;
        };
        let cname = source.feedback.publisher_cname().unwrap_or(CNAME.as_bytes());
        let packet = relay_sender_report(report, cname);
        let Some(legs) = self.legs.get(&id) else { return };
        for leg in legs {
            let Some(endpoint) = self.endpoints.get_mut(leg) else {
                continue;
            };
            let (Some(link), Some(leg)) = (&mut endpoint.link, &mut endpoint.leg) else {
                continue;
            };
            if leg.takes(track) {
                link.send_rtcp(&packet, out, &self.metrics);
                leg.feedback.on_sender_report_sent(now, report.ssrc, report.ntp);
            }
        }
    }

    /// Tells the legs of a source that its streams end.
    pub(super) fn say_goodbye(&mut self, source: EndpointId, out: &mut Outbox) {
        let Some(published) = self
            .endpoints
            .get(&source)
            .and_then(|endpoint| endpoint.source.as_ref())
        else {
            return;
        };
        let cname = published
            .feedback
            .publisher_cname()
            .unwrap_or(CNAME.as_bytes())
            .to_vec();
        let streams: Vec<(usize, Ssrc)> = published.media_ssrcs().collect();
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
            let streams = streams.iter().filter(|(track, _)| leg.takes(*track));
            let ssrcs: Vec<Ssrc> = streams.map(|(_, ssrc)| *ssrc).collect();
            if let Some(packet) = goodbye(&ssrcs, &cname) {
                link.send_rtcp(&packet, out, &self.metrics);
            }
        }
    }

    /// Asks a publisher for a key frame of this stream, or of all.
    pub(super) fn request_key_frame(
        &mut self,
        now: Stamp,
        id: EndpointId,
        ssrc: Option<Ssrc>,
        out: &mut Outbox,
    ) {
        let Some(source) = self
            .endpoints
            .get_mut(&id)
            .and_then(|endpoint| endpoint.source.as_mut())
        else {
            return;
        };
        if !source.has_video() {
            return;
        }
        self.metrics.key_frames_wanted.inc();
        match ssrc {
            Some(ssrc) if source.track_of(ssrc).is_none() => {}
            Some(ssrc) => source.feedback.request_key_frame(now.at, ssrc),
            None => source.feedback.request_key_frames(now.at),
        }
        self.drain_source(now, id, out);
    }

    /// Does what the machine of a publisher wants.
    pub(super) fn drain_source(&mut self, now: Stamp, id: EndpointId, out: &mut Outbox) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else {
            return;
        };
        let Some(source) = &mut endpoint.source else {
            return;
        };
        while let Some(output) = source.feedback.poll_output() {
            match output {
                Output::Rtcp(packet) => {
                    if let Some(link) = &mut endpoint.link {
                        link.send_rtcp(&packet, out, &self.metrics);
                    }
                }
                Output::AudioLevel { level, speaking } => {
                    let event = Event::AudioLevel {
                        source: id,
                        level,
                        speaking,
                    };
                    if self.events.try_send(event).is_err() {
                        self.metrics.dropped.inc(DropReason::EventQueueFull);
                    }
                }
            }
        }
        self.metrics
            .key_frames_requested
            .inc_by(source.new_key_frame_requests());
        if let (Some(round_trip), Some(tap)) = (source.new_round_trip(), &mut source.tap) {
            tap.send_round_trip(now.nanos, round_trip, &self.metrics);
        }
    }

    /// Does what the machine of a subscriber wants.
    fn drain_leg(&mut self, now: Stamp, id: EndpointId, out: &mut Outbox) {
        while let Some((source, action)) = self.next_action(id) {
            match action {
                Action::Retransmit { ssrc, seqs } => self.retransmit(now, id, source, ssrc, &seqs, out),
                Action::KeyFrame { ssrc } => self.request_key_frame(now, source, Some(ssrc), out),
            }
        }
    }

    fn next_action(&mut self, id: EndpointId) -> Option<(EndpointId, Action)> {
        let leg = self.endpoints.get_mut(&id)?.leg.as_mut()?;
        let action = leg.feedback.poll_output()?;
        Some((leg.source(), action))
    }

    pub(super) fn time_out_source(&mut self, now: Stamp, id: EndpointId, out: &mut Outbox) {
        let source = self
            .endpoints
            .get_mut(&id)
            .and_then(|endpoint| endpoint.source.as_mut());
        let Some(source) = source else { return };
        if source.feedback.next_timeout().is_some_and(|at| at <= now.at) {
            source.feedback.handle_timeout(now.at);
        }
        self.drain_source(now, id, out);
    }

    /// Holds every publisher to what its weakest leg can take.
    pub(super) fn compare_legs(&mut self, now: Instant) {
        for (source, legs) in &self.legs {
            for leg in legs {
                let estimate = self
                    .endpoints
                    .get(leg)
                    .and_then(|endpoint| endpoint.leg.as_ref()?.feedback.estimate());
                let source = self
                    .endpoints
                    .get_mut(source)
                    .and_then(|endpoint| endpoint.source.as_mut());
                let Some(source) = source else { break };
                source.weakest.update(now, *leg, estimate);
                source.allow(now, true);
            }
        }
    }
}
