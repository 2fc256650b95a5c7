//! The only clock: `CLOCK_MONOTONIC`, the one that the daemon stamps packets with.

use lianmai_timeline::EdgeTime;
use nix::time::ClockId;
use std::time::Duration;

/// Now.
///
/// # Panics
///
/// If the kernel has no monotonic clock.
#[must_use]
pub fn now() -> EdgeTime {
    let now = ClockId::CLOCK_MONOTONIC
        .now()
        .expect("every Linux has a monotonic clock");
    EdgeTime(i64::try_from(Duration::from(now).as_nanos()).unwrap_or(i64::MAX))
}
