//! Filling the rings of a flow ahead of its packets.

use super::depth::ahead;
use super::flow::Flow;
use super::leg::Source;
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
        let opener = opener_of(endpoints, self.id.source, &self.session)?;
        let before = std::mem::replace(&mut self.highest, opener.highest(self.id.ssrc)?);
        self.pace = self.highest.saturating_sub(before);
        for before in self.cursor.pass(self.highest) {
            if self.tokens.retire(before) {
                opener.taken(self.id.ssrc, before);
            }
        }
        for leg in self.legs.iter_mut().filter(|leg| leg.wanted) {
            leg.pass(endpoints, self.highest);
        }
        self.rate.update(now, self.highest, self.depth())
    }

    /// Fills slots: first those that come next, then the others. Each pad takes one off the budget.
    pub(crate) fn fill(&mut self, endpoints: &mut Endpoints, near_only: bool, budget: &mut usize) {
        if self.is_withdrawn() {
            return;
        }
        let until = if near_only {
            self.near()
        } else {
            self.highest + ahead(self.depth())
        };
        while *budget > 0 {
            let next = self.next();
            if next >= until {
                break;
            }
            self.put(next, endpoints, budget);
        }
    }

    /// Pads that the stream used up since the last turn, at most those that there are.
    pub(crate) fn used(&self) -> usize {
        let wanted = self.legs.iter().filter(|leg| leg.wanted).count();
        usize::try_from(self.pace.min(ahead(self.depth()))).map_or(0, |pace| pace * wanted)
    }

    /// The index before which rings are filled first.
    pub(super) fn near(&self) -> u64 {
        let near = NEAR.max(NEAR_TURNS * self.pace).min(ahead(self.depth()) / 2);
        self.highest + near + 1
    }

    /// Pads that are due and not there yet.
    pub(crate) fn backlog(&self) -> u64 {
        let until = self.highest + ahead(self.depth());
        let wanted = self.legs.iter().filter(|leg| leg.wanted);
        wanted.map(|leg| until.saturating_sub(leg.cursor.next)).sum()
    }

    fn put(&mut self, index: u64, endpoints: &mut Endpoints, budget: &mut usize) {
        if self.cursor.next == index {
            self.put_token(index, endpoints);
        }
        let mut stream = [0; MAX_PAYLOAD];
        self.session.apply_key_stream(self.id.ssrc, index, &mut stream);
        let source = Source {
            index,
            stream: &stream,
        };
        for leg in self
            .legs
            .iter_mut()
            .filter(|leg| leg.wanted && leg.cursor.next == index)
        {
            leg.put(endpoints, &source);
            *budget = budget.saturating_sub(1);
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

    fn next(&self) -> u64 {
        let legs = self
            .legs
            .iter()
            .filter(|leg| leg.wanted)
            .map(|leg| leg.cursor.next);
        legs.fold(self.cursor.next, u64::min)
    }
}
