//! Rooms in whose mix nobody is any more: how long it goes on with its slate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Mixes without hosts, and until when. No clock in here.
#[derive(Debug)]
pub(super) struct Idle {
    patience: Duration,
    until: BTreeMap<String, Instant>,
}

impl Idle {
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            until: BTreeMap::new(),
        }
    }

    /// The last host left. One that has waited already goes on waiting.
    pub(super) fn begin(&mut self, room: &str, now: Instant) {
        let until = now + self.patience;
        self.until.entry(room.to_owned()).or_insert(until);
    }

    /// Somebody came, or the mix is over.
    pub(super) fn end(&mut self, room: &str) {
        self.until.remove(room);
    }

    /// When the next mix is to end.
    pub(super) fn next(&self) -> Option<Instant> {
        self.until.values().min().copied()
    }

    /// The one that ends first.
    pub(super) fn first(&self) -> Option<&str> {
        let first = self.until.iter().min_by_key(|(_, until)| **until);
        first.map(|(room, _)| room.as_str())
    }

    /// The mixes that are to end now.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<String> {
        let due = |(_, until): &(&String, &Instant)| **until <= now;
        let rooms: Vec<String> = self
            .until
            .iter()
            .filter(due)
            .map(|(room, _)| room.clone())
            .collect();
        for room in &rooms {
            self.until.remove(room);
        }
        rooms
    }
}

#[cfg(test)]
mod tests {
    use super::Idle;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_mix_without_hosts_ends_after_its_time_and_not_before() {
        let (mut idle, now) = (Idle::new(PATIENCE), Instant::now());
        idle.begin("a", now);
        idle.begin("b", now + Duration::from_secs(5));
        assert_eq!((idle.next(), idle.first()), (Some(now + PATIENCE), Some("a")));
        assert!(idle.expired(now + Duration::from_secs(29)).is_empty());
        assert_eq!(idle.expired(now + PATIENCE), ["a"]);
        assert_eq!(idle.next(), Some(now + Duration::from_secs(35)));
    }

    #[test]
    fn a_host_that_comes_back_in_time_keeps_the_mix() {
        let (mut idle, now) = (Idle::new(PATIENCE), Instant::now());
        idle.begin("a", now);
        idle.end("a");
        assert!(idle.next().is_none() && idle.expired(now + 2 * PATIENCE).is_empty());
    }

    #[test]
    fn the_end_of_the_room_does_not_prolong_it() {
        let (mut idle, now) = (Idle::new(PATIENCE), Instant::now());
        idle.begin("a", now);
        idle.begin("a", now + Duration::from_secs(20));
        assert_eq!(idle.expired(now + PATIENCE), ["a"]);
    }
}
