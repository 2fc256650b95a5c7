//! How long to wait before a process that failed is started again.

use std::time::Duration;

/// A process that lived this long failed by accident; one that did not will likely fail again.
const STEADY: Duration = Duration::from_secs(10);

/// The longest wait between two starts.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The wait of one process and its successors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// What to wait after a life that lasted so long.
    pub(crate) fn after(&mut self, lived: Duration) -> Duration {
        self.0 = if lived > STEADY {
            Duration::ZERO
        } else {
            (self.0 * 2).clamp(Duration::from_millis(200), MAX_WAIT)
        };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn failures_in_a_row_wait_longer_and_longer_and_one_after_a_long_life_not_at_all() {
        let mut backoff = Backoff::default();
        let waits = [1, 1, 1, 1, 1, 60, 1].map(|lived| backoff.after(Duration::from_secs(lived)));
        assert_eq!(
            waits.map(|wait| wait.as_millis()),
            [200, 400, 800, 1600, 2000, 0, 200]
        );
    }
}
