//! When to try again.

use std::time::Duration;

/// A session that held this long was a good one: the next failure begins from the shortest wait again. Without it, a
/// peer that accepts and closes at once would be asked five times a second for ever.
const PROVEN: Duration = Duration::from_secs(10);

/// The bounds of an exponential back-off with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the second attempt.
    pub least: Duration,
    /// However often it failed.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            least: Duration::from_millis(200),
            most: Duration::from_secs(10),
        }
    }
}

/// Counts failures and draws the jitter.
#[derive(Debug)]
pub(super) struct Attempts {
    backoff: Backoff,
    retries: Option<u32>,
    failures: u32,
    random: u64,
}

impl Attempts {
    pub(super) fn new(backoff: Backoff, retries: Option<u32>, seed: u64) -> Self {
        Self {
            backoff,
            retries,
            failures: 0,
            random: seed,
        }
    }

    /// How long to wait after a failure, or `None` when it was one too many; `published` is how long the peer had accepted
    /// the stream, if it had.
    pub(super) fn failed(&mut self, published: Option<Duration>) -> Option<Duration> {
        if published.is_some_and(|held| held >= PROVEN) {
            self.failures = 0;
        }
        if self.retries.is_some_and(|retries| self.failures >= retries) {
            return None;
        }
        let doubled = self.backoff.least.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let longest = doubled.min(self.backoff.most);
        // Between three quarters and the whole, so that many mixers do not come back in one instant.
        let quarter = longest / 4;
        let share = u32::try_from(self.next_random() >> 48).unwrap_or_default();
        Some((longest - quarter + quarter * share / 0xffff).max(self.backoff.least))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempts, Backoff};
    use std::time::Duration;

    const LEAST: Duration = Duration::from_millis(200);
    const MOST: Duration = Duration::from_secs(10);

    #[test]
    fn waits_double_from_200_ms_and_stay_at_10_s() {
        let mut attempts = Attempts::new(Backoff::default(), None, 1);
        for doublings in 0..100_u32 {
            let wait = attempts.failed(None).expect("for ever");
            let ideal = LEAST.saturating_mul(1 << doublings.min(20)).min(MOST);
            assert!(
                wait <= ideal && wait >= (ideal * 3 / 4).max(LEAST),
                "{doublings}: {wait:?} of {ideal:?}"
            );
        }
    }

    #[test]
    fn a_good_session_resets_the_wait_and_a_short_one_does_not() {
        let mut attempts = Attempts::new(Backoff::default(), None, 1);
        (0..10).for_each(|_| assert!(attempts.failed(Some(Duration::from_millis(1))) >= Some(LEAST)));
        assert!(attempts.failed(Some(Duration::from_secs(9))) > Some(MOST / 2));
        assert_eq!(attempts.failed(Some(Duration::from_secs(10))), Some(LEAST));
    }

    #[test]
    fn after_so_many_failures_in_a_row_there_is_no_further_attempt() {
        let mut attempts = Attempts::new(Backoff::default(), Some(2), 1);
        let mut outcomes =
            |published: Option<u64>| attempts.failed(published.map(Duration::from_secs)).is_some();
        assert!(outcomes(None) && outcomes(Some(1)));
        assert!(
            outcomes(Some(60)),
            "a session that held does not count with those before it"
        );
        assert!(outcomes(None) && !outcomes(None));
    }

    #[test]
    fn two_publishers_do_not_wait_alike() {
        let wait = |seed| {
            let mut attempts = Attempts::new(Backoff::default(), None, seed);
            (0..8).filter_map(|_| attempts.failed(None)).last()
        };
        assert_ne!(wait(1), wait(2));
    }
}
