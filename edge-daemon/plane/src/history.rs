//! The last packets of a stream in the clear, for those who ask again.

use bytes::Bytes;
use lianmai_fanout::SequenceNumber;
use std::time::{Duration, Instant};

/// Slots of a new history. Powers of two, so that a slot is found across the wrap of sequence numbers.
const FIRST_SLOTS: usize = 64;

/// Slots at most: more than a second of 20 Mbit/s.
const MAX_SLOTS: usize = 2_048;

/// A history is long enough if what it overwrites is this old.
const SPAN: Duration = Duration::from_secs(1);

/// A ring that doubles until it spans a second, or has [`MAX_SLOTS`].
#[derive(Debug)]
pub(crate) struct History {
    slots: Vec<Option<Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    sequence: SequenceNumber,
    at: Instant,
    packet: Bytes,
}

impl Default for History {
    fn default() -> Self {
        Self {
            slots: vec![None; FIRST_SLOTS],
        }
    }
}

impl History {
    /// Keeps a packet, and shares its bytes.
    pub(crate) fn insert(&mut self, now: Instant, sequence: SequenceNumber, packet: Bytes) {
        if self.would_overwrite_young(now, sequence) && self.slots.len() < MAX_SLOTS {
            self.grow();
        }
        let place = self.place(sequence);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Some(Kept {
                sequence,
                at: now,
                packet,
            });
        }
    }

    /// The packet with this sequence number, if it is still there.
    pub(crate) fn get(&self, sequence: SequenceNumber) -> Option<&Bytes> {
        let kept = self.slots.get(self.place(sequence))?.as_ref()?;
        (kept.sequence == sequence).then_some(&kept.packet)
    }

    fn would_overwrite_young(&self, now: Instant, sequence: SequenceNumber) -> bool {
        let kept = self.slots.get(self.place(sequence)).and_then(Option::as_ref);
        kept.is_some_and(|kept| kept.sequence != sequence && now.saturating_duration_since(kept.at) < SPAN)
    }

    fn grow(&mut self) {
        let doubled = vec![None; self.slots.len() * 2];
        let kept = std::mem::replace(&mut self.slots, doubled);
        for kept in kept.into_iter().flatten() {
            let place = self.place(kept.sequence);
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = Some(kept);
            }
        }
    }

    fn place(&self, sequence: SequenceNumber) -> usize {
        usize::from(sequence.0) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_SLOTS, History, MAX_SLOTS};
    use bytes::Bytes;
    use lianmai_fanout::SequenceNumber;
    use std::time::{Duration, Instant};

    fn fill(history: &mut History, start: Instant, first: u16, count: u16, apart: Duration) {
        for index in 0..count {
            let sequence = first.wrapping_add(index);
            let packet = Bytes::copy_from_slice(&sequence.to_be_bytes());
            history.insert(start + apart * u32::from(index), SequenceNumber(sequence), packet);
        }
    }

    #[test]
    fn a_second_of_a_fast_stream_is_kept_across_the_wrap() {
        let mut history = History::default();
        fill(
            &mut history,
            Instant::now(),
            65_000,
            2_000,
            Duration::from_millis(1),
        );
        let newest = 65_000u16.wrapping_add(1_999);
        for age in 0..1_000 {
            let sequence = newest.wrapping_sub(age);
            assert_eq!(
                history.get(SequenceNumber(sequence)).expect("kept")[..],
                sequence.to_be_bytes()
            );
        }
    }

    #[test]
    fn a_slow_stream_keeps_the_first_size() {
        let mut history = History::default();
        fill(&mut history, Instant::now(), 0, 500, Duration::from_millis(20));
        assert_eq!(history.slots.len(), FIRST_SLOTS);
    }

    #[test]
    fn a_flood_does_not_grow_it_without_bound() {
        let mut history = History::default();
        fill(&mut history, Instant::now(), 0, 60_000, Duration::from_nanos(1));
        assert_eq!(history.slots.len(), MAX_SLOTS);
    }

    #[test]
    fn an_overwritten_packet_is_not_taken_for_another() {
        let mut history = History::default();
        fill(&mut history, Instant::now(), 0, 70, Duration::from_millis(20));
        assert_eq!(history.get(SequenceNumber(3)), None);
        assert_eq!(history.get(SequenceNumber(64 + 30)), None);
    }
}
