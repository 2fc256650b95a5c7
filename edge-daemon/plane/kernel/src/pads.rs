//! Rings of pads: permission to seal the packet with one index for one leg, and what that takes.

use crate::places::Place;
use crate::ring::{Claim, Ring, Slot};
use lianmai_fanout::records::{CLAIMED, MAX_PAYLOAD, Pad, Sealed};
use std::mem::offset_of;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;

/// What became of an index on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has sealed anything with it.
    Free,
    /// The kernel sealed a packet with it.
    Sealed {
        /// When, in nanoseconds of `CLOCK_MONOTONIC`.
        at: u64,
        /// What.
        what: Sealed,
    },
    /// It was claimed: by the daemon, or by the kernel a moment ago.
    Claimed,
    /// The slot belongs to another index, or is not ready.
    NoSlot,
}

/// The pads of one stream for one leg. On drop the ring leaves the kernel, and its number may be another's.
///
/// Drop it only after a grace of 20 ms in which no program can have found it.
#[derive(Debug)]
pub struct Pads {
    ring: Ring,
    place: Place,
}

impl Pads {
    pub(crate) const STRIDE: usize = size_of::<Pad>();

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

    /// Gives a slot to a newer index. `mask` is what the tag of the leg is masked with; `fill` writes `len` bytes, at most
    /// [`MAX_PAYLOAD`]: the publisher's key stream XOR that of the leg. `claimed` says that the index was used up before, so
    /// that nothing will be sealed with it; then `fill` is not called.
    ///
    /// Says whether the slot is this index's now; an index that has it already keeps it as it is, but that it can become
    /// claimed.
    pub fn put(
        &self,
        index: u64,
        mask: [u8; 16],
        claimed: bool,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> bool {
        let len = if claimed { 0 } else { len.min(MAX_PAYLOAD) };
        self.ring.put(index, claimed, |slot| {
            slot.word(offset_of!(Pad, sealed_at), 0);
            slot.half(offset_of!(Pad, sealed), 0);
            slot.half(offset_of!(Pad, len), len as u32);
            slot.block(offset_of!(Pad, mask), if claimed { [0; 16] } else { mask });
            if !claimed {
                slot.bytes(offset_of!(Pad, stream), len, fill);
            }
        })
    }

    /// Uses an index up, so that the daemon may seal with it.
    #[must_use]
    pub fn claim(&self, index: u64) -> Claim {
        self.ring.claim(index)
    }

    /// What became of an index.
    #[must_use]
    pub fn fate(&self, index: u64) -> Fate {
        match self.ring.slot(index) {
            Slot::Free => return Fate::Free,
            Slot::NoSlot => return Fate::NoSlot,
            Slot::Claimed => {}
        }
        let at = self.ring.word(index, offset_of!(Pad, sealed_at)).load(Acquire);
        let what = self.ring.half(index, offset_of!(Pad, sealed)).load(Relaxed);
        // Both are this index's only if the slot still is.
        fence(Acquire);
        if self.ring.word(index, 0).load(Relaxed) != index | CLAIMED {
            return Fate::NoSlot;
        }
        match at {
            0 => Fate::Claimed,
            at => Fate::Sealed {
                at,
                what: Sealed::from_word(what),
            },
        }
    }

    /// For tests of a daemon without a kernel: the mask and the stream that the programs find in the slot of an index.
    #[must_use]
    pub fn read_like_the_kernel(&self, index: u64) -> ([u8; 16], Vec<u8>) {
        let words = |offset: usize, len: usize| {
            let word = move |at| self.ring.word(index, offset + at).load(Relaxed).to_ne_bytes();
            (0..len).step_by(8).flat_map(word)
        };
        let mut mask = [0; 16];
        mask.iter_mut()
            .zip(words(offset_of!(Pad, mask), 16))
            .for_each(|(byte, word)| *byte = word);
        let len = self.ring.half(index, offset_of!(Pad, len)).load(Relaxed) as usize;
        (mask, words(offset_of!(Pad, stream), len).take(len).collect())
    }

    /// For tests of a daemon without a kernel: does to the slot what the programs do when they seal with it.
    pub fn seal_like_the_kernel(&self, index: u64, at: u64, what: Sealed) -> Claim {
        let claim = self.ring.claim(index);
        if claim == Claim::Granted {
            self.ring
                .half(index, offset_of!(Pad, sealed))
                .store(what.to_word(), Relaxed);
            self.ring
                .word(index, offset_of!(Pad, sealed_at))
                .store(at, Release);
        }
        claim
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, Pads};
    use crate::{Claim, Maps};
    use lianmai_fanout::records::{MAX_PAYLOAD, Pad, Sealed};
    use std::mem::offset_of;
    use std::sync::atomic::Ordering::Relaxed;

    const SEALED: Sealed = Sealed {
        transport_sequence: 0xfffe,
        len: 1_100,
    };

    fn pads(len: u32) -> Pads {
        Maps::in_memory().expect("memory").pads(len).expect("room")
    }

    fn stream_word(pads: &Pads, index: u64, at: usize) -> u64 {
        pads.ring.word(index, offset_of!(Pad, stream) + at).load(Relaxed)
    }

    #[test]
    fn a_slot_holds_mask_length_and_stream() {
        let pads = pads(4);
        assert!(pads.put(9, [0xa5; 16], false, 24, |stream| {
            assert_eq!(stream.len(), 24);
            stream.fill(0x11);
        }));
        let mask = pads.ring.word(9, offset_of!(Pad, mask)).load(Relaxed);
        assert_eq!(mask.to_ne_bytes(), [0xa5; 8]);
        assert_eq!(pads.ring.half(9, offset_of!(Pad, len)).load(Relaxed), 24);
        assert_eq!(
            (stream_word(&pads, 9, 16), stream_word(&pads, 9, 24)),
            (0x1111_1111_1111_1111, 0)
        );
    }

    #[test]
    fn a_slot_is_read_as_it_was_written() {
        let pads = pads(4);
        pads.put(9, std::array::from_fn(|at| at as u8), false, 20, |stream| {
            stream.fill(0x11);
        });
        assert_eq!(
            pads.read_like_the_kernel(9),
            (std::array::from_fn(|at| at as u8), vec![0x11; 20])
        );
    }

    #[test]
    fn a_stream_never_leaves_its_slot() {
        let pads = pads(2);
        pads.put(1, [1; 16], false, 8, |stream| stream.fill(1));
        assert!(pads.put(0, [0; 16], false, 65_536, |stream| {
            assert_eq!(stream.len(), MAX_PAYLOAD);
            stream.fill(0xff);
        }));
        assert_eq!(
            (pads.fate(1), stream_word(&pads, 1, 0)),
            (Fate::Free, 0x0101_0101_0101_0101)
        );
    }

    #[test]
    fn a_fate_is_free_then_claimed_then_sealed() {
        let pads = pads(4);
        assert_eq!(pads.fate(7), Fate::NoSlot);
        pads.put(7, [0; 16], false, 8, |_| {});
        assert_eq!(pads.fate(7), Fate::Free);
        assert_eq!(pads.seal_like_the_kernel(7, 123, SEALED), Claim::Granted);
        assert_eq!(
            pads.fate(7),
            Fate::Sealed {
                at: 123,
                what: SEALED
            }
        );
        assert_eq!(pads.claim(7), Claim::AlreadyClaimed);
    }

    #[test]
    fn what_the_daemon_claims_the_kernel_does_not_seal() {
        let pads = pads(4);
        pads.put(7, [0; 16], false, 8, |_| {});
        assert_eq!(pads.claim(7), Claim::Granted);
        assert_eq!(pads.seal_like_the_kernel(7, 123, SEALED), Claim::AlreadyClaimed);
        assert_eq!(pads.fate(7), Fate::Claimed);
    }

    #[test]
    fn an_index_put_as_claimed_gets_no_key_stream() {
        let pads = pads(4);
        assert!(pads.put(7, [9; 16], true, 8, |_| panic!("nothing is sealed with it")));
        assert_eq!(pads.fate(7), Fate::Claimed);
        assert_eq!(pads.ring.word(7, offset_of!(Pad, mask)).load(Relaxed), 0);
    }

    #[test]
    fn a_newer_index_starts_without_the_traces_of_the_older() {
        let pads = pads(4);
        pads.put(7, [0; 16], false, 8, |_| {});
        assert_eq!(pads.seal_like_the_kernel(7, 123, SEALED), Claim::Granted);
        pads.put(11, [0; 16], true, 8, |_| {});
        assert_eq!((pads.fate(7), pads.fate(11)), (Fate::NoSlot, Fate::Claimed));
    }
}
