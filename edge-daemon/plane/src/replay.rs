//! Which packets were seen: a sliding window over packet indices (RFC 3711 §3.3.2).
//!
//! `webrtc-srtp` has replay detectors of its own, but makes a new one (two allocations) for every packet that it
//! opens and keeps state for every SSRC that it is shown, authentic or not. So its contexts run without, and
//! this window stands before them and before our own GCM: checked before a packet is opened, moved only after.

use lianmai_fanout::SequenceNumber;

/// A window of `64 * WORDS` indices below the highest one.
#[derive(Clone, Debug)]
pub(crate) struct ReplayWindow<const WORDS: usize> {
    highest: Option<u64>,
    /// A ring: the bit of an index is at the index modulo the size.
    bits: [u64; WORDS],
}

impl<const WORDS: usize> Default for ReplayWindow<WORDS> {
    fn default() -> Self {
        Self {
            highest: None,
            bits: [0; WORDS],
        }
    }
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    const SIZE: u64 = 64 * WORDS as u64;

    /// The index that this sequence number stands for (RFC 3711 §3.3.1): the nearest to the highest one seen.
    /// `None` if that is older than the first packet of all.
    pub(crate) fn index_of(&self, sequence: SequenceNumber) -> Option<u64> {
        let Some(highest) = self.highest else {
            return Some(u64::from(sequence.0));
        };
        let ahead = sequence.since(SequenceNumber((highest & 0xffff) as u16));
        highest.checked_add_signed(i64::from(ahead))
    }

    /// The highest index seen.
    pub(crate) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether the index is neither seen nor too old to tell.
    pub(crate) fn is_fresh(&self, index: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        match highest.checked_sub(index) {
            None => true,
            Some(age) => age < Self::SIZE && !self.bit(index),
        }
    }

    /// Marks the index as seen; `false` if it was not fresh.
    pub(crate) fn claim(&mut self, index: u64) -> bool {
        if !self.is_fresh(index) {
            return false;
        }
        self.advance(index);
        let (word, mask) = Self::place(index);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= mask;
        }
        true
    }

    fn advance(&mut self, index: u64) {
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            return;
        };
        if index <= highest {
            return;
        }
        if index - highest >= Self::SIZE {
            self.bits = [0; WORDS];
        } else {
            (highest + 1..=index).for_each(|skipped| self.clear(skipped));
        }
        self.highest = Some(index);
    }

    fn clear(&mut self, index: u64) {
        let (word, mask) = Self::place(index);
        if let Some(word) = self.bits.get_mut(word) {
            *word &= !mask;
        }
    }

    fn bit(&self, index: u64) -> bool {
        let (word, mask) = Self::place(index);
        self.bits.get(word).is_some_and(|word| word & mask != 0)
    }

    const fn place(index: u64) -> (usize, u64) {
        let at = index % Self::SIZE;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::ReplayWindow;
    use lianmai_fanout::SequenceNumber;
    use proptest::prelude::{prop, prop_assert_eq, proptest};
    use std::collections::BTreeSet;

    type Window = ReplayWindow<2>;

    #[test]
    fn an_index_is_claimed_once() {
        let mut window = Window::default();
        assert!(window.claim(1_000) && !window.claim(1_000));
        assert!(window.claim(999) && !window.claim(999));
        assert!(window.claim(1_003) && window.claim(1_001) && !window.claim(1_000));
    }

    #[test]
    fn an_index_behind_the_window_is_refused() {
        let mut window = Window::default();
        assert!(window.claim(1_000));
        assert!(!window.is_fresh(1_000 - 128));
        assert!(window.is_fresh(1_000 - 127));
    }

    #[test]
    fn a_sequence_number_is_read_across_the_wrap_in_both_directions() {
        let mut window = Window::default();
        assert_eq!(window.index_of(SequenceNumber(65_534)), Some(65_534));
        assert!(window.claim(65_534));
        assert_eq!(window.index_of(SequenceNumber(3)), Some(65_539));
        assert!(window.claim(65_539));
        assert_eq!(window.index_of(SequenceNumber(65_535)), Some(65_535));
    }

    /// Nothing before the first packet has an index, so no rollover counter is ever guessed below zero.
    #[test]
    fn a_packet_from_before_the_first_one_across_the_wrap_has_no_index() {
        let mut window = Window::default();
        assert!(window.claim(2));
        assert_eq!(window.index_of(SequenceNumber(65_535)), None);
        assert_eq!(window.index_of(SequenceNumber(0)), Some(0));
    }

    proptest! {
        #[test]
        fn it_says_what_a_set_of_all_indices_says(steps in prop::collection::vec(0..300u64, 1..400)) {
            let mut window = Window::default();
            let mut seen = BTreeSet::new();
            let mut base = 1_000;
            for step in steps {
                let index = base + step - 150;
                let newest = seen.last().copied().unwrap_or(0);
                let fresh = !seen.contains(&index) && (seen.is_empty() || index + 128 > newest);
                prop_assert_eq!(window.claim(index), fresh, "index {} after {}", index, newest);
                if fresh {
                    seen.insert(index);
                }
                base += step / 100;
            }
        }
    }
}
