//! Rings of slots, each for one packet index at a time, which daemon and kernel claim from each other.
//!
//! A slot belongs to the index in its state word. Only [`Ring::put`] gives it to another index, and only to a newer one, so
//! that what was claimed never becomes free again: neither for its index nor by way of another.
#![expect(
    unsafe_code,
    reason = "a slot that is not ready belongs to its one writer, who writes it without atomics"
)]

use crate::mapping::Mapping;
use lianmai_fanout::records::{CLAIMED, UNREADY};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64, fence};

/// The longest ring: at 3,000 packets per second, three quarters of it carry two seconds.
pub const MAX_RING: u32 = 8_192;

/// All 48 bits of a packet index.
const INDEX: u64 = (1 << 48) - 1;

/// The state of a slot that nobody has used. Neither side ever finds its index in it: the last index of all is not served.
const VACANT: u64 = UNREADY | INDEX;

/// What came of asking for an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's: no one else gets it, ever.
    Granted,
    /// Someone had it before: this is a replay, or the kernel was faster.
    AlreadyClaimed,
    /// The slot belongs to another index, or is not ready.
    NoSlot,
}

/// What a slot says of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It can be claimed.
    Free,
    /// It was claimed.
    Claimed,
    /// The slot belongs to another index, or is not ready.
    NoSlot,
}

/// A power of two of slots that start with their state.
#[derive(Debug)]
pub(crate) struct Ring {
    memory: Arc<Mapping>,
    stride: usize,
    len: u32,
}

impl Ring {
    /// How much memory it takes.
    pub(crate) fn size(stride: usize, len: u32) -> usize {
        stride * len as usize
    }

    /// Of fresh memory, which the kernel does not know of yet: zeros would be free slots of index 0.
    pub(crate) fn new(memory: Arc<Mapping>, stride: usize, len: u32) -> Self {
        assert!(len.is_power_of_two(), "a ring of {len} slots");
        let ring = Self { memory, stride, len };
        for slot in 0..u64::from(len) {
            ring.state(slot).store(VACANT, Relaxed);
        }
        fence(Release);
        ring
    }

    /// Of memory that an earlier daemon filled and the kernel uses. A slot in whose writing that daemon died is nobody's.
    pub(crate) fn adopt(memory: Arc<Mapping>, stride: usize, len: u32) -> Self {
        assert!(len.is_power_of_two(), "a ring of {len} slots");
        let ring = Self { memory, stride, len };
        for slot in 0..u64::from(len) {
            if ring.state(slot).load(Acquire) & UNREADY != 0 {
                ring.state(slot).store(VACANT, Release);
            }
        }
        ring
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The newest index that has a slot.
    pub(crate) fn newest(&self) -> Option<u64> {
        let states = (0..u64::from(self.len)).map(|slot| self.state(slot).load(Acquire));
        states
            .filter(|state| state & UNREADY == 0)
            .map(|state| state & INDEX)
            .max()
    }

    pub(crate) fn claim(&self, index: u64) -> Claim {
        if index >= INDEX {
            return Claim::NoSlot;
        }
        match self
            .state(index)
            .compare_exchange(index, index | CLAIMED, AcqRel, Acquire)
        {
            Ok(_) => Claim::Granted,
            Err(found) if found == index | CLAIMED => Claim::AlreadyClaimed,
            Err(_) => Claim::NoSlot,
        }
    }

    pub(crate) fn slot(&self, index: u64) -> Slot {
        match self.state(index).load(Acquire) {
            _ if index >= INDEX => Slot::NoSlot,
            state if state == index => Slot::Free,
            state if state == index | CLAIMED => Slot::Claimed,
            _ => Slot::NoSlot,
        }
    }

    /// Gives the slot to a newer index, with what `write` puts behind the state. A slot that is this index's already stays
    /// as it is, but that it can become claimed. Says whether the slot is this index's now: it is not when a newer one has it.
    pub(crate) fn put(&self, index: u64, claimed: bool, write: impl FnOnce(&mut Exclusive<'_>)) -> bool {
        if index >= INDEX {
            return false;
        }
        match self.begin(index) {
            Begun::Writing => {}
            Begun::WrittenBefore => {
                if claimed {
                    self.claim(index);
                }
                return true;
            }
            Begun::Refused => return false,
        }
        write(&mut Exclusive {
            memory: &self.memory,
            at: self.at(index),
            len: self.stride,
        });
        let mark = if claimed { CLAIMED } else { 0 };
        self.state(index).store(index | mark, Release);
        true
    }

    /// Makes the slot unready, so that no one else touches the rest of it.
    fn begin(&self, index: u64) -> Begun {
        let state = self.state(index);
        let mut found = state.load(Acquire);
        loop {
            if found & !CLAIMED == index {
                return Begun::WrittenBefore;
            }
            if found != VACANT && (found & UNREADY != 0 || found & INDEX > index) {
                return Begun::Refused;
            }
            match state.compare_exchange_weak(found, UNREADY | index, AcqRel, Acquire) {
                Ok(_) => break,
                Err(now) => found = now,
            }
        }
        // Nobody may see the rest change while the state still looks ready.
        fence(Release);
        Begun::Writing
    }

    /// A word of the slot of an index.
    pub(crate) fn word(&self, index: u64, offset: usize) -> &AtomicU64 {
        self.memory.word(self.at(index) + offset)
    }

    /// A half word of the slot of an index.
    pub(crate) fn half(&self, index: u64, offset: usize) -> &AtomicU32 {
        self.memory.half(self.at(index) + offset)
    }

    fn state(&self, index: u64) -> &AtomicU64 {
        self.word(index, 0)
    }

    fn at(&self, index: u64) -> usize {
        let slot = index & u64::from(self.len - 1);
        slot as usize * self.stride
    }
}

enum Begun {
    Writing,
    WrittenBefore,
    Refused,
}

/// A slot that is not ready.
pub(crate) struct Exclusive<'r> {
    memory: &'r Mapping,
    at: usize,
    len: usize,
}

impl Exclusive<'_> {
    pub(crate) fn word(&mut self, offset: usize, value: u64) {
        self.memory.word(self.at + offset).store(value, Relaxed);
    }

    pub(crate) fn half(&mut self, offset: usize, value: u32) {
        self.memory.half(self.at + offset).store(value, Relaxed);
    }

    /// 16 bytes as words in memory.
    pub(crate) fn block(&mut self, offset: usize, block: [u8; 16]) {
        let (words, _) = block.as_chunks::<8>();
        for (place, word) in words.iter().enumerate() {
            self.word(offset + 8 * place, u64::from_ne_bytes(*word));
        }
    }

    /// Bytes that no one reads but the kernel, once the slot is ready.
    pub(crate) fn bytes(&mut self, offset: usize, len: usize, write: impl FnOnce(&mut [u8])) {
        assert!(offset >= 8 && offset + len <= self.len, "bytes of another slot");
        // SAFETY: only the one thread that made the slot unready has an `Exclusive` of it (`Ring::begin`), the bytes lie
        // inside the slot, and nothing else in this crate refers to bytes that are written by this method.
        unsafe { self.memory.with_bytes(self.at + offset, len, write) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, INDEX, Ring, Slot};
    use crate::mapping::Mapping;
    use lianmai_fanout::records::{CLAIMED, UNREADY};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    const STRIDE: usize = 32;

    fn memory(len: u32) -> Arc<Mapping> {
        Arc::new(Mapping::anonymous(Ring::size(STRIDE, len)).expect("memory"))
    }

    fn ring(len: u32) -> Ring {
        Ring::new(memory(len), STRIDE, len)
    }

    fn put(ring: &Ring, index: u64, claimed: bool) -> bool {
        ring.put(index, claimed, |slot| slot.word(8, index))
    }

    #[test]
    fn a_fresh_ring_has_nothing_to_claim() {
        let ring = ring(4);
        for index in [0, 1, 3, 4, 0xffff, INDEX - 1, INDEX, u64::MAX, CLAIMED, UNREADY] {
            assert_eq!(
                (ring.claim(index), ring.slot(index)),
                (Claim::NoSlot, Slot::NoSlot),
                "{index:#x}"
            );
        }
    }

    #[test]
    fn an_index_is_granted_once() {
        let ring = ring(4);
        assert!(put(&ring, 6, false));
        assert_eq!(ring.slot(6), Slot::Free);
        assert_eq!(
            (ring.claim(6), ring.claim(6)),
            (Claim::Granted, Claim::AlreadyClaimed)
        );
        assert_eq!(
            (ring.slot(6), ring.claim(2), ring.claim(10)),
            (Slot::Claimed, Claim::NoSlot, Claim::NoSlot)
        );
    }

    #[test]
    fn what_is_put_claimed_is_never_granted() {
        let ring = ring(4);
        assert!(put(&ring, 6, true));
        assert_eq!(ring.claim(6), Claim::AlreadyClaimed);
    }

    #[test]
    fn a_second_put_of_an_index_changes_nothing_but_can_claim() {
        let ring = ring(4);
        put(&ring, 6, false);
        assert!(ring.put(6, false, |_| panic!("written twice")));
        assert_eq!(ring.slot(6), Slot::Free);
        assert!(ring.put(6, true, |_| panic!("written twice")));
        assert_eq!(ring.slot(6), Slot::Claimed);
        assert!(ring.put(6, false, |_| panic!("written twice")));
        assert_eq!(ring.claim(6), Claim::AlreadyClaimed);
    }

    #[test]
    fn a_slot_never_goes_back_to_an_older_index() {
        let ring = ring(4);
        put(&ring, 6, true);
        assert!(put(&ring, 10, false));
        assert!(!put(&ring, 6, false));
        assert_eq!((ring.slot(6), ring.slot(10)), (Slot::NoSlot, Slot::Free));
    }

    #[test]
    fn an_unready_slot_grants_nothing_and_takes_nothing() {
        let ring = ring(4);
        put(&ring, 6, false);
        let written = ring.put(10, false, |_| {
            for index in [6, 10] {
                assert_eq!(
                    (ring.claim(index), ring.slot(index)),
                    (Claim::NoSlot, Slot::NoSlot)
                );
            }
            assert!(!put(&ring, 14, false), "two writers");
        });
        assert!(written);
        assert_eq!(ring.claim(10), Claim::Granted);
    }

    #[test]
    fn indices_of_more_than_48_bits_are_refused() {
        let ring = ring(4);
        for index in [INDEX, INDEX + 1, CLAIMED | 4, UNREADY | 4, u64::MAX] {
            assert!(!put(&ring, index, false), "{index:#x}");
        }
        assert!(put(&ring, INDEX - 1, false));
        assert_eq!(ring.claim(INDEX - 1), Claim::Granted);
    }

    #[test]
    fn an_adopted_ring_goes_on_with_every_slot_but_those_that_were_being_written() {
        let ring = ring(4);
        put(&ring, 5, false);
        put(&ring, 6, true);
        put(&ring, 7, false);
        // Killed while it wrote the slot of 3 over with 7, and that of 4 with 8.
        ring.state(7).store(UNREADY | 7, Relaxed);
        ring.state(8).store(UNREADY | 8, Relaxed);
        let ring = Ring::adopt(ring.memory, STRIDE, 4);
        assert_eq!(ring.newest(), Some(6));
        assert_eq!((ring.slot(5), ring.slot(6)), (Slot::Free, Slot::Claimed));
        assert_eq!((ring.slot(7), ring.slot(8)), (Slot::NoSlot, Slot::NoSlot));
        assert!(put(&ring, 7, false) && put(&ring, 8, false));
        assert_eq!((ring.newest(), ring.claim(8)), (Some(8), Claim::Granted));
        assert_eq!(super::Ring::new(memory(4), STRIDE, 4).newest(), None);
    }

    #[test]
    fn of_many_threads_exactly_one_is_granted_an_index() {
        const INDICES: u64 = 20_000;
        let ring = ring(64);
        let granted: Vec<AtomicUsize> = (0..INDICES).map(|_| AtomicUsize::new(0)).collect();
        std::thread::scope(|scope| {
            let claimer = || {
                for (index, granted) in granted.iter().enumerate() {
                    // Until the slot has moved on; the writer is at most a ring ahead.
                    let index = index as u64;
                    loop {
                        match ring.claim(index) {
                            Claim::Granted => granted.fetch_add(1, Relaxed),
                            Claim::AlreadyClaimed => break,
                            Claim::NoSlot if granted.load(Relaxed) > 0 => break,
                            Claim::NoSlot => {
                                std::hint::spin_loop();
                                continue;
                            }
                        };
                    }
                }
            };
            scope.spawn(claimer);
            scope.spawn(claimer);
            scope.spawn(claimer);
            for index in 0..INDICES {
                // A slot is reused once its index was granted, and put again and again meanwhile.
                while index >= 64 && granted[(index - 64) as usize].load(Relaxed) == 0 {
                    put(&ring, index - 64, false);
                }
                put(&ring, index, false);
            }
        });
        assert!(granted.iter().all(|count| count.load(Relaxed) == 1));
    }

    proptest! {
        #[test]
        fn no_order_of_puts_and_claims_grants_an_index_twice(
            steps in prop::collection::vec((0..24_u64, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let ring = ring(4);
            let mut used = BTreeSet::new();
            for (index, is_put, claimed) in steps {
                if is_put {
                    let is_there = put(&ring, index, claimed);
                    prop_assert_eq!(is_there, ring.slot(index) != Slot::NoSlot);
                    if is_there && claimed {
                        used.insert(index);
                    }
                } else if ring.claim(index) == Claim::Granted {
                    prop_assert!(used.insert(index), "{} was granted again", index);
                }
            }
        }
    }
}
