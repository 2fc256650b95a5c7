//! What became of packets, counted.

use crate::maps;
use lianmai_fanout::records::Outcome;

/// Counts an outcome on this CPU.
#[inline(always)]
pub fn count(outcome: Outcome) {
    if let Some(counter) = maps::counter(outcome as u32) {
        // SAFETY: the counter is this CPU's alone.
        unsafe { *counter += 1 };
    }
}
