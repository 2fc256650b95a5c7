//! The two clocks: `CLOCK_MONOTONIC`, in which everything is said, and `CLOCK_REALTIME`, in which the kernel stamps
//! what a socket receives.

use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Sleeps until a moment of [`now`].
pub(crate) fn sleep_until(moment: u64) {
    let request = nix::sys::time::TimeSpec::from(Duration::from_nanos(moment));
    // Interrupted, the caller looks at the clock again.
    let _ = clock_nanosleep(
        ClockId::CLOCK_MONOTONIC,
        ClockNanosleepFlags::TIMER_ABSTIME,
        &request,
    );
}

/// What to take from a kernel timestamp to have a moment of [`now`].
pub(crate) fn wall_offset() -> u64 {
    // The tightest of some readings; the wall clock is far ahead of the time since the start.
    let readings = (0..9).map(|_| {
        let (before, wall, after) = (now(), read(ClockId::CLOCK_REALTIME), now());
        (after - before, wall.saturating_sub(before / 2 + after / 2))
    });
    readings.min().map_or(0, |(_, offset)| offset)
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
    })
}
