//! What a source says, put into datagrams.

use super::stream::KeyFrameMessage;
use super::types::Output;
use super::{Source, SourceCounters};
use crate::wire::{Compound, Feedback, ReceptionBlock};
use lianmai_fanout::Ssrc;
use lianmai_webrtc::media::Kind;
use std::time::{Duration, Instant};

/// Between two reports, spread by a quarter either way so that sources do not report in step (RFC 3550 §6.2).
const REPORT_INTERVAL_MS: u32 = 1_000;
const REPORT_SPREAD_MS: u32 = 500;
/// Sequence numbers in one datagram: even as single pairs they stay below any path MTU.
const NACKS_PER_DATAGRAM: usize = 200;

impl Source {
    /// RR with a block per stream, our clock (RFC 3611 §4.4) and, when it is due, the limit.
    pub(super) fn send_report(&mut self, now: Instant) {
        if self.report_at.is_none_or(|at| at > now) {
            return;
        }
        self.report_at = Some(now + self.report_interval());
        let streams = self.streams.iter_mut();
        let blocks: Vec<ReceptionBlock> = streams
            .filter_map(|(ssrc, stream)| stream.reception.take_block(now, *ssrc))
            .collect();
        let ours = self.config.ours;
        let mut compound = Compound::report(ours, &blocks, self.config.cname.as_bytes());
        compound.push(ours, &Feedback::Rrtr { ntp: self.ntp(now) });
        self.push(Output::Rtcp(compound.into_bytes()));
    }

    /// Asks again for what is missing.
    pub(super) fn send_nacks(&mut self, now: Instant) {
        let round_trip = self.round_trip.get().map(|known| known.smoothed);
        let mut wanted = Vec::new();
        for (ssrc, stream) in &mut self.streams {
            let Some(nacks) = &mut stream.nacks else {
                continue;
            };
            let due = nacks.take_due(now, round_trip);
            self.counters.nacked += due.seqs.len() as u64;
            self.counters.given_up += due.given_up;
            if due.is_broken {
                // The pictures from here on refer to one that will never be whole.
                stream.request_key_frame(&mut self.counters);
            }
            wanted.push((*ssrc, due.seqs));
        }
        for (ssrc, seqs) in &wanted {
            for seqs in seqs.chunks(NACKS_PER_DATAGRAM) {
                self.send(&[Feedback::Nack { ssrc: *ssrc, seqs }]);
            }
        }
    }

    /// Key frame requests and the limit that are due, in one datagram.
    pub(super) fn send_messages(&mut self, now: Instant) {
        let videos = self.video_ssrcs();
        let mut messages = due_key_frame_requests(self, now);
        if !videos.is_empty()
            && let Some(bitrate) = self.limit.take_due(now)
        {
            messages.push(Feedback::Remb {
                bitrate,
                ssrcs: &videos,
            });
        }
        if !messages.is_empty() {
            self.send(&messages);
        }
    }

    /// Arrival times that are due.
    pub(super) fn send_transport_feedback(&mut self, now: Instant) {
        for feedback in self.arrivals.take_due(now, self.config.ours, self.last_media) {
            self.counters.feedbacks += 1;
            self.send(&[Feedback::Transport(&feedback)]);
        }
    }

    /// The voice, if it changed.
    pub(super) fn report_voice(&mut self, now: Instant) {
        if let Some(report) = self.voice.poll(now) {
            self.push(Output::AudioLevel {
                level: report.level,
                speaking: report.speaking,
            });
        }
    }

    /// Feedback behind an empty report, which leaves the interval of the regular ones alone (RFC 3550 §6.4.2),
    /// or on its own where that was negotiated (RFC 5506).
    fn send(&mut self, messages: &[Feedback<'_>]) {
        let ours = self.config.ours;
        let mut compound = if self.config.reduced_size {
            Compound::reduced()
        } else {
            Compound::report(ours, &[], self.config.cname.as_bytes())
        };
        for message in messages {
            compound.push(ours, message);
        }
        self.push(Output::Rtcp(compound.into_bytes()));
    }

    fn video_ssrcs(&self) -> Vec<Ssrc> {
        let videos = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.kind == Kind::Video);
        videos.map(|(ssrc, _)| *ssrc).collect()
    }

    /// Xorshift: spreading needs no secrets.
    fn report_interval(&mut self) -> Duration {
        self.dither ^= self.dither << 13;
        self.dither ^= self.dither >> 17;
        self.dither ^= self.dither << 5;
        let spread = self.dither % REPORT_SPREAD_MS;
        Duration::from_millis(u64::from(REPORT_INTERVAL_MS - REPORT_SPREAD_MS / 2 + spread))
    }
}

fn due_key_frame_requests(source: &mut Source, now: Instant) -> Vec<Feedback<'static>> {
    let counters: &mut SourceCounters = &mut source.counters;
    let streams = source.streams.iter_mut();
    let due = streams.filter_map(|(ssrc, stream)| {
        let sequence = stream.key_frames.as_mut()?.take_due(now)?;
        counters.key_frames_requested += 1;
        Some(match stream.message {
            KeyFrameMessage::Pli => Feedback::Pli { ssrc: *ssrc },
            KeyFrameMessage::Fir => Feedback::Fir {
                ssrc: *ssrc,
                sequence,
            },
        })
    });
    due.collect()
}
