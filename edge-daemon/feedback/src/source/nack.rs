//! Which packets of a stream are missing, and when to ask for them again (RFC 4585 §6.2.1).

use crate::seq::low_bits;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Packets overtake each other by this much on ordinary paths; asking sooner would ask for nothing.
const REORDER_DELAY: Duration = Duration::from_millis(10);
/// A packet is asked for this often, then given up.
const MAX_TRIES: u32 = 8;
/// ... or when it has become this old.
const MAX_AGE: Duration = Duration::from_secs(2);
/// More missing packets than this are not worth mending: a key frame is cheaper.
pub(super) const MAX_MISSING: usize = 400;
/// Taken before the round trip is known, and the bounds of what is believed.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(1_500);
/// This share of the round trip is waited in addition: publishers send nothing twice within what they take for the round trip, so
/// a request that comes a little early is in vain.
const MARGIN: u32 = 10;

/// The missing packets of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct NackList {
    missing: BTreeMap<i64, Missing>,
    /// Where the newest key frame begins: what is missing before it harms nothing after it.
    key: Option<i64>,
    /// Not later than the first entry that is due.
    next_due: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    due: Instant,
    tries: u32,
}

/// What a look at the list found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// To be asked for now, in order.
    pub(super) seqs: Vec<u16>,
    /// Given up for good.
    pub(super) given_up: u64,
    /// Whether that leaves pictures that refer to one which will never be whole.
    pub(super) is_broken: bool,
}

/// Too much is missing to mend it; the list is empty now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub(super) u64);

impl NackList {
    /// The numbers from `missing` up to but without `seq` did not come.
    pub(super) fn on_gap(&mut self, now: Instant, missing: i64, seq: i64) -> Result<(), TooMany> {
        let gap = usize::try_from(seq - missing).unwrap_or(usize::MAX);
        if gap == 0 {
            return Ok(());
        }
        if self.missing.len().saturating_add(gap) > MAX_MISSING {
            let lost = self.missing.len().saturating_add(gap) as u64;
            self.clear();
            return Err(TooMany(lost));
        }
        let due = now + REORDER_DELAY;
        let entry = Missing {
            since: now,
            due,
            tries: 0,
        };
        self.missing.extend((missing..seq).map(|seq| (seq, entry)));
        self.wake_at(due);
        Ok(())
    }

    /// A packet came after all; tells whether it was missed.
    pub(super) fn on_arrival(&mut self, seq: i64) -> bool {
        self.missing.remove(&seq).is_some()
    }

    /// A key frame begins here. What is missing before it is still asked for, as it may still be shown.
    pub(super) fn on_key_frame(&mut self, seq: i64) {
        self.key = self.key.max(Some(seq));
    }

    pub(super) fn clear(&mut self) {
        self.missing.clear();
        self.key = None;
        self.next_due = None;
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next_due.filter(|_| !self.missing.is_empty())
    }

    /// What to ask for now. Each repetition waits half as long again.
    pub(super) fn take_due(&mut self, now: Instant, round_trip: Option<Duration>) -> Due {
        let mut found = Due::default();
        if self.next_timeout().is_none_or(|due| due > now) {
            return found;
        }
        let round_trip = round_trip.unwrap_or(ASSUMED_ROUND_TRIP);
        let wait = (round_trip + round_trip / MARGIN).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        let key = self.key;
        self.missing.retain(|seq, entry| {
            if entry.due > now {
                return true;
            }
            let keep = entry.tries < MAX_TRIES && now.saturating_duration_since(entry.since) < MAX_AGE;
            if keep {
                entry.asked(now, wait);
                found.seqs.push(low_bits(*seq));
            } else {
                found.given_up += 1;
                found.is_broken |= key.is_none_or(|key| *seq >= key);
            }
            keep
        });
        self.next_due = self.missing.values().map(|entry| entry.due).min();
        found
    }

    fn wake_at(&mut self, due: Instant) {
        self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
    }
}

impl Missing {
    fn asked(&mut self, now: Instant, wait: Duration) {
        let backed_off = wait.mul_f64(1.5_f64.powi(self.tries.cast_signed()));
        self.tries += 1;
        self.due = now + backed_off;
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, MAX_MISSING, MAX_TRIES, NackList, TooMany, low_bits};
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);
    const ROUND_TRIP: Option<Duration> = Some(Duration::from_millis(40));

    fn gap(list: &mut NackList, now: Instant, missing: i64, seq: i64) {
        list.on_gap(now, missing, seq).expect("a small gap");
    }

    #[test]
    fn a_packet_that_is_merely_overtaken_is_not_asked_for() {
        let now = Instant::now();
        let mut list = NackList::default();
        gap(&mut list, now, 10, 11);
        assert_eq!(list.take_due(now + 9 * MS, ROUND_TRIP), Due::default());
        assert!(list.on_arrival(10));
        assert_eq!(list.next_timeout(), None);
        assert_eq!(list.take_due(now + 20 * MS, ROUND_TRIP), Due::default());
    }

    #[test]
    fn a_loss_is_asked_for_after_the_reordering_delay_and_not_twice_within_a_round_trip() {
        let now = Instant::now();
        let mut list = NackList::default();
        gap(&mut list, now, 65_535, 65_538);
        assert_eq!(list.next_timeout(), Some(now + 10 * MS));
        assert_eq!(list.take_due(now + 10 * MS, ROUND_TRIP).seqs, [65_535, 0, 1]);
        assert_eq!(list.take_due(now + 53 * MS, ROUND_TRIP), Due::default());
        assert_eq!(list.take_due(now + 54 * MS, ROUND_TRIP).seqs, [65_535, 0, 1]);
    }

    #[test]
    fn on_a_long_path_a_loss_is_asked_for_again_once_the_first_answer_is_overdue() {
        let now = Instant::now();
        let mut list = NackList::default();
        gap(&mut list, now, 5, 6);
        let round_trip = Some(600 * MS);
        assert_eq!(list.take_due(now + 10 * MS, round_trip).seqs, [5]);
        assert_eq!(list.next_timeout(), Some(now + 670 * MS));
        assert_eq!(list.take_due(now + 670 * MS, round_trip).seqs, [5]);
    }

    #[test]
    fn a_packet_that_never_comes_is_given_up_after_backing_off() {
        let now = Instant::now();
        let mut list = NackList::default();
        gap(&mut list, now, 5, 6);
        let mut asked = Vec::new();
        let mut given_up = 0;
        while let Some(due) = list.next_timeout() {
            let found = list.take_due(due, ROUND_TRIP);
            asked.extend(found.seqs.iter().map(|_| due));
            given_up += found.given_up;
        }
        assert_eq!(given_up, 1);
        assert!((3..=MAX_TRIES as usize).contains(&asked.len()), "{}", asked.len());
        let waits: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
    }

    #[test]
    fn a_gap_beyond_mending_empties_the_list_instead_of_growing_it() {
        let now = Instant::now();
        let mut list = NackList::default();
        gap(&mut list, now, 0, 300);
        let lost = 300 + 200;
        assert_eq!(list.on_gap(now, 301, 501), Err(TooMany(lost)));
        assert_eq!(list.next_timeout(), None);
        assert!(list.on_gap(now, 502, 502 + MAX_MISSING as i64).is_ok());
    }

    #[test]
    fn what_is_lost_before_a_key_frame_is_asked_for_but_its_loss_breaks_nothing() {
        let broken = |missing| {
            let now = Instant::now();
            let mut list = NackList::default();
            gap(&mut list, now, missing, missing + 1);
            list.on_key_frame(6);
            let found = list.take_due(now + 10 * MS, None);
            assert_eq!(found.seqs, [low_bits(missing)]);
            let found = list.take_due(now + 10_000 * MS, None);
            assert_eq!(found.given_up, 1);
            found.is_broken
        };
        assert_eq!([broken(3), broken(6), broken(8)], [false, true, true]);
    }
}
