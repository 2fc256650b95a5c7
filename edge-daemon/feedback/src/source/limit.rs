//! When to tell a publisher what it may send (draft-alvestrand-rmcat-remb-03 §2).

use std::time::{Duration, Instant};

/// The limit is repeated, as a message may get lost.
const REPEAT: Duration = Duration::from_secs(1);
/// Falls follow one another no faster than this.
const THROTTLE: Duration = Duration::from_millis(50);
/// Stands for "no limit any more": browsers keep the last REMB for ever.
const UNLIMITED: u64 = 1_000_000_000;
/// How often a lifted limit is repeated.
const LIFT_REPEATS: u8 = 3;

/// The limit of one publisher.
#[derive(Clone, Debug, Default)]
pub(super) struct Limit {
    allowed: Option<u64>,
    due: Option<Instant>,
    told_at: Option<Instant>,
    /// How often it is still to be said that there is no limit.
    lifts_left: u8,
}

impl Limit {
    pub(super) fn set(&mut self, now: Instant, allowed: Option<u64>) {
        let before = std::mem::replace(&mut self.allowed, allowed);
        match (before, allowed) {
            (None, None) => {}
            (Some(_), None) => self.lifts_left = LIFT_REPEATS,
            (before, Some(allowed)) => {
                if before.is_none_or(|before| allowed < before) {
                    let open = self.told_at.map_or(now, |at| (at + THROTTLE).max(now));
                    self.due = Some(self.due.map_or(open, |due| due.min(open)));
                }
            }
        }
    }

    pub(super) const fn next_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// What to tell now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        if self.due? > now {
            return None;
        }
        self.told_at = Some(now);
        self.due = Some(now + REPEAT);
        if let Some(allowed) = self.allowed {
            return Some(allowed);
        }
        self.lifts_left = self.lifts_left.saturating_sub(1);
        if self.lifts_left == 0 {
            self.due = None;
        }
        Some(UNLIMITED)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, UNLIMITED};
    use std::time::{Duration, Instant};

    #[test]
    fn a_fall_is_told_at_once_a_rise_with_the_next_repetition() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut limit = Limit::default();
        limit.set(at(0), Some(1_000));
        assert_eq!(limit.take_due(at(0)), Some(1_000));
        limit.set(at(200), Some(2_000));
        assert_eq!(limit.take_due(at(999)), None);
        assert_eq!(limit.take_due(at(1_000)), Some(2_000));
        limit.set(at(1_300), Some(500));
        assert_eq!(limit.take_due(at(1_300)), Some(500));
    }

    #[test]
    fn falls_do_not_come_faster_than_a_publisher_can_follow() {
        let start = Instant::now();
        let mut limit = Limit::default();
        let mut told = 0;
        for ms in 0..1_000_u64 {
            let now = start + Duration::from_millis(ms);
            limit.set(now, Some(1_000_000 - ms));
            told += u32::from(limit.take_due(now).is_some());
        }
        assert_eq!(told, 20);
    }

    #[test]
    fn a_lifted_limit_is_said_three_times_because_browsers_never_forget_one() {
        let start = Instant::now();
        let mut limit = Limit::default();
        limit.set(start, Some(1_000));
        limit.take_due(start);
        limit.set(start, None);
        let mut told = Vec::new();
        while let Some(due) = limit.next_timeout() {
            told.extend(limit.take_due(due));
        }
        assert_eq!(told, [UNLIMITED; 3]);
    }
}
