//! One leg of a flow: its ring of pads, and how it is filled.

use super::cursor::Cursor;
use super::fans::FanLeg;
use super::plan::PlannedLeg;
use super::{Endpoints, sealer_of};
use crate::endpoint::{Link, Noted};
use crate::srtp::{PadRing, SessionKey};
use lianmai_fanout::Ssrc;
use lianmai_fanout::records::{self, MAX_PAYLOAD};
use lianmai_kernel::{Fate, Maps, NoRoom, PeerSlot, TableSlot};
use lianmai_webrtc::EndpointId;
use std::rc::Rc;

/// A leg while the kernel has pads of it.
pub(crate) struct FlowLeg {
    pub(crate) id: EndpointId,
    ssrc: Ssrc,
    session: Rc<SessionKey>,
    ring: Rc<PadRing>,
    table: Rc<TableSlot>,
    pub(crate) cursor: Cursor,
    /// As the kernel is to have it.
    record: records::Leg,
    peer: Rc<PeerSlot>,
    /// Whether the stream should still go there.
    pub(crate) wanted: bool,
}

/// What the pads of one packet have in common.
pub(crate) struct Source<'a> {
    pub(crate) index: u64,
    /// The publisher's key stream.
    pub(crate) stream: &'a [u8; MAX_PAYLOAD],
}

impl FlowLeg {
    /// Makes an empty ring, of which the sealer knows from now on. None as long as another flow has one for the same SSRC
    /// and key: two pads for one index would be two packets sealed with it.
    pub(crate) fn new(
        ssrc: Ssrc,
        highest: u64,
        depth: u32,
        plan: &PlannedLeg,
        endpoints: &mut Endpoints,
        maps: &mut Maps,
    ) -> Result<Option<Self>, NoRoom> {
        let Some(link) = endpoints
            .get_mut(&plan.id)
            .and_then(|endpoint| endpoint.link.as_mut())
        else {
            return Ok(None);
        };
        if link.sealer.is_shared(ssrc) {
            return Ok(None);
        }
        let table = link.outbound_table(&plan.session, maps)?;
        let delta = plan.highest.wrapping_sub(highest).cast_signed();
        let ring = Rc::new(PadRing::new(maps.pads(depth)?, delta));
        if !link.sealer.share(ssrc, &ring) {
            return Ok(None);
        }
        Ok(Some(Self {
            id: plan.id,
            ssrc,
            session: Rc::clone(&plan.session),
            record: record(&ring, &table, plan),
            ring,
            table,
            cursor: Cursor::new(depth, highest),
            peer: Rc::clone(&plan.peer),
            wanted: true,
        }))
    }

    /// A leg that an earlier process had, with the ring that the sealer has of it. `found` is the record by which the kernel seals
    /// for it; it is planned no more if there is no plan.
    pub(crate) fn adopt(
        ssrc: Ssrc,
        id: EndpointId,
        link: &Link,
        peer: &Rc<PeerSlot>,
        found: records::Leg,
        is_planned: bool,
    ) -> Option<Self> {
        let ring = Rc::clone(link.sealer.ring(ssrc)?);
        let table = link.table(Noted::OutboundTable)?;
        let is_it = found.pads == ring.pads().id() && found.table == table.id() && found.peer == peer.id();
        let session = Rc::clone(link.sealer.session()?);
        is_it.then(|| Self {
            id,
            ssrc,
            session,
            cursor: Cursor::of(ring.pads().len(), ring.pads().newest()),
            record: found,
            ring,
            table,
            peer: Rc::clone(peer),
            wanted: is_planned,
        })
    }

    /// Whether this is the leg that is planned, under the same key.
    pub(crate) fn is(&self, plan: &PlannedLeg) -> bool {
        self.id == plan.id && Rc::ptr_eq(&self.session, &plan.session)
    }

    /// Takes over what is planned, or that it is planned no more; whether that is anything new.
    pub(crate) fn follow(&mut self, plan: Option<&PlannedLeg>) -> bool {
        let was_wanted = std::mem::replace(&mut self.wanted, plan.is_some());
        let Some(plan) = plan else { return was_wanted };
        let before = std::mem::replace(&mut self.record, record(&self.ring, &self.table, plan));
        self.peer = Rc::clone(&plan.peer);
        !(was_wanted && before == self.record)
    }

    pub(crate) const fn ring(&self) -> &Rc<PadRing> {
        &self.ring
    }

    /// Whether the kernel has what it takes for the packets up to this index.
    pub(crate) fn is_ready(&self, until: u64) -> bool {
        self.cursor.next >= until && self.ring.pads().is_installed() && self.table.is_installed()
    }

    pub(crate) fn in_fan(&self) -> (records::Leg, FanLeg) {
        let leg = FanLeg {
            id: self.id,
            session: Rc::clone(&self.session),
            ring: Rc::clone(&self.ring),
        };
        (self.record, leg)
    }

    /// Puts the pad of the next index.
    pub(crate) fn put(&mut self, endpoints: &mut Endpoints, source: &Source<'_>) {
        if let Some(before) = self.cursor.before(source.index) {
            self.retire(endpoints, before);
        }
        self.cursor.next = source.index + 1;
        let Some(leg_index) = self.ring.leg_index(source.index) else {
            return;
        };
        let is_fresh = sealer_of(endpoints, self.id, &self.session)
            .is_some_and(|sealer| sealer.is_fresh(self.ssrc, leg_index));
        let mask = self.session.tag_mask(self.ssrc, leg_index);
        self.ring
            .pads()
            .put(source.index, mask, !is_fresh, MAX_PAYLOAD, |pad| {
                self.session.cross(self.ssrc, leg_index, source.stream, pad);
            });
    }

    /// The stream went past these indices before they had pads.
    pub(crate) fn pass(&mut self, endpoints: &mut Endpoints, highest: u64) {
        for before in self.cursor.pass(highest) {
            self.retire(endpoints, before);
        }
    }

    /// Before the slot of an index goes to another: from now on the sealer alone knows of it.
    fn retire(&self, endpoints: &mut Endpoints, index: u64) {
        if self.ring.retire(index) {
            self.note_sealed(endpoints, index);
        }
    }

    /// Ends the ring, once no program uses it any more.
    pub(crate) fn end(&self, endpoints: &mut Endpoints) {
        for index in self.cursor.slots() {
            if matches!(self.ring.fate(index), Fate::Sealed { .. } | Fate::Claimed) {
                self.note_sealed(endpoints, index);
            }
        }
        if let Some(sealer) = sealer_of(endpoints, self.id, &self.session) {
            sealer.unshare(self.ssrc, &self.ring);
        }
    }

    fn note_sealed(&self, endpoints: &mut Endpoints, index: u64) {
        let sealer = sealer_of(endpoints, self.id, &self.session);
        if let (Some(sealer), Some(leg_index)) = (sealer, self.ring.leg_index(index)) {
            sealer.sealed(self.ssrc, leg_index);
        }
    }
}

/// What the kernel is to know of a leg.
fn record(ring: &PadRing, table: &TableSlot, plan: &PlannedLeg) -> records::Leg {
    let mut record = records::Leg {
        pads: ring.pads().id(),
        pad_mask: ring.pads().len() - 1,
        table: table.id(),
        peer: plan.peer.id(),
        payload_type: plan.header.payload_type,
        ip_version: 0,
        frame_header_len: 0,
        sums: [0; 2],
        extensions: plan.header.extensions,
        reserved: [0; 7],
        frame_header: [0; records::MAX_FRAME_HEADER],
    };
    plan.frame.fill(&mut record);
    record
}

#[cfg(test)]
impl FlowLeg {
    pub(crate) const fn peer(&self) -> &Rc<PeerSlot> {
        &self.peer
    }
}
