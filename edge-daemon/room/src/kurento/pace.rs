//! How many requests a session may send: a bucket that refills steadily.

use std::time::{Duration, Instant};

/// The generic cell rate algorithm: one point in time says how full the bucket is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    interval: Duration,
    tolerance: Duration,
    empty_at: Instant,
}

impl Pace {
    /// `burst` requests at once, `per_second` for ever. At least one of each.
    pub(crate) fn new(now: Instant, burst: u32, per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self {
            interval,
            tolerance: interval * (burst.max(1) - 1),
            empty_at: now,
        }
    }

    /// Counts a request; `false` if it is one too many.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let empty_at = self.empty_at.max(now);
        if empty_at.saturating_duration_since(now) > self.tolerance {
            return false;
        }
        self.empty_at = empty_at + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::time::{Duration, Instant};

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 5, 10);
        assert_eq!((0..20).filter(|_| pace.admit(start)).count(), 5);
        let later = start + Duration::from_millis(300);
        assert_eq!((0..20).filter(|_| pace.admit(later)).count(), 3);
    }

    #[test]
    fn a_pause_refills_no_more_than_the_burst() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 5, 10);
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..20).filter(|_| pace.admit(later)).count(), 5);
    }
}
