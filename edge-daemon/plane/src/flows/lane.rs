//! One ring of pads of a leg, and how far it is filled.

use super::cursor::Cursor;
use super::filling::Limit;
use super::{Endpoints, sealer_of};
use crate::srtp::{PadRing, SessionKey};
use lianmai_fanout::Ssrc;
use lianmai_fanout::records::MAX_PAYLOAD;
use lianmai_kernel::Fate;
use lianmai_webrtc::EndpointId;
use std::rc::Rc;

/// Who seals with the pads.
pub(super) struct Owner {
    pub(super) id: EndpointId,
    pub(super) ssrc: Ssrc,
    pub(super) session: Rc<SessionKey>,
}

/// What the pads of one packet have in common.
pub(super) struct Source {
    pub(super) index: u64,
    /// The publisher's key stream.
    pub(super) stream: [u8; MAX_PAYLOAD],
}

/// A ring that is filled in the order of indices.
pub(super) struct Lane {
    pub(super) ring: Rc<PadRing>,
    cursor: Cursor,
}

impl Lane {
    /// An empty ring, to be filled from behind the newest index on.
    pub(super) fn new(ring: Rc<PadRing>, highest: u64) -> Self {
        let cursor = Cursor::new(ring.pads().len(), highest);
        Self { ring, cursor }
    }

    /// A ring that is filled up to the newest index in it.
    pub(super) fn of(ring: Rc<PadRing>) -> Self {
        let cursor = Cursor::of(ring.pads().len(), ring.pads().newest());
        Self { ring, cursor }
    }

    pub(super) fn depth(&self) -> u32 {
        self.ring.pads().len()
    }

    /// The first index without a pad.
    pub(super) const fn end(&self) -> u64 {
        self.cursor.next
    }

    /// The index of the pad that is due next.
    pub(super) fn next(&self, limit: Limit) -> Option<u64> {
        limit.next(&self.cursor, self.depth())
    }

    /// Puts the pad of the next index.
    pub(super) fn put(&mut self, owner: &Owner, endpoints: &mut Endpoints, source: &Source) {
        if let Some(before) = self.cursor.before(source.index) {
            self.retire(owner, endpoints, before);
        }
        self.cursor.next = source.index + 1;
        let Some(leg_index) = self.ring.leg_index(source.index) else {
            return;
        };
        let Owner { id, ssrc, session } = owner;
        let is_fresh =
            sealer_of(endpoints, *id, session).is_some_and(|sealer| sealer.is_fresh(*ssrc, leg_index));
        let mask = session.tag_mask(*ssrc, leg_index);
        self.ring
            .pads()
            .put(source.index, mask, !is_fresh, MAX_PAYLOAD, |pad| {
                session.cross(*ssrc, leg_index, &source.stream, pad);
            });
    }

    /// The stream went past these indices before they had pads.
    pub(super) fn pass(&mut self, owner: &Owner, endpoints: &mut Endpoints, highest: u64) {
        for before in self.cursor.pass(highest) {
            self.retire(owner, endpoints, before);
        }
    }

    /// Before the slot of an index goes to another: from now on the sealer alone knows of it.
    fn retire(&self, owner: &Owner, endpoints: &mut Endpoints, index: u64) {
        if self.ring.retire(index) {
            self.note_sealed(owner, endpoints, index);
        }
    }

    /// Ends the ring, once no program uses it any more.
    pub(super) fn finish(&self, owner: &Owner, endpoints: &mut Endpoints) {
        for index in self.cursor.slots() {
            if matches!(self.ring.fate(index), Fate::Sealed { .. } | Fate::Claimed) {
                self.note_sealed(owner, endpoints, index);
            }
        }
        if let Some(sealer) = sealer_of(endpoints, owner.id, &owner.session) {
            sealer.unshare(owner.ssrc, &self.ring);
        }
    }

    fn note_sealed(&self, owner: &Owner, endpoints: &mut Endpoints, index: u64) {
        let sealer = sealer_of(endpoints, owner.id, &owner.session);
        if let (Some(sealer), Some(leg_index)) = (sealer, self.ring.leg_index(index)) {
            sealer.sealed(owner.ssrc, leg_index);
        }
    }
}
