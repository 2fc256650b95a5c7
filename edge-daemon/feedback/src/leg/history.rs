//! What was sent under which transport-wide number, until feedback tells its fate.

use crate::seq::Unwrapper;
use crate::wire::{TICKS_PER_REFERENCE, TransportFeedback, sign_extend_24};
use std::collections::VecDeque;
use std::time::Instant;

/// Four seconds at 2,000 packets a second; what is older is forgotten.
const MAX_PACKETS: usize = 8_192;
/// A larger step in our own numbers begins a new history.
const MAX_STEP: i64 = 1_000;
/// Microseconds in a tick of feedback.
const TICK_US: i64 = 250;

/// Packets in flight.
#[derive(Clone, Debug, Default)]
pub(super) struct SentHistory {
    numbers: Unwrapper,
    /// The number of the first entry.
    base: i64,
    packets: VecDeque<Entry>,
    reference: Option<i64>,
}

/// What is known of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Nothing yet: it never left, or whoever sent it will still say so.
    Skipped,
    InFlight(Packet),
    Arrived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    at: Instant,
    size: usize,
    missed: bool,
}

/// A packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) sent_at: Instant,
    /// On the receiver's clock, whose zero is anywhere.
    pub(super) arrived_us: i64,
    pub(super) size: usize,
}

/// What a feedback said of packets that we know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// In the order of arrival.
    pub(super) arrived: Vec<Arrived>,
    /// Reported missing for the first time.
    pub(super) missing: u64,
    /// Arrived after they had been reported missing.
    pub(super) found: u64,
    /// Reported as arrived, but never sent. Repetitions and packets long forgotten do not count.
    pub(super) unknown: u64,
}

impl SentHistory {
    pub(super) fn on_sent(&mut self, now: Instant, seq: u16, size: usize) {
        let seq = self.numbers.unwrap(seq);
        let next = self.base + self.packets.len() as i64;
        if self.packets.is_empty() || (seq - next).abs() > MAX_STEP {
            self.packets.clear();
            self.base = seq;
        }
        let end = self.base + self.packets.len() as i64;
        self.packets.extend((end..=seq).map(|_| Entry::Skipped));
        // A number used twice keeps its first packet.
        let index = self.index(seq);
        let entry = index.and_then(|index| self.packets.get_mut(index));
        if let Some(entry) = entry.filter(|entry| **entry == Entry::Skipped) {
            *entry = Entry::InFlight(Packet {
                at: now,
                size,
                missed: false,
            });
        }
        while self.packets.len() > MAX_PACKETS {
            self.packets.pop_front();
            self.base += 1;
        }
    }

    /// Matches a feedback with what is in flight.
    pub(super) fn on_feedback(&mut self, feedback: &TransportFeedback) -> Fate {
        let origin = self.extend_reference(feedback.reference) * TICKS_PER_REFERENCE;
        let base = self.numbers.peek(feedback.base);
        let mut fate = Fate::default();
        let mut expected = base;
        for &(offset, ticks) in &feedback.arrivals {
            let seq = base + i64::from(offset);
            fate.missing += self.miss(expected, seq);
            expected = seq + 1;
            self.take(seq, (origin + ticks) * TICK_US, &mut fate);
        }
        fate.missing += self.miss(expected, base + i64::from(feedback.count));
        self.trim();
        fate.arrived.sort_by_key(|packet| packet.arrived_us);
        fate
    }

    fn take(&mut self, seq: i64, arrived_us: i64, fate: &mut Fate) {
        let entry = self.index(seq).map(|index| self.packets.get_mut(index));
        fate.unknown += u64::from(entry == Some(None));
        let Some(entry) = entry.flatten() else { return };
        let Entry::InFlight(packet) = *entry else { return };
        *entry = Entry::Arrived;
        fate.found += u64::from(packet.missed);
        fate.arrived.push(Arrived {
            sent_at: packet.at,
            arrived_us,
            size: packet.size,
        });
    }

    /// Marks what is in flight from `from` up to but without `to` as missing.
    fn miss(&mut self, from: i64, to: i64) -> u64 {
        let end = self.base + self.packets.len() as i64;
        let mut missing = 0;
        for seq in from.max(self.base)..to.min(end) {
            let index = (seq - self.base) as usize;
            if let Entry::InFlight(packet) = &mut self.packets[index]
                && !packet.missed
            {
                packet.missed = true;
                missing += 1;
            }
        }
        missing
    }

    fn index(&self, seq: i64) -> Option<usize> {
        usize::try_from(seq - self.base).ok()
    }

    fn trim(&mut self) {
        while matches!(self.packets.front(), Some(Entry::Skipped | Entry::Arrived)) {
            self.packets.pop_front();
            self.base += 1;
        }
    }

    /// 24 bits of 64 ms wrap after twelve days.
    fn extend_reference(&mut self, reference: i32) -> i64 {
        let reference = i64::from(reference);
        let extended = self.reference.map_or(reference, |before| {
            before + i64::from(sign_extend_24(((reference - before) & 0xff_ffff) as u32))
        });
        self.reference = Some(extended);
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PACKETS, SentHistory};
    use crate::wire::TransportFeedback;
    use lianmai_fanout::Ssrc;
    use std::time::{Duration, Instant};

    fn feedback(base: u16, count: u16, arrivals: &[(u16, i64)]) -> TransportFeedback {
        let (sender, media) = (Ssrc(1), Ssrc(2));
        TransportFeedback {
            sender,
            media,
            base,
            count,
            reference: 0,
            sequence: 0,
            arrivals: arrivals.to_vec(),
        }
    }

    fn sent(seqs: impl IntoIterator<Item = u16>) -> SentHistory {
        let now = Instant::now();
        let mut history = SentHistory::default();
        for seq in seqs {
            history.on_sent(now, seq, 1_000);
        }
        history
    }

    #[test]
    fn what_arrived_and_what_is_missing_is_told_over_the_wrap() {
        let mut history = sent((0..6).map(|step| 65_533_u16.wrapping_add(step)));
        let fate = history.on_feedback(&feedback(65_533, 6, &[(0, 4), (3, 8), (5, 12)]));
        let arrived: Vec<_> = fate.arrived.iter().map(|packet| packet.arrived_us).collect();
        assert_eq!(arrived, [1_000, 2_000, 3_000]);
        assert_eq!((fate.missing, fate.found, fate.unknown), (3, 0, 0));
    }

    /// The kernel sends packets too, and the daemon hears of them a moment later.
    #[test]
    fn a_number_that_was_skipped_may_still_have_been_sent() {
        let mut history = sent([7, 10, 8, 9, 9]);
        let fate = history.on_feedback(&feedback(7, 4, &[(0, 0), (1, 4), (2, 8), (3, 12)]));
        assert_eq!((fate.arrived.len(), fate.missing, fate.unknown), (4, 0, 0));
        let now = Instant::now();
        history.on_sent(now, 12, 1_000);
        history.on_sent(now, 8, 1_000);
        let fate = history.on_feedback(&feedback(8, 5, &[(0, 0), (4, 4)]));
        assert_eq!(
            (fate.arrived.len(), fate.missing),
            (1, 0),
            "8 had arrived before, 11 never left"
        );
    }

    #[test]
    fn a_packet_reported_missing_and_then_found_is_told_as_found() {
        let mut history = sent(0..4);
        assert_eq!(history.on_feedback(&feedback(0, 3, &[(0, 0), (2, 0)])).missing, 1);
        let fate = history.on_feedback(&feedback(1, 3, &[(0, 4), (1, 0), (2, 5)]));
        assert_eq!(
            (fate.arrived.len(), fate.missing, fate.found, fate.unknown),
            (2, 0, 1, 0)
        );
    }

    #[test]
    fn feedback_about_packets_never_sent_is_unknown_and_makes_no_losses() {
        let mut history = sent(0..4);
        let fate = history.on_feedback(&feedback(30_000, 65_535, &[(0, 0), (9, 0)]));
        assert_eq!((fate.arrived.len(), fate.missing, fate.unknown), (0, 0, 2));
    }

    #[test]
    fn a_reference_that_wraps_goes_on_upwards() {
        let mut history = sent(0..2);
        let mut first = feedback(0, 1, &[(0, 0)]);
        first.reference = 0x7f_ffff;
        let mut second = feedback(1, 1, &[(0, 0)]);
        second.reference = -0x80_0000;
        let before = history.on_feedback(&first).arrived[0].arrived_us;
        let after = history.on_feedback(&second).arrived[0].arrived_us;
        assert_eq!(
            Duration::from_micros((after - before) as u64),
            Duration::from_millis(64)
        );
    }

    #[test]
    fn without_feedback_the_history_stays_bounded() {
        let history = sent((0..50_000_u32).map(|seq| seq as u16));
        assert_eq!(history.packets.len(), MAX_PACKETS);
    }
}
