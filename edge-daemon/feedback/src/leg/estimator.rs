//! How much a path can take, from everything that its receiver reports.

use super::aimd::Aimd;
use super::history::{Fate, SentHistory};
use super::loss::LossBased;
use super::rate::RateMeter;
use super::trendline::{Trendline, Usage};
use crate::wire::TransportFeedback;
use std::time::{Duration, Instant};

/// Without feedback for this long, receiver reports count instead.
const FEEDBACK_STALE: Duration = Duration::from_secs(3);
/// A REMB is repeated every second or so; without one for this long its limit is void.
const REMB_STALE: Duration = Duration::from_secs(15);
/// Taken before the round trip is known.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);

/// The bandwidth estimator of a leg.
#[derive(Clone, Debug)]
pub(super) struct Estimator {
    epoch: Instant,
    history: SentHistory,
    sent: RateMeter,
    through: RateMeter,
    trendline: Trendline,
    aimd: Aimd,
    loss: LossBased,
    feedback_at: Option<Instant>,
    remb: Option<(u64, Instant)>,
    overuses: u64,
}

impl Estimator {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            history: SentHistory::default(),
            sent: RateMeter::default(),
            through: RateMeter::default(),
            trendline: Trendline::default(),
            aimd: Aimd::default(),
            loss: LossBased::default(),
            feedback_at: None,
            remb: None,
            overuses: 0,
        }
    }

    pub(super) fn on_sent(&mut self, now: Instant, transport_seq: Option<u16>, size: usize) {
        let elapsed = now.saturating_duration_since(self.epoch).as_micros();
        self.sent.add(i64::try_from(elapsed).unwrap_or(i64::MAX), size);
        if let Some(seq) = transport_seq {
            self.history.on_sent(now, seq, size);
        }
        if self
            .remb
            .is_some_and(|(_, at)| now.saturating_duration_since(at) > REMB_STALE)
        {
            self.remb = None;
        }
    }

    /// Arrival times of packets; returns those it spoke of that were not in flight, and a round trip that
    /// contains the time for which the receiver kept its feedback back.
    pub(super) fn on_feedback(
        &mut self,
        now: Instant,
        feedback: &TransportFeedback,
        round_trip: Option<Duration>,
    ) -> (u64, Option<Duration>) {
        let fate = self.history.on_feedback(feedback);
        self.feedback_at = Some(now);
        for packet in &fate.arrived {
            self.through.add(packet.arrived_us, packet.size);
            self.trendline.on_packet(packet.sent_at, packet.arrived_us);
        }
        self.count_losses(now, &fate);
        if !fate.arrived.is_empty() {
            self.follow_delay(now, round_trip.unwrap_or(ASSUMED_ROUND_TRIP));
        }
        let newest = fate.arrived.iter().map(|packet| packet.sent_at).max();
        (
            fate.unknown,
            newest.map(|sent_at| now.saturating_duration_since(sent_at)),
        )
    }

    /// Losses of a receiver report, for paths without transport-wide feedback.
    pub(super) fn on_report(&mut self, now: Instant, lost: u64, total: u64) {
        let fresh = self
            .feedback_at
            .is_some_and(|at| now.saturating_duration_since(at) < FEEDBACK_STALE);
        if !fresh {
            let lost = i64::try_from(lost).unwrap_or(i64::MAX);
            self.loss.on_counts(now, lost, total, self.sent.get());
        }
    }

    pub(super) fn on_remb(&mut self, now: Instant, bitrate: u64) {
        self.remb = Some((bitrate, now));
    }

    pub(super) fn estimate(&self) -> Option<u64> {
        let remb = self.remb.map(|(bitrate, _)| bitrate);
        [self.aimd.rate(), self.loss.rate(), remb]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) const fn loss(&self) -> Option<f32> {
        self.loss.share()
    }

    pub(super) fn sent(&self) -> Option<u64> {
        self.sent.get()
    }

    pub(super) const fn overuses(&self) -> u64 {
        self.overuses
    }

    fn count_losses(&mut self, now: Instant, fate: &Fate) {
        let newly_arrived = fate.arrived.len() as u64 - fate.found;
        let lost = fate.missing.cast_signed() - fate.found.cast_signed();
        self.loss
            .on_counts(now, lost, newly_arrived + fate.missing, self.sent.get());
    }

    fn follow_delay(&mut self, now: Instant, round_trip: Duration) {
        let usage = self.trendline.usage();
        let fell = self.aimd.update(now, usage, self.through.get(), round_trip);
        self.overuses += u64::from(fell && usage == Usage::Over);
    }
}
