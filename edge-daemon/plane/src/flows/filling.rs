//! Filling the rings of a flow ahead of its packets.

use super::cursor::Cursor;
use super::depth::ahead;
use super::flow::Flow;
use super::lane::Source;
use super::leg::FlowLeg;
use super::{Endpoints, opener_of};
use lianmai_fanout::records::MAX_PAYLOAD;
use std::time::Instant;

/// How far ahead a ring is filled before anything else is done with it: at least so far ...
const NEAR: u64 = 64;
/// ... and so many times as far as the stream got since the last turn.
const NEAR_TURNS: u64 = 4;

impl Flow {
    /// Learns how far the stream is. Returns the depth that it needs, if that is more than it has.
    pub(crate) fn advance(&mut self, now: Instant, endpoints: &mut Endpoints) -> Option<u32> {
        let taken = self.stream.packets();
        let is_still = std::mem::replace(&mut self.taken, taken) == taken;
        if is_still && self.rests_until.is_some_and(|until| now < until) {
            self.pace = 0;
            return None;
        }
        self.rests_until = None;
        let opener = opener_of(endpoints, self.id.source, &self.session)?;
        // Not only by copies: on a busy machine they wait while the kernel goes on, and pads would run out before they are read.
        let known = opener.highest(self.id.ssrc)?.max(self.highest);
        let before = std::mem::replace(&mut self.highest, self.tokens.progress(known));
        self.pace = self.highest.saturating_sub(before);
        for before in self.cursor.pass(self.highest) {
            if self.tokens.retire(before) {
                opener.taken(self.id.ssrc, before);
            }
        }
        for leg in self.legs.iter_mut().filter(|leg| leg.wanted) {
            leg.pass(endpoints, self.highest);
        }
        let burst = self.burst.update(now, self.stream.packets(), self.depth);
        self.rate.update(now, self.highest, self.depth).max(burst)
    }

    /// Fills slots: first those that come next, then the others. Each pad takes one off the budget.
    pub(crate) fn fill(&mut self, endpoints: &mut Endpoints, near_only: bool, budget: &mut usize) {
        if self.is_withdrawn() || self.rests_until.is_some() {
            return;
        }
        let limit = match near_only {
            true => Limit {
                highest: self.highest,
                before: self.near(),
            },
            false => Limit::everything(self.highest),
        };
        while *budget > 0 {
            let Some(index) = self.next(limit) else { break };
            self.put(index, limit, endpoints, budget);
        }
    }

    /// Pads that the stream used up since the last turn, at most those that there are.
    pub(crate) fn used(&self) -> usize {
        let wanted = self.legs.iter().filter(|leg| leg.wanted).count();
        usize::try_from(self.pace.min(ahead(self.depth))).map_or(0, |pace| pace * wanted)
    }

    /// The index before which rings are filled first.
    pub(super) fn near(&self) -> u64 {
        let near = NEAR.max(NEAR_TURNS * self.pace).min(ahead(self.depth()) / 2);
        self.highest + near + 1
    }

    /// Pads that are due and not there yet.
    pub(crate) fn backlog(&self) -> u64 {
        let wanted = self.legs.iter().filter(|leg| leg.wanted);
        wanted
            .map(|leg| (self.highest + ahead(leg.depth())).saturating_sub(leg.end_of_pads()))
            .sum()
    }

    fn put(&mut self, index: u64, limit: Limit, endpoints: &mut Endpoints, budget: &mut usize) {
        if limit.next(&self.cursor, self.depth) == Some(index) {
            self.put_token(index, endpoints);
        }
        let due = |leg: &&mut FlowLeg| leg.wanted && leg.next(limit) == Some(index);
        let mut due = self.legs.iter_mut().filter(due).peekable();
        if due.peek().is_none() {
            return;
        }
        let mut source = Source {
            index,
            stream: [0; MAX_PAYLOAD],
        };
        self.session
            .apply_key_stream(self.id.ssrc, index, &mut source.stream);
        for leg in due {
            *budget = budget.saturating_sub(leg.put(limit, endpoints, &source));
        }
    }

    fn put_token(&mut self, index: u64, endpoints: &mut Endpoints) {
        let Some(opener) = opener_of(endpoints, self.id.source, &self.session) else {
            self.cursor.next = index + 1;
            return;
        };
        if let Some(before) = self.cursor.before(index)
            && self.tokens.retire(before)
        {
            opener.taken(self.id.ssrc, before);
        }
        let is_used = !opener.is_fresh(self.id.ssrc, index);
        let mask = self.session.tag_mask(self.id.ssrc, index);
        self.tokens.tokens().put(index, mask, is_used);
        self.cursor.next = index + 1;
    }

    /// The first index that something is due for.
    pub(super) fn next(&self, limit: Limit) -> Option<u64> {
        let wanted = self.legs.iter().filter(|leg| leg.wanted);
        let pads = wanted.filter_map(|leg| leg.next(limit));
        limit.next(&self.cursor, self.depth).into_iter().chain(pads).min()
    }
}

/// How far rings are filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The newest packet: not farther than a ring reaches from here ...
    highest: u64,
    /// ... and not beyond this.
    before: u64,
}

impl Limit {
    /// As far as rings reach.
    pub(super) const fn everything(highest: u64) -> Self {
        Self {
            highest,
            before: u64::MAX,
        }
    }

    /// The index that a ring of this depth is to have next; `None` if it is filled as far as it should be.
    pub(super) fn next(self, cursor: &Cursor, depth: u32) -> Option<u64> {
        let until = self.before.min(self.highest + ahead(depth));
        (cursor.next < until).then_some(cursor.next)
    }
}
