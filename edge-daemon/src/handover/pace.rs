//! When the state is written down: soon after it changed, and not too often.

use std::time::{Duration, Instant};

/// The shortest time between two saves. What happens within it can be lost with the process.
const INTERVAL: Duration = Duration::from_millis(50);

/// Says when to save.
#[derive(Debug, Default)]
pub(super) struct Pace {
    changed: bool,
    urgent: bool,
    last: Option<Instant>,
}

impl Pace {
    /// There is something new.
    pub(super) const fn changed(&mut self) {
        self.changed = true;
    }

    /// There is something new that cannot be had again, such as keys.
    pub(super) const fn urgent(&mut self) {
        self.urgent = true;
    }

    /// When to save; it may lie in the past. `None` as long as nothing is new.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        match (self.urgent, self.changed, self.last) {
            (true, _, _) | (false, true, None) => Some(now),
            (false, true, Some(last)) => Some(last + INTERVAL),
            (false, false, _) => None,
        }
    }

    /// It was saved, or cannot be: the next change is the next attempt.
    pub(super) const fn saved(&mut self, now: Instant) {
        *self = Self {
            changed: false,
            urgent: false,
            last: Some(now),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, Pace};
    use std::time::{Duration, Instant};

    #[test]
    fn the_first_change_is_saved_at_once_and_the_next_after_the_interval() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.next(now), None);
        pace.changed();
        assert_eq!(pace.next(now), Some(now));
        pace.saved(now);
        assert_eq!(pace.next(now), None);
        pace.changed();
        assert_eq!(pace.next(now), Some(now + INTERVAL));
    }

    #[test]
    fn what_cannot_be_had_again_does_not_wait() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.saved(now);
        pace.changed();
        pace.urgent();
        let soon = now + Duration::from_millis(1);
        assert_eq!(pace.next(soon), Some(soon));
        pace.saved(soon);
        assert_eq!(pace.next(soon), None);
    }
}
