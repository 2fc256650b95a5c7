//! Which pictures the program has. No I/O and no clock in here.

use super::memory::SLOTS;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};
use std::collections::BTreeMap;

/// A program that looks at a picture for so long is stuck.
const PATIENCE: Span = Span::from_secs(10);

/// The pictures that are at the program: one of a host, one in a slot. A slot is free again when its picture was answered, so
/// nothing is ever painted over that somebody reads.
#[derive(Debug)]
pub(super) struct Desk {
    numbers: u64,
    lent: BTreeMap<u64, Lent>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Lent {
    host: HostId,
    slot: usize,
    since: EdgeTime,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            numbers: 0,
            lent: BTreeMap::new(),
            free: (0..SLOTS).rev().collect(),
        }
    }
}

impl Desk {
    /// Whether the next picture of this host can go to the program.
    pub(super) fn has_room_for(&self, host: HostId) -> bool {
        !self.free.is_empty() && self.lent.values().all(|lent| lent.host != host)
    }

    /// A picture's number and slot, if there is room for it.
    pub(super) fn lend(&mut self, now: EdgeTime, host: HostId) -> Option<(u64, usize)> {
        if !self.has_room_for(host) {
            return None;
        }
        let slot = self.free.pop()?;
        self.numbers += 1;
        let since = now;
        self.lent.insert(self.numbers, Lent { host, slot, since });
        Some((self.numbers, slot))
    }

    /// The program is done with a picture: whose it was.
    pub(super) fn back(&mut self, number: u64) -> Option<HostId> {
        let lent = self.lent.remove(&number)?;
        self.free.push(lent.slot);
        Some(lent.host)
    }

    /// Whether the program has had a picture for too long.
    pub(super) fn is_stuck(&self, now: EdgeTime) -> bool {
        self.lent.values().any(|lent| now - lent.since > PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::{Desk, SLOTS};
    use lianmai_mixer_control::media::HostId;
    use lianmai_timeline::{EdgeTime, Span};
    use std::collections::BTreeSet;

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(0) + Span::from_millis(millis)
    }

    #[test]
    fn a_host_has_one_picture_at_the_program_at_a_time() {
        let mut desk = Desk::default();
        let (first, _) = desk.lend(at(0), HostId(1)).expect("room");
        assert_eq!(desk.lend(at(1), HostId(1)), None);
        let (second, _) = desk.lend(at(1), HostId(2)).expect("another host");
        assert_eq!((desk.back(first), desk.back(first)), (Some(HostId(1)), None));
        assert_eq!(desk.back(99), None);
        assert_eq!(desk.back(second), Some(HostId(2)));
        assert!(
            desk.lend(at(2), HostId(1))
                .is_some_and(|(number, _)| number > second)
        );
    }

    #[test]
    fn a_slot_is_used_by_one_picture_at_a_time() {
        let mut desk = Desk::default();
        let mut lent: Vec<(u64, usize)> = (0..64)
            .filter_map(|host| desk.lend(at(0), HostId(host)))
            .collect();
        assert_eq!(lent.len(), SLOTS);
        for round in 0..1000 {
            let (number, _) = lent.remove(round * 7 % lent.len());
            let host = desk.back(number).expect("lent");
            lent.push(desk.lend(at(0), host).expect("room"));
            let slots: BTreeSet<usize> = lent.iter().map(|(_, slot)| *slot).collect();
            assert_eq!(slots.len(), SLOTS);
        }
    }

    #[test]
    fn a_program_that_keeps_a_picture_for_long_is_stuck_however_many_others_it_answers() {
        let mut desk = Desk::default();
        let (kept, _) = desk.lend(at(0), HostId(1)).expect("room");
        for second in 1..=10 {
            assert!(!desk.is_stuck(at(second * 1000)));
            let (other, _) = desk.lend(at(second * 1000), HostId(2)).expect("room");
            desk.back(other);
        }
        assert!(desk.is_stuck(at(10_001)));
        desk.back(kept);
        assert!(!desk.is_stuck(at(10_001)));
    }
}
