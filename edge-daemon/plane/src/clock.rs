//! The three clocks that meet at a socket: `Instant`, `CLOCK_MONOTONIC` in nanoseconds, and the kernel's receive
//! timestamps, which are `CLOCK_REALTIME`.

use nix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// One moment, for machines and for the mixer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    /// For the state machines.
    pub(crate) at: Instant,
    /// Nanoseconds of `CLOCK_MONOTONIC`, which other processes share.
    pub(crate) nanos: u64,
}

impl Stamp {
    /// The moment at these nanoseconds of `CLOCK_MONOTONIC`, if that is not later than this one.
    pub(crate) fn earlier(self, nanos: u64) -> Self {
        let age = Duration::from_nanos(self.nanos.saturating_sub(nanos));
        match self.at.checked_sub(age) {
            Some(at) => Self {
                at,
                nanos: self.nanos.min(nanos),
            },
            None => self,
        }
    }
}

/// Kernel timestamps older than this are not believed: the wall clock was set in between.
const OLDEST_ARRIVAL: Duration = Duration::from_secs(1);

/// Reads all clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Stamp,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            base: Stamp {
                at: Instant::now(),
                nanos: read(ClockId::CLOCK_MONOTONIC),
            },
        }
    }

    pub(crate) fn now(&self) -> Stamp {
        let at = Instant::now();
        Stamp {
            at,
            nanos: self
                .base
                .nanos
                .saturating_add(nanos(at.saturating_duration_since(self.base.at))),
        }
    }

    /// How to read the kernel's timestamps right now. Ask again for every batch: the wall clock may be set.
    pub(crate) fn arrivals(&self) -> Arrivals {
        Arrivals {
            now: self.now(),
            wall: read(ClockId::CLOCK_REALTIME),
        }
    }
}

/// Turns kernel timestamps into moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrivals {
    now: Stamp,
    wall: u64,
}

impl Arrivals {
    /// When a packet with this `SO_TIMESTAMPNS` arrived: never in the future, never long ago.
    pub(crate) fn stamp(&self, wall: Option<Duration>) -> Stamp {
        let age = wall.map_or(0, |wall| self.wall.saturating_sub(nanos(wall)));
        let age = Duration::from_nanos(age);
        if age > OLDEST_ARRIVAL {
            return self.now;
        }
        Stamp {
            at: self.now.at.checked_sub(age).unwrap_or(self.now.at),
            nanos: self.now.nanos.saturating_sub(nanos(age)),
        }
    }
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| nanos(Duration::from(time)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, Clock, Stamp};
    use std::time::{Duration, Instant};

    fn arrivals() -> Arrivals {
        let now = Stamp {
            at: Instant::now() + Duration::from_secs(10),
            nanos: 50_000_000_000,
        };
        Arrivals {
            now,
            wall: 1_000_000_000_000,
        }
    }

    #[test]
    fn a_kernel_timestamp_keeps_its_age() {
        let arrivals = arrivals();
        let stamp = arrivals.stamp(Some(Duration::from_nanos(1_000_000_000_000 - 250)));
        assert_eq!(stamp.nanos, 50_000_000_000 - 250);
        assert_eq!(arrivals.now.at - stamp.at, Duration::from_nanos(250));
    }

    #[test]
    fn no_timestamp_one_of_the_future_and_one_of_long_ago_are_now() {
        let arrivals = arrivals();
        for wall in [
            None,
            Some(Duration::from_secs(1_001)),
            Some(Duration::from_secs(998)),
            Some(Duration::ZERO),
        ] {
            assert_eq!(arrivals.stamp(wall), arrivals.now, "{wall:?}");
        }
    }

    #[test]
    fn a_stamp_finds_the_moment_of_a_packet_that_the_kernel_stamped() {
        let now = arrivals().now;
        let earlier = now.earlier(now.nanos - 7_000);
        assert_eq!(
            (now.at - earlier.at, earlier.nanos),
            (Duration::from_micros(7), now.nanos - 7_000)
        );
        assert_eq!(now.earlier(now.nanos + 1), now, "the future is now");
    }

    #[test]
    fn both_clocks_of_a_stamp_go_together() {
        let clock = Clock::new();
        let (first, second) = (clock.now(), clock.now());
        assert_eq!(
            second.at - first.at,
            Duration::from_nanos(second.nanos - first.nanos)
        );
    }
}
