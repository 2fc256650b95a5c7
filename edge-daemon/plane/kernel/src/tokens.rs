//! Rings of tokens: permission to take the packet with one index.

use crate::places::Place;
use crate::ring::{Claim, Ring, Slot};
use lianmai_fanout::records::Token;
use std::mem::offset_of;

/// The tokens of one stream. On drop the ring leaves the kernel, and its number may be another's.
///
/// Drop it only after a grace of 20 ms in which no program can have found it: withdraw the stream first.
#[derive(Debug)]
pub struct Tokens {
    ring: Ring,
    place: Place,
}

impl Tokens {
    pub(crate) const STRIDE: usize = size_of::<Token>();

    pub(crate) fn new(ring: Ring, place: Place) -> Self {
        Self { ring, place }
    }

    /// Its number in the map of rings.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.place.id()
    }

    /// How many slots it has.
    #[expect(clippy::len_without_is_empty, reason = "a ring has slots")]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.ring.len()
    }

    /// The newest index that has a slot; none in a ring that is still empty.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.ring.newest()
    }

    /// Whether the kernel has it: that takes some milliseconds, in which it can be filled.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.place.is_installed()
    }

    /// Gives a slot to a newer index. `mask` is E(K, Y0) of RFC 7714 §8.1; `claimed` says that the index was used up before.
    /// Says whether the slot is this index's now; an index that has it already keeps it as it is, but that it can become
    /// claimed.
    pub fn put(&self, index: u64, mask: [u8; 16], claimed: bool) -> bool {
        self.ring
            .put(index, claimed, |slot| slot.block(offset_of!(Token, mask), mask))
    }

    /// Uses an index up.
    #[must_use]
    pub fn claim(&self, index: u64) -> Claim {
        self.ring.claim(index)
    }

    /// What became of an index.
    #[must_use]
    pub fn slot(&self, index: u64) -> Slot {
        self.ring.slot(index)
    }
}

#[cfg(test)]
mod tests {
    use super::Tokens;
    use crate::{Claim, Maps, Slot};
    use lianmai_fanout::records::Token;
    use std::mem::offset_of;
    use std::sync::atomic::Ordering::Relaxed;

    fn tokens(len: u32) -> Tokens {
        Maps::in_memory().expect("memory").tokens(len).expect("room")
    }

    #[test]
    fn a_slot_holds_the_mask_as_bytes_in_memory() {
        let tokens = tokens(4);
        let mask = std::array::from_fn(|at| at as u8);
        assert!(tokens.put(9, mask, false));
        let word = |at: usize| tokens.ring.word(9, offset_of!(Token, mask) + at).load(Relaxed);
        assert_eq!([word(0).to_ne_bytes(), word(8).to_ne_bytes()].concat(), mask);
    }

    #[test]
    fn indices_share_slots_by_the_length_of_the_ring() {
        let tokens = tokens(256);
        assert_eq!(tokens.len(), 256);
        assert!(
            tokens.put(5, [1; 16], false)
                && tokens.put(6, [2; 16], false)
                && tokens.put(5 + 256, [3; 16], true)
        );
        assert_eq!(
            (tokens.claim(5), tokens.claim(6), tokens.claim(261)),
            (Claim::NoSlot, Claim::Granted, Claim::AlreadyClaimed)
        );
        assert_eq!((tokens.slot(5), tokens.slot(6)), (Slot::NoSlot, Slot::Claimed));
    }
}
