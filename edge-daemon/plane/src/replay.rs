//! Which packets were seen: a sliding window over packet indices (RFC 3711 §3.3.2).
//!
//! `webrtc-srtp` has replay detectors of its own, but makes a new one (two allocations) for every packet that it
//! opens and keeps state for every SSRC that it is shown, authentic or not. So its contexts run without, and
//! this window stands before them and before our own GCM: checked before a packet is opened, moved only after.

use lianmai_fanout::SequenceNumber;

/// Where a window keeps what it knows: a ring of bits, that of an index at the index modulo the size.
pub(crate) trait Seen {
    /// Words of 64 bits.
    const WORDS: usize;

    /// The highest index seen.
    fn highest(&self) -> Option<u64>;
    fn set_highest(&mut self, index: u64);
    fn bits(&self, word: usize) -> u64;
    fn set_bits(&mut self, word: usize, bits: u64);
}

/// A window of `64 * WORDS` indices below the highest one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayWindow<S> {
    seen: S,
}

impl<S: Seen> ReplayWindow<S> {
    const SIZE: u64 = 64 * S::WORDS as u64;

    /// Goes on with what was seen.
    pub(crate) const fn over(seen: S) -> Self {
        Self { seen }
    }

    /// The index that this sequence number stands for (RFC 3711 §3.3.1): the nearest to the highest one seen.
    /// `None` if that is older than the first packet of all.
    pub(crate) fn index_of(&self, sequence: SequenceNumber) -> Option<u64> {
        let Some(highest) = self.highest() else {
            return Some(u64::from(sequence.0));
        };
        let ahead = sequence.since(SequenceNumber((highest & 0xffff) as u16));
        highest.checked_add_signed(i64::from(ahead))
    }

    /// The highest index seen.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.seen.highest()
    }

    /// Whether the index is neither seen nor too old to tell.
    pub(crate) fn is_fresh(&self, index: u64) -> bool {
        let Some(highest) = self.highest() else {
            return true;
        };
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
        self.seen.set_bits(word, self.seen.bits(word) | mask);
        true
    }

    /// The highest goes first: a process that is killed on the way leaves indices behind that look seen and were not, never
    /// the other way round.
    fn advance(&mut self, index: u64) {
        let before = self.highest();
        if before.is_some_and(|highest| index <= highest) {
            return;
        }
        self.seen.set_highest(index);
        match before {
            None => {}
            Some(highest) if index - highest >= Self::SIZE => {
                (0..S::WORDS).for_each(|word| self.seen.set_bits(word, 0));
            }
            Some(highest) => (highest + 1..=index).for_each(|skipped| self.clear(skipped)),
        }
    }

    fn clear(&mut self, index: u64) {
        let (word, mask) = Self::place(index);
        self.seen.set_bits(word, self.seen.bits(word) & !mask);
    }

    fn bit(&self, index: u64) -> bool {
        let (word, mask) = Self::place(index);
        self.seen.bits(word) & mask != 0
    }

    const fn place(index: u64) -> (usize, u64) {
        let at = index % Self::SIZE;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

/// What goes with the process.
#[derive(Clone, Debug)]
pub(crate) struct Own<const WORDS: usize> {
    highest: Option<u64>,
    bits: [u64; WORDS],
}

impl<const WORDS: usize> Default for Own<WORDS> {
    fn default() -> Self {
        Self {
            highest: None,
            bits: [0; WORDS],
        }
    }
}

impl<const WORDS: usize> Seen for Own<WORDS> {
    const WORDS: usize = WORDS;

    fn highest(&self) -> Option<u64> {
        self.highest
    }

    fn set_highest(&mut self, index: u64) {
        self.highest = Some(index);
    }

    fn bits(&self, word: usize) -> u64 {
        self.bits.get(word).copied().unwrap_or_default()
    }

    fn set_bits(&mut self, word: usize, bits: u64) {
        if let Some(place) = self.bits.get_mut(word) {
            *place = bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Own, ReplayWindow, Seen};
    use lianmai_fanout::SequenceNumber;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    type Window = ReplayWindow<Own<2>>;

    /// Kept memory, and each state that it was in on the way.
    #[derive(Default)]
    struct Filmed {
        now: Own<2>,
        film: RefCell<Vec<Own<2>>>,
    }

    impl Seen for Filmed {
        const WORDS: usize = 2;

        fn highest(&self) -> Option<u64> {
            self.now.highest()
        }

        fn set_highest(&mut self, index: u64) {
            self.now.set_highest(index);
            self.film.borrow_mut().push(self.now.clone());
        }

        fn bits(&self, word: usize) -> u64 {
            self.now.bits(word)
        }

        fn set_bits(&mut self, word: usize, bits: u64) {
            self.now.set_bits(word, bits);
            self.film.borrow_mut().push(self.now.clone());
        }
    }

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

        /// RFC 3711 §9.1: "the same key and IV must never be used twice", whenever the process that counts them dies.
        #[test]
        fn a_process_killed_at_any_store_leaves_nothing_fresh_that_was_seen(
            steps in prop::collection::vec(0..300u64, 1..60),
        ) {
            let mut window = ReplayWindow::over(Filmed::default());
            let (mut seen, mut base) = (BTreeSet::new(), 1_000);
            for step in steps {
                let index = base + step - 150;
                window.seen.film.borrow_mut().clear();
                if window.claim(index) {
                    for state in window.seen.film.borrow().iter() {
                        let left = ReplayWindow::over(state.clone());
                        prop_assert!(seen.iter().all(|&used| !left.is_fresh(used)));
                    }
                    seen.insert(index);
                }
                base += step / 100;
            }
        }
    }
}
