//! How fast one WebSocket may speak: a bucket of tokens, filled by time, emptied by messages.

use std::time::{Duration, Instant};

/// Messages that may come at once. Twice what the rooms admit before they answer with errors: this bound protects the
/// edge from those whom errors do not stop.
const BURST: u32 = 1000;
/// Time that one message costs when the burst is used up: 200 messages a second.
const COST: Duration = Duration::from_millis(5);

/// Tells when the next message may be read. Until then the kernel's window holds the sender back, nothing is lost.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the bucket is full again.
    full_at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// One message was read: the time before which no other should be, if that is later than `now`.
    pub(super) fn message(&mut self, now: Instant) -> Option<Instant> {
        self.full_at = self.full_at.max(now) + COST;
        let open = self.full_at.checked_sub(COST * BURST)?;
        (open > now).then_some(open)
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, COST, Pace};
    use std::time::{Duration, Instant};

    #[test]
    fn a_burst_passes_and_the_next_message_waits_its_cost() {
        let now = Instant::now() + COST * BURST;
        let mut pace = Pace::new(now);
        for n in 0..BURST {
            assert_eq!(pace.message(now), None, "message {n} of the burst");
        }
        assert_eq!(pace.message(now), Some(now + COST));
    }

    #[test]
    fn silence_fills_the_bucket_but_never_beyond_the_burst() {
        let mut now = Instant::now() + COST * BURST;
        let mut pace = Pace::new(now);
        for _ in 0..=BURST {
            pace.message(now);
        }
        now += Duration::from_secs(3600);
        assert_eq!((0..=BURST).filter(|_| pace.message(now).is_some()).count(), 1);
    }
}
