//! What waits for one server, and when it is tried: in order, one at a time. No I/O and no clock in here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an outbox holds, and how often it tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Events that wait; beyond, the oldest go.
    pub(crate) waiting: usize,
    /// Attempts for one event.
    pub(crate) attempts: u32,
}

impl Limits {
    /// Of what is small, and should arrive: with the waits between them, the attempts take about five minutes.
    pub(crate) const EVENTS: Self = Self {
        waiting: 1024,
        attempts: 10,
    };

    /// Of pictures, which are large and soon old.
    pub(crate) const PICTURES: Self = Self {
        waiting: 16,
        attempts: 3,
    };
}

/// Before the second attempt; doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// However often it failed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// One event as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The same in every attempt.
    pub(super) id: String,
    /// Its name.
    pub(super) event: &'static str,
    /// JSON.
    pub(super) body: Arc<str>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A status of 200 to 299.
    Delivered,
    /// A status that another attempt would not change.
    Refused,
    /// No answer, or one that says: not now.
    Failed,
}

/// Totals, and what waits now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Events that arrived.
    pub(super) delivered: u64,
    /// Attempts that failed.
    pub(super) failed: u64,
    /// Events that the server does not want.
    pub(super) refused: u64,
    /// Events that failed too often.
    pub(super) given_up: u64,
    /// Events that there was no room for.
    pub(super) dropped: u64,
    /// Events that wait.
    pub(super) waiting: u64,
}

impl Counters {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            given_up: self.given_up + other.given_up,
            dropped: self.dropped + other.dropped,
            waiting: self.waiting + other.waiting,
        }
    }
}

/// The queue of one server.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: Limits,
    waiting: VecDeque<Message>,
    /// On its way.
    sent: Option<Message>,
    attempts: u32,
    due: Option<Instant>,
    counters: Counters,
}

impl Outbox {
    /// An empty one.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            sent: None,
            attempts: 0,
            due: None,
            counters: Counters::default(),
        }
    }

    /// One more event.
    pub(super) fn push(&mut self, message: Message) {
        if self.waiting.len() >= self.limits.waiting {
            self.waiting.pop_front();
            self.counters.dropped += 1;
        }
        self.waiting.push_back(message);
    }

    /// What is to be sent now; [`Self::finished`] has to follow.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Message> {
        if self.sent.is_some() || self.due.is_some_and(|due| due > now) {
            return None;
        }
        self.sent = self.waiting.pop_front();
        self.sent.clone()
    }

    /// When [`Self::poll`] has something; `None` when it is empty.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.due.unwrap_or(now))
    }

    /// The attempt is over.
    pub(super) fn finished(&mut self, now: Instant, outcome: Outcome) {
        let Some(message) = self.sent.take() else {
            return;
        };
        match outcome {
            Outcome::Delivered => self.counters.delivered += 1,
            Outcome::Refused => self.counters.refused += 1,
            Outcome::Failed => {
                self.counters.failed += 1;
                self.attempts += 1;
                if self.attempts < self.limits.attempts {
                    let doubled = FIRST_WAIT.saturating_mul(1 << (self.attempts - 1).min(16));
                    self.due = Some(now + doubled.min(LONGEST_WAIT));
                    self.waiting.push_front(message);
                    return;
                }
                self.counters.given_up += 1;
            }
        }
        self.attempts = 0;
        self.due = None;
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_none()
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            waiting: self.waiting.len() as u64 + u64::from(self.sent.is_some()),
            ..self.counters
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Message, Outbox, Outcome};
    use std::time::{Duration, Instant};

    fn message(number: usize) -> Message {
        Message {
            id: number.to_string(),
            event: "room_opened",
            body: String::new().into(),
        }
    }

    fn outbox() -> Outbox {
        Outbox::new(Limits::EVENTS)
    }

    fn id(message: Option<Message>) -> Option<String> {
        message.map(|message| message.id)
    }

    #[test]
    fn events_go_in_order_and_one_at_a_time() {
        let (mut outbox, now) = (outbox(), Instant::now());
        (0..3).for_each(|number| outbox.push(message(number)));
        for number in ["0", "1", "2"] {
            assert_eq!(id(outbox.poll(now)).as_deref(), Some(number));
            assert_eq!(outbox.poll(now), None, "the one before is still on its way");
            outbox.finished(now, Outcome::Delivered);
        }
        assert!(outbox.is_empty() && outbox.next(now).is_none());
        assert_eq!(outbox.counters().delivered, 3);
    }

    #[test]
    fn a_failure_is_repeated_after_growing_waits_and_holds_up_those_behind_it() {
        let (mut outbox, mut now) = (outbox(), Instant::now());
        (0..2).for_each(|number| outbox.push(message(number)));
        let mut waits = Vec::new();
        for _ in 0..Limits::EVENTS.attempts - 1 {
            assert_eq!(id(outbox.poll(now)).as_deref(), Some("0"));
            outbox.finished(now, Outcome::Failed);
            let due = outbox.next(now).expect("it waits");
            assert_eq!(outbox.poll(due - Duration::from_millis(1)), None);
            waits.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(outbox.poll(now).is_some());
        outbox.finished(now, Outcome::Failed);
        assert_eq!(outbox.counters().given_up, 1);
        assert_eq!(
            id(outbox.poll(now)).as_deref(),
            Some("1"),
            "the next one begins anew"
        );
    }

    #[test]
    fn what_the_server_does_not_want_is_not_repeated() {
        let (mut outbox, now) = (outbox(), Instant::now());
        (0..2).for_each(|number| outbox.push(message(number)));
        outbox.poll(now);
        outbox.finished(now, Outcome::Refused);
        assert_eq!(id(outbox.poll(now)).as_deref(), Some("1"));
        assert_eq!(outbox.counters().refused, 1);
    }

    #[test]
    fn a_server_that_is_away_for_long_costs_the_oldest_events_and_no_more_memory() {
        for limits in [Limits::EVENTS, Limits::PICTURES] {
            let (mut outbox, now) = (Outbox::new(limits), Instant::now());
            (0..limits.waiting + 10).for_each(|number| outbox.push(message(number)));
            assert_eq!(
                (outbox.counters().waiting, outbox.counters().dropped),
                (limits.waiting as u64, 10)
            );
            assert_eq!(id(outbox.poll(now)).as_deref(), Some("10"));
        }
    }
}
