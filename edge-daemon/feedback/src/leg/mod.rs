//! One subscriber: what was sent to it, what it asks for, and how much its path can take.

mod aimd;
mod estimator;
mod history;
mod loss;
mod rate;
mod resend;
mod streams;
#[cfg(test)]
mod tests;
mod trendline;
mod types;

use crate::ntp::NtpTime;
use crate::round_trip::{RoundTrip, RoundTripMeter};
use crate::wire::{Incoming, ReceptionBlock, TransportFeedback};
use estimator::Estimator;
use lianmai_fanout::{SequenceNumber, Ssrc};
use resend::Resends;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use streams::Streams;
pub use types::{Action, LegCounters, Sent};

/// Actions that wait for `poll_output`; further ones are dropped, and asked for again.
const MAX_ACTIONS: usize = 32;
/// Receiver reports tell the round trip better than feedback does, as long as they are this fresh.
const REPORT_FRESH: Duration = Duration::from_secs(10);

/// The RTCP machine of a subscriber. It needs no timer: everything follows from what comes and goes.
#[derive(Debug)]
pub struct Leg {
    streams: Streams,
    estimator: Estimator,
    resends: Resends,
    round_trip: RoundTripMeter,
    report_at: Option<Instant>,
    actions: VecDeque<Action>,
    counters: LegCounters,
}

impl Leg {
    /// A subscriber that nothing was sent to yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            streams: Streams::default(),
            estimator: Estimator::new(now),
            resends: Resends::default(),
            round_trip: RoundTripMeter::default(),
            report_at: None,
            actions: VecDeque::new(),
            counters: LegCounters::default(),
        }
    }

    /// A packet, new or a retransmission, went to the subscriber.
    pub fn on_sent(&mut self, now: Instant, sent: &Sent) {
        self.streams.on_sent(sent.ssrc);
        self.estimator.on_sent(now, sent.transport_seq, sent.size);
    }

    /// A sender report of the source was relayed: its echo in a receiver report tells the round trip.
    pub fn on_sender_report_sent(&mut self, now: Instant, ssrc: Ssrc, ntp: NtpTime) {
        self.streams.on_sender_report_sent(now, ssrc, ntp);
    }

    /// Anything that the subscriber said.
    pub fn on_rtcp(&mut self, now: Instant, incoming: &Incoming) {
        match incoming {
            Incoming::ReceiverReport { blocks, .. } => self.on_receiver_report(now, blocks),
            Incoming::Nack { ssrc, seqs } => self.on_nack(now, *ssrc, seqs),
            Incoming::Pli { ssrc } | Incoming::Fir { ssrc, .. } => self.on_key_frame_wanted(*ssrc),
            Incoming::TransportFeedback(feedback) => self.on_feedback(now, feedback),
            Incoming::Remb { bitrate, .. } => self.estimator.on_remb(now, *bitrate),
            Incoming::SenderReport(_)
            | Incoming::Rrtr { .. }
            | Incoming::Dlrr { .. }
            | Incoming::Cname { .. }
            | Incoming::Bye { .. }
            | Incoming::Unknown { .. } => {}
        }
    }

    /// What to do next; call it after `on_rtcp` until it is `None`.
    pub fn poll_output(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Bits per second that the path can take, retransmissions included; `None` while it has shown no limit.
    #[must_use]
    pub fn estimate(&self) -> Option<u64> {
        self.estimator.estimate()
    }

    /// Bits per second that were sent over the last half second.
    #[must_use]
    pub fn sent_bitrate(&self) -> Option<u64> {
        self.estimator.sent()
    }

    /// The round trip to the subscriber.
    #[must_use]
    pub const fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip.get()
    }

    /// Share of packets lost on the way, 0 to 1, over the last second with enough of them.
    #[must_use]
    pub const fn loss(&self) -> Option<f32> {
        self.estimator.loss()
    }

    /// Totals.
    #[must_use]
    pub const fn counters(&self) -> LegCounters {
        LegCounters {
            overuses: self.estimator.overuses(),
            ..self.counters
        }
    }

    fn on_receiver_report(&mut self, now: Instant, blocks: &[ReceptionBlock]) {
        let (mut lost, mut total) = (0, 0);
        for block in blocks {
            if let Some(sample) = self.streams.round_trip(now, block) {
                self.round_trip.on_sample(now, sample);
                self.report_at = Some(now);
            }
            if let Some((stream_lost, stream_total)) = self.streams.losses(block) {
                lost += stream_lost;
                total += stream_total;
            }
        }
        if total > 0 {
            self.estimator.on_report(now, lost, total);
        }
    }

    fn on_nack(&mut self, now: Instant, ssrc: Ssrc, seqs: &[SequenceNumber]) {
        self.counters.nacked += seqs.len() as u64;
        if !self.streams.contains(ssrc) {
            self.counters.unknown += seqs.len() as u64;
            return;
        }
        if self.actions.len() >= MAX_ACTIONS {
            return;
        }
        let seqs = self.resends.admit(now, ssrc, seqs, self.smoothed());
        if !seqs.is_empty() {
            self.counters.retransmitted += seqs.len() as u64;
            self.actions.push_back(Action::Retransmit { ssrc, seqs });
        }
    }

    fn on_key_frame_wanted(&mut self, ssrc: Ssrc) {
        self.counters.key_frames_wanted += 1;
        if !self.streams.contains(ssrc) {
            self.counters.unknown += 1;
            return;
        }
        let action = Action::KeyFrame { ssrc };
        if self.actions.len() < MAX_ACTIONS && !self.actions.contains(&action) {
            self.actions.push_back(action);
        }
    }

    fn on_feedback(&mut self, now: Instant, feedback: &TransportFeedback) {
        self.counters.feedbacks += 1;
        let (unknown, round_trip) = self.estimator.on_feedback(now, feedback, self.smoothed());
        self.counters.unknown += unknown;
        let reported = self
            .report_at
            .is_some_and(|at| now.saturating_duration_since(at) < REPORT_FRESH);
        if let Some(round_trip) = round_trip.filter(|_| !reported) {
            self.round_trip.on_sample(now, round_trip);
        }
    }

    fn smoothed(&self) -> Option<Duration> {
        self.round_trip.get().map(|known| known.smoothed)
    }
}
