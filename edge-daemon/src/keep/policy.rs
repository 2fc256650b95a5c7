//! When a daemon that ended is started again: no processes, no clock.

use super::exit::Exit;
use crate::signals::START_AGAIN;
use std::time::{Duration, Instant};

/// The pause before the second start in a row; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A daemon that lived as long as this was sound: what comes after it begins anew.
const SOUND: Duration = Duration::from_secs(60);

/// What the daemon's lives so far say about the next one.
#[derive(Debug)]
pub(super) struct Policy {
    /// When this life began.
    since: Instant,
    /// This life came to serve.
    is_ready: bool,
    /// Some life came to serve.
    was_ready: bool,
    /// Failures in a row.
    failures: u32,
    /// Somebody asked for the end.
    is_ordered: bool,
}

/// What comes after the end of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one, at this time.
    StartAt(Instant),
    /// Nothing, and this is how it ended.
    End(Exit),
}

/// What is done about an order to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The daemon is told.
    PassOn,
    /// It was told before.
    Kill,
}

impl Policy {
    /// Before the first life.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            is_ready: false,
            was_ready: false,
            failures: 0,
            is_ordered: false,
        }
    }

    /// A life begins.
    pub(super) const fn started(&mut self, now: Instant) {
        self.since = now;
        self.is_ready = false;
    }

    /// The daemon says that it serves.
    pub(super) const fn ready(&mut self) {
        self.is_ready = true;
        self.was_ready = true;
    }

    /// Whether the daemon serves, so that it understands signals.
    pub(super) const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Somebody wants the end.
    pub(super) const fn ordered(&mut self) -> Order {
        if self.is_ordered {
            return Order::Kill;
        }
        self.is_ordered = true;
        Order::PassOn
    }

    /// A life is over.
    pub(super) fn ended(&mut self, now: Instant, exit: Exit) -> Next {
        // One that never served would not serve the next time either: a flag is wrong, a port is taken.
        if self.is_ordered || exit.is_clean() || !self.was_ready {
            return Next::End(exit);
        }
        if now.saturating_duration_since(self.since) >= SOUND {
            self.failures = 0;
        }
        // What was asked for is no failure.
        if self.is_ready && exit == Exit::Status(START_AGAIN) {
            return Next::StartAt(now);
        }
        self.failures = self.failures.saturating_add(1);
        Next::StartAt(now + pause(self.failures))
    }
}

/// None before the first start after a failure: it may have been the only one.
fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => FIRST_PAUSE
            .saturating_mul(1_u32.checked_shl(more - 2).unwrap_or(u32::MAX))
            .min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PAUSE, Next, Order, Policy, SOUND};
    use crate::keep::exit::Exit;
    use std::time::{Duration, Instant};

    const CRASH: Exit = Exit::Signal(11);
    const FAILURE: Exit = Exit::Status(1);
    const AGAIN: Exit = Exit::Status(75);

    /// A policy and its clock.
    struct Lives {
        policy: Policy,
        now: Instant,
    }

    impl Lives {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                policy: Policy::new(now),
                now,
            }
        }

        /// A life that serves at once and ends after a while.
        fn served(&mut self, life: Duration, exit: Exit) -> Next {
            self.policy.started(self.now);
            self.policy.ready();
            self.now += life;
            self.policy.ended(self.now, exit)
        }

        /// A life that ends before it serves.
        fn failed(&mut self, exit: Exit) -> Next {
            self.policy.started(self.now);
            self.policy.ended(self.now, exit)
        }

        fn after(&self, millis: u64) -> Next {
            Next::StartAt(self.now + Duration::from_millis(millis))
        }
    }

    const SHORT: Duration = Duration::from_secs(1);

    #[test]
    fn a_first_life_that_never_served_is_the_last() {
        for exit in [FAILURE, CRASH, AGAIN, Exit::Status(0)] {
            assert_eq!(Lives::new().failed(exit), Next::End(exit));
        }
    }

    #[test]
    fn a_crash_and_a_failure_are_followed_by_a_start_at_once() {
        for exit in [FAILURE, CRASH, Exit::Signal(9), Exit::Signal(6)] {
            let mut lives = Lives::new();
            let next = lives.served(SHORT, exit);
            assert_eq!(next, lives.after(0), "{exit:?}");
        }
    }

    #[test]
    fn an_end_in_order_is_the_end() {
        // SIGHUP, SIGINT, SIGPIPE and SIGTERM are how a program is told to end before it listens to signals.
        for exit in [
            Exit::Status(0),
            Exit::Signal(1),
            Exit::Signal(2),
            Exit::Signal(13),
            Exit::Signal(15),
        ] {
            assert_eq!(Lives::new().served(SHORT, exit), Next::End(exit));
        }
    }

    #[test]
    fn failures_in_a_row_are_paced_up_to_five_seconds() {
        let mut lives = Lives::new();
        for pause in [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let next = lives.served(SHORT, CRASH);
            assert_eq!(next, lives.after(pause));
        }
        for _ in 0..100 {
            let next = lives.failed(FAILURE);
            assert_eq!(next, Next::StartAt(lives.now + LONGEST_PAUSE));
        }
    }

    #[test]
    fn a_life_of_a_minute_begins_the_row_anew() {
        let mut lives = Lives::new();
        for _ in 0..5 {
            lives.served(SHORT, CRASH);
        }
        let next = lives.served(SOUND, CRASH);
        assert_eq!(next, lives.after(0));
        let next = lives.served(SOUND - Duration::from_nanos(1), CRASH);
        assert_eq!(next, lives.after(100));
    }

    #[test]
    fn handing_over_is_no_failure_however_often() {
        let mut lives = Lives::new();
        for _ in 0..10 {
            let next = lives.served(SHORT, AGAIN);
            assert_eq!(next, lives.after(0));
        }
    }

    #[test]
    fn one_that_asks_to_be_started_again_before_it_served_is_paced() {
        let mut lives = Lives::new();
        lives.served(SHORT, AGAIN);
        for pause in [0, 100, 200] {
            let next = lives.failed(AGAIN);
            assert_eq!(next, lives.after(pause));
        }
    }

    #[test]
    fn after_an_order_every_end_is_the_end() {
        for exit in [FAILURE, CRASH, AGAIN] {
            let mut lives = Lives::new();
            lives.served(SHORT, CRASH);
            assert_eq!(lives.policy.ordered(), Order::PassOn);
            assert_eq!(lives.served(SHORT, exit), Next::End(exit));
        }
    }

    #[test]
    fn a_second_order_kills() {
        let mut lives = Lives::new();
        assert_eq!(lives.policy.ordered(), Order::PassOn);
        assert_eq!(lives.policy.ordered(), Order::Kill);
        assert_eq!(lives.policy.ordered(), Order::Kill);
    }

    #[test]
    fn a_new_life_is_not_ready_because_the_last_one_was() {
        let mut lives = Lives::new();
        lives.served(SHORT, CRASH);
        assert!(lives.policy.is_ready());
        lives.policy.started(lives.now);
        assert!(!lives.policy.is_ready());
    }
}
