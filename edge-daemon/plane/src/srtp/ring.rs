//! Permissions that the kernel's programs share with this daemon. Whoever claims an index has it, once.
//!
//! A slot decides about its index as long as it has it. An index without a slot is the daemon's alone, and its replay
//! window decides: the window hears of what the kernel used before a slot goes to another index.

use lianmai_kernel::{Claim, Fate, Pads, Slot, Tokens};
use std::cell::Cell;

/// Packets that may be missing before those that are looked for.
const MISSING: u64 = 16;

/// The tokens of one stream.
#[derive(Debug)]
pub(crate) struct TokenRing {
    tokens: Tokens,
    floor: Cell<u64>,
}

impl TokenRing {
    pub(crate) const fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            floor: Cell::new(0),
        }
    }

    pub(crate) const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// How far the stream is, of which it was known that it is so far, by what the kernel took since. The daemon's copies of that may
    /// still be waiting.
    pub(crate) fn progress(&self, known: u64) -> u64 {
        let (mut newest, mut index) = (known, known);
        while index < newest + MISSING {
            index += 1;
            if self.tokens.slot(index) == Slot::Claimed {
                newest = index;
            }
        }
        newest
    }

    /// Takes an index away from the kernel; `false` if that was faster.
    pub(super) fn claim(&self, index: u64) -> bool {
        index < self.floor.get() || !matches!(self.tokens.claim(index), Claim::AlreadyClaimed)
    }

    /// From now on no index up to this one is the kernel's. Whether it used this one.
    pub(crate) fn retire(&self, index: u64) -> bool {
        let is_used = matches!(self.tokens.claim(index), Claim::AlreadyClaimed);
        self.floor.set(self.floor.get().max(index + 1));
        is_used
    }
}

/// The pads of one stream for one leg. They are kept under the publisher's packet indices and made with the leg's.
#[derive(Debug)]
pub(crate) struct PadRing {
    pads: Pads,
    /// What makes a publisher's index a leg's: a multiple of 2^16, since both have the same sequence numbers.
    delta: i64,
    floor: Cell<u64>,
}

impl PadRing {
    pub(crate) const fn new(pads: Pads, delta: i64) -> Self {
        Self {
            pads,
            delta,
            floor: Cell::new(0),
        }
    }

    pub(crate) const fn pads(&self) -> &Pads {
        &self.pads
    }

    /// The leg's index of the publisher's; `None` if that is before the leg's first.
    pub(crate) const fn leg_index(&self, index: u64) -> Option<u64> {
        index.checked_add_signed(self.delta)
    }

    /// What became of the pad of a publisher's index.
    pub(crate) fn fate(&self, index: u64) -> Fate {
        match self.pads.fate(index) {
            sealed @ Fate::Sealed { .. } => sealed,
            Fate::Free | Fate::Claimed | Fate::NoSlot if index < self.floor.get() => Fate::NoSlot,
            other => other,
        }
    }

    /// The same as for tokens.
    pub(crate) fn retire(&self, index: u64) -> bool {
        let is_used = matches!(self.pads.claim(index), Claim::AlreadyClaimed);
        self.floor.set(self.floor.get().max(index + 1));
        is_used
    }

    /// Another ring for the same leg.
    pub(crate) const fn beside(&self, pads: Pads) -> Self {
        Self::new(pads, self.delta)
    }

    /// What the next process needs to find these of one leg: each by its number, as one more than that, and how they number.
    pub(super) fn notes(ring: Option<&Self>, beside: Option<&Self>) -> [u64; 3] {
        let number = |ring: Option<&Self>| ring.map_or(0, |ring| u64::from(ring.pads.id()) + 1);
        let delta = ring.map_or(0, |ring| ring.delta.cast_unsigned());
        [number(ring), delta, number(beside)]
    }

    /// The rings of which these are the notes, and how they number.
    pub(crate) fn noted([ring, delta, beside]: [u64; 3]) -> impl Iterator<Item = (u32, i64)> {
        let beside = if beside == ring { 0 } else { beside };
        let numbers = [ring, beside].into_iter();
        let numbers = numbers.filter_map(|number| u32::try_from(number.checked_sub(1)?).ok());
        numbers.map(move |number| (number, delta.cast_signed()))
    }

    /// Takes the pad of a leg's index away from the kernel; `false` if that was faster.
    pub(super) fn claim(&self, leg_index: u64) -> bool {
        // An index of the leg before the publisher's first has no pad.
        let Some(index) = leg_index.checked_add_signed(-self.delta) else {
            return true;
        };
        index < self.floor.get() || !matches!(self.pads.claim(index), Claim::AlreadyClaimed)
    }
}
