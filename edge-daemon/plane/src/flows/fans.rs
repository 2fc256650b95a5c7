//! To which legs a flow goes, and went a moment ago.

use super::GRACE;
use crate::srtp::{PadRing, SessionKey};
use lianmai_fanout::records;
use lianmai_kernel::StreamSlot;
use lianmai_webrtc::EndpointId;
use std::rc::Rc;
use std::time::Instant;

/// A leg that the kernel seals for, as the copies of that time need it.
#[derive(Clone)]
pub(crate) struct FanLeg {
    pub(crate) id: EndpointId,
    pub(crate) session: Rc<SessionKey>,
    pub(crate) ring: Rc<PadRing>,
}

/// The fan that the kernel has, and the one before as long as packets of it may be under way.
#[derive(Default)]
pub(crate) struct Fans {
    current: Option<Fan>,
    before: Option<Fan>,
    changed_at: Option<Instant>,
}

struct Fan {
    word: u64,
    records: Vec<records::Leg>,
    legs: Rc<[FanLeg]>,
}

impl Fans {
    /// The legs that a copy went to; `None` if it is of no fan that we know.
    pub(crate) fn legs_of(&self, word: u64) -> Option<&Rc<[FanLeg]>> {
        [&self.current, &self.before]
            .into_iter()
            .flatten()
            .find(|fan| fan.word == word)
            .map(|fan| &fan.legs)
    }

    pub(crate) fn current(&self) -> &[FanLeg] {
        self.current.as_ref().map_or(&[], |fan| &fan.legs)
    }

    /// Whether a packet may still be sealed by this ring.
    pub(crate) fn uses(&self, ring: &Rc<PadRing>) -> bool {
        [&self.current, &self.before]
            .into_iter()
            .flatten()
            .flat_map(|fan| fan.legs.iter())
            .any(|leg| Rc::ptr_eq(&leg.ring, ring))
    }

    #[cfg(test)]
    pub(crate) fn records(&self) -> &[records::Leg] {
        self.current.as_ref().map_or(&[], |fan| &fan.records)
    }

    /// The fan that an earlier process set.
    pub(crate) fn adopted(stream: &StreamSlot, legs: Vec<(records::Leg, FanLeg)>) -> Self {
        let (records, legs): (Vec<records::Leg>, Vec<FanLeg>) = legs.into_iter().unzip();
        let current = Fan {
            word: stream.fan().to_word(),
            records,
            legs: legs.into(),
        };
        Self {
            current: Some(current),
            ..Self::default()
        }
    }

    /// Whether the kernel can be sent to other legs at once.
    pub(crate) const fn are_settled(&self) -> bool {
        self.before.is_none()
    }

    /// Forgets the earlier fan once no packet of it can be under way: a grace after the change, with all copies since
    /// taken.
    pub(crate) fn settle(&mut self, drained_at: Option<Instant>) {
        let over = self.changed_at.map(|at| at + GRACE);
        if over.is_some_and(|over| drained_at.is_some_and(|drained| drained >= over)) {
            self.before = None;
        }
    }

    /// Sends the stream to these legs from now on. While packets of the earlier fan may be under way nothing changes, and
    /// the answer is `false`: ask again.
    pub(crate) fn set(
        &mut self,
        now: Instant,
        stream: &mut StreamSlot,
        legs: Vec<(records::Leg, FanLeg)>,
    ) -> bool {
        let (records, legs): (Vec<records::Leg>, Vec<FanLeg>) = legs.into_iter().unzip();
        if self.current.as_ref().is_some_and(|fan| fan.records == records) {
            return true;
        }
        if self.before.is_some() {
            return false;
        }
        let word = stream.set_legs(&records).to_word();
        self.before = self.current.replace(Fan {
            word,
            records,
            legs: legs.into(),
        });
        self.changed_at = Some(now);
        true
    }
}
