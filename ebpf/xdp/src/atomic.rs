//! Atomic operations on words of maps, which other CPUs and the daemon see.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

/// Makes `word` `new` if it is `old`; whether it was.
///
/// # Safety
/// `word` points into a map.
#[inline(always)]
pub unsafe fn replace(word: *mut u64, old: u64, new: u64) -> bool {
    const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;
    // SAFETY: maps are words that live as long as the program runs.
    unsafe { atomic_cxchg::<u64, ORDER, ORDER>(word, old, new).1 }
}

/// Adds to `word`, and returns what it was.
///
/// # Safety
/// `word` points into a map.
#[inline(always)]
pub unsafe fn add(word: *mut u64, more: u64) -> u64 {
    // SAFETY: as above.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(word, more) }
}
