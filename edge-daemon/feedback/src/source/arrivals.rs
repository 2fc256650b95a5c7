//! When packets arrived, for transport-wide feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3).

use crate::seq::{Unwrapper, low_bits};
use crate::wire::{
    MAX_STATUS_COUNT, TICK, TICKS_PER_REFERENCE, TransportFeedback, delta_fits, sign_extend_24,
};
use lianmai_fanout::Ssrc;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A busy path hears from us this often, so that its sender's estimate follows closely ...
const BUSY_INTERVAL: Duration = Duration::from_millis(50);
/// ... that is, one with this many packets to report; ...
const BUSY: usize = 20;
/// ... a quiet one less often, to spend little on feedback.
const QUIET_INTERVAL: Duration = Duration::from_millis(100);
/// So far behind the newest a late packet is still reported, together with its neighbours once more.
const HISTORY: i64 = 400;

/// The arrivals of one transport.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    epoch: Instant,
    numbers: Unwrapper,
    /// In ticks since the epoch, by extended sequence number: those to report and some that were reported.
    ticks: BTreeMap<i64, i64>,
    /// The first number of the next feedback.
    base: Option<i64>,
    pending: usize,
    pending_since: Option<Instant>,
    reported_at: Option<Instant>,
    sequence: u8,
}

impl Arrivals {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            numbers: Unwrapper::default(),
            ticks: BTreeMap::new(),
            base: None,
            pending: 0,
            pending_since: None,
            reported_at: None,
            sequence: 0,
        }
    }

    pub(super) fn on_packet(&mut self, now: Instant, seq: u16, arrival: Instant) {
        let seq = self.numbers.unwrap(seq);
        let newest = self.ticks.last_key_value().map_or(seq, |(newest, _)| *newest);
        if seq < newest - HISTORY || self.ticks.contains_key(&seq) {
            return;
        }
        let elapsed = arrival.saturating_duration_since(self.epoch).as_micros() / TICK.as_micros();
        self.ticks.insert(seq, i64::try_from(elapsed).unwrap_or(i64::MAX));
        self.base = Some(self.base.map_or(seq, |base| base.min(seq)));
        self.pending += 1;
        self.pending_since.get_or_insert(now);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let since = self.pending_since?;
        let interval = if self.pending >= BUSY {
            BUSY_INTERVAL
        } else {
            QUIET_INTERVAL
        };
        Some(self.reported_at.map_or(since, |at| at + interval).max(since))
    }

    /// The feedback packets that are due: one, but for long gaps.
    pub(super) fn take_due(&mut self, now: Instant, sender: Ssrc, media: Ssrc) -> Vec<TransportFeedback> {
        let full = self.pending >= usize::from(MAX_STATUS_COUNT);
        if !full && self.next_timeout().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.pending = 0;
        self.pending_since = None;
        self.reported_at = Some(now);
        let mut feedbacks = Vec::new();
        while let Some(feedback) = self.next_feedback(sender, media) {
            feedbacks.push(feedback);
        }
        self.forget();
        feedbacks
    }

    fn next_feedback(&mut self, sender: Ssrc, media: Ssrc) -> Option<TransportFeedback> {
        let mut base = self.base?;
        let (&first, &first_ticks) = self.ticks.range(base..).next()?;
        if first - base >= i64::from(MAX_STATUS_COUNT) {
            base = first;
        }
        let reference = first_ticks.div_euclid(TICKS_PER_REFERENCE);
        let origin = reference * TICKS_PER_REFERENCE;
        let mut before = origin;
        let mut arrivals = Vec::new();
        for (&seq, &ticks) in self.ticks.range(base..base + i64::from(MAX_STATUS_COUNT)) {
            if !delta_fits(ticks - before) {
                break;
            }
            before = ticks;
            arrivals.push(((seq - base) as u16, ticks - origin));
        }
        let count = arrivals.last()?.0 + 1;
        self.base = Some(base + i64::from(count));
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        // 24 bits, which wrap after twelve days (§3.1).
        let reference = sign_extend_24((reference & 0xff_ffff) as u32);
        Some(TransportFeedback {
            sender,
            media,
            base: low_bits(base),
            count,
            reference,
            sequence,
            arrivals,
        })
    }

    fn forget(&mut self) {
        let Some((&newest, _)) = self.ticks.last_key_value() else {
            return;
        };
        while self
            .ticks
            .first_key_value()
            .is_some_and(|(oldest, _)| *oldest < newest - HISTORY)
        {
            self.ticks.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, HISTORY};
    use crate::wire::TransportFeedback;
    use lianmai_fanout::Ssrc;
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    struct Recorder {
        start: Instant,
        arrivals: Arrivals,
    }

    impl Recorder {
        fn new() -> Self {
            let start = Instant::now();
            Self {
                start,
                arrivals: Arrivals::new(start),
            }
        }

        fn packet(&mut self, ms: u32, seq: u16) {
            let now = self.start + ms * MS;
            self.arrivals.on_packet(now, seq, now);
        }

        fn at(&mut self, ms: u32) -> Vec<TransportFeedback> {
            self.arrivals.take_due(self.start + ms * MS, Ssrc(1), Ssrc(2))
        }
    }

    /// Extended order is lost on the wire, so offsets are given as sequence numbers, times in ms.
    fn heard(feedback: &TransportFeedback) -> Vec<(u16, i64)> {
        let origin = i64::from(feedback.reference) * 64;
        let times = feedback.arrivals.iter();
        times
            .map(|&(offset, ticks)| (feedback.base.wrapping_add(offset), origin + ticks / 4))
            .collect()
    }

    #[test]
    fn a_quiet_path_is_reported_every_hundred_ms_and_a_busy_one_every_fifty() {
        let mut recorder = Recorder::new();
        recorder.packet(0, 0);
        assert_eq!(recorder.at(0).len(), 1);
        recorder.packet(20, 1);
        assert_eq!(recorder.arrivals.next_timeout(), Some(recorder.start + 100 * MS));
        for seq in 2..30 {
            recorder.packet(30, seq);
        }
        assert_eq!(recorder.arrivals.next_timeout(), Some(recorder.start + 50 * MS));
        assert!(recorder.at(49).is_empty());
        assert_eq!(recorder.at(50).len(), 1);
    }

    #[test]
    fn feedbacks_join_without_a_gap_over_the_wrap_and_count_themselves() {
        let mut recorder = Recorder::new();
        let mut next = 65_500_u16;
        for round in 0..300_u32 {
            for _ in 0..3 {
                recorder.packet(round * 100, next);
                next = next.wrapping_add(1);
            }
            let feedbacks = recorder.at(round * 100 + 99);
            let [feedback] = feedbacks.as_slice() else {
                panic!("{feedbacks:?}")
            };
            assert_eq!(feedback.base, next.wrapping_sub(3));
            assert_eq!((feedback.count, feedback.arrivals.len()), (3, 3));
            assert_eq!(u32::from(feedback.sequence), round % 256);
        }
    }

    #[test]
    fn a_lost_packet_is_a_hole_also_between_two_feedbacks() {
        let mut recorder = Recorder::new();
        recorder.packet(0, 10);
        recorder.at(0);
        recorder.packet(110, 12);
        let feedbacks = recorder.at(110);
        assert_eq!((feedbacks[0].base, feedbacks[0].count), (11, 2));
        assert_eq!(heard(&feedbacks[0]), [(12, 110)]);
    }

    #[test]
    fn reordering_gives_negative_deltas_in_the_order_of_numbers() {
        let mut recorder = Recorder::new();
        for (ms, seq) in [(70, 1), (72, 3), (75, 2)] {
            recorder.packet(ms, seq);
        }
        assert_eq!(heard(&recorder.at(80)[0]), [(1, 70), (2, 75), (3, 72)]);
    }

    #[test]
    fn a_packet_later_than_its_feedback_is_reported_by_the_next() {
        let mut recorder = Recorder::new();
        recorder.packet(0, 1);
        recorder.packet(0, 3);
        recorder.at(0);
        recorder.packet(20, 2);
        recorder.packet(21, 4);
        assert_eq!(heard(&recorder.at(100)[0]), [(2, 20), (3, 0), (4, 21)]);
    }

    #[test]
    fn the_first_arrival_of_a_duplicate_counts() {
        let mut recorder = Recorder::new();
        recorder.packet(5, 9);
        recorder.packet(9, 9);
        assert_eq!(heard(&recorder.at(10)[0]), [(9, 5)]);
    }

    #[test]
    fn a_pause_too_long_for_a_delta_begins_another_feedback() {
        let mut recorder = Recorder::new();
        recorder.packet(0, 1);
        recorder.packet(9_000, 2);
        let feedbacks = recorder.at(9_000);
        assert_eq!(
            feedbacks.iter().flat_map(heard).collect::<Vec<_>>(),
            [(1, 0), (2, 9_000)]
        );
        assert_eq!(feedbacks.len(), 2);
    }

    #[test]
    fn wild_numbers_neither_grow_memory_nor_feedback() {
        let mut recorder = Recorder::new();
        for step in 0..5_000_u32 {
            recorder.packet(step, (step.wrapping_mul(40_503) >> 3) as u16);
            let feedbacks = recorder.at(step);
            assert!(feedbacks.len() <= 101, "{}", feedbacks.len());
            assert!(recorder.arrivals.ticks.len() <= HISTORY as usize + 101);
        }
    }
}
