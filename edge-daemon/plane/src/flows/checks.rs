//! Packets that the kernel took, until it is known of each leg whether it got its copy.

use super::{FanLeg, FlowId};
use crate::clock::Stamp;
use crate::source::Accepted;
use std::collections::VecDeque;
use std::rc::Rc;

/// A moment after its arrival the kernel is done with a packet, one way or the other.
const DUE_AFTER: u64 = 2_000_000;

/// A leg whose pad is claimed but not used after this long will not get the packet from the kernel.
const GIVE_UP_AFTER: u64 = 50_000_000;

/// Packets that wait at most; a second of 32,000 a second. Earlier ones are looked at before their time.
const MOST: usize = 32_768;

/// One packet whose legs are left to check.
pub(crate) struct Check {
    pub(crate) id: FlowId,
    /// The publisher's packet index.
    pub(crate) index: u64,
    pub(crate) arrival: Stamp,
    /// As the publisher sent it.
    pub(crate) packet: Accepted,
    /// Whether the daemon serves legs that the kernel left behind: not with what was there before.
    pub(crate) is_new: bool,
    legs: Rc<[FanLeg]>,
    /// A bit for each leg of which nothing is known yet.
    open: u32,
}

impl Check {
    pub(crate) fn new(
        id: FlowId,
        index: u64,
        arrival: Stamp,
        packet: Accepted,
        is_new: bool,
        legs: Rc<[FanLeg]>,
    ) -> Self {
        let open = (1u32 << legs.len().min(31)) - 1;
        Self {
            id,
            index,
            arrival,
            packet,
            is_new,
            legs,
            open,
        }
    }

    /// Whether the kernel had its time, and then some.
    pub(crate) const fn is_hopeless(&self, now: Stamp) -> bool {
        now.nanos.saturating_sub(self.arrival.nanos) >= GIVE_UP_AFTER
    }

    /// Looks at each leg of which nothing is known yet; `settle` says whether something is known now. Returns whether
    /// everything is.
    pub(crate) fn settle(&mut self, mut settle: impl FnMut(&Self, &FanLeg) -> bool) -> bool {
        let legs = Rc::clone(&self.legs);
        for (place, leg) in legs.iter().enumerate().take(31) {
            let bit = 1 << place;
            if self.open & bit != 0 && settle(self, leg) {
                self.open &= !bit;
            }
        }
        self.open == 0
    }
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(crate) struct Checks {
    waiting: VecDeque<Check>,
}

impl Checks {
    pub(crate) fn push(&mut self, check: Check) {
        if check.open != 0 {
            self.waiting.push_back(check);
        }
    }

    /// The next one whose time has come.
    pub(crate) fn due(&mut self, now: Stamp) -> Option<Check> {
        let first = self.waiting.front()?;
        let is_due = now.nanos.saturating_sub(first.arrival.nanos) >= DUE_AFTER;
        (is_due || self.waiting.len() > MOST)
            .then(|| self.waiting.pop_front())
            .flatten()
    }

    /// Those of which something is still unknown come first again, in their order.
    pub(crate) fn put_back(&mut self, unsettled: Vec<Check>) {
        for check in unsettled.into_iter().rev() {
            self.waiting.push_front(check);
        }
    }
}
