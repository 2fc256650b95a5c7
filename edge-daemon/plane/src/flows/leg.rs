//! One leg of a flow: its rings of pads, and what the kernel is to know of it.

use super::fans::FanLeg;
use super::filling::Limit;
use super::lane::{Lane, Owner, Source};
use super::plan::PlannedLeg;
use super::{Endpoints, link_of, sealer_of};
use crate::endpoint::{Link, Noted};
use crate::srtp::PadRing;
use lianmai_fanout::Ssrc;
use lianmai_fanout::records;
use lianmai_kernel::{Maps, NoRoom, PeerSlot, TableSlot};
use lianmai_webrtc::EndpointId;
use std::rc::Rc;

/// A leg while the kernel has pads of it.
pub(crate) struct FlowLeg {
    owner: Owner,
    lane: Lane,
    /// A deeper ring that will take over once it is filled as far ...
    deeper: Option<Lane>,
    /// ... and the one that it took over from, as long as packets of it may be under way.
    ///
    /// Two rings have pads for the same indices then. The kernel takes an index by its one token and seals it by the one ring
    /// that the fan of that moment has; the daemon seals only what it can claim in both.
    before: Option<Lane>,
    table: Rc<TableSlot>,
    /// As the kernel is to have it.
    record: records::Leg,
    peer: Rc<PeerSlot>,
    /// Whether the stream should still go there.
    pub(crate) wanted: bool,
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
        let Some(link) = link_of(endpoints, plan.id) else {
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
            owner: Owner {
                id: plan.id,
                ssrc,
                session: Rc::clone(&plan.session),
            },
            record: record(&ring, &table, plan),
            lane: Lane::new(ring, highest),
            deeper: None,
            before: None,
            table,
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
        let ring = link.sealer.ring(ssrc, found.pads)?;
        let table = link.table(Noted::OutboundTable)?;
        let is_it = found.table == table.id() && found.peer == peer.id();
        let session = Rc::clone(link.sealer.session()?);
        is_it.then(|| Self {
            owner: Owner { id, ssrc, session },
            lane: Lane::of(Rc::clone(ring)),
            deeper: None,
            before: None,
            record: found,
            table,
            peer: Rc::clone(peer),
            wanted: is_planned,
        })
    }

    /// Whether this is the leg that is planned, under the same key.
    pub(crate) fn is(&self, plan: &PlannedLeg) -> bool {
        self.owner.id == plan.id && Rc::ptr_eq(&self.owner.session, &plan.session)
    }

    /// Takes over what is planned, or that it is planned no more; whether that is anything new.
    pub(crate) fn follow(&mut self, plan: Option<&PlannedLeg>) -> bool {
        let was_wanted = std::mem::replace(&mut self.wanted, plan.is_some());
        let Some(plan) = plan else { return was_wanted };
        let record = record(&self.lane.ring, &self.table, plan);
        let before = std::mem::replace(&mut self.record, record);
        self.peer = Rc::clone(&plan.peer);
        !(was_wanted && before == self.record)
    }

    /// Begins a deeper ring beside the one that the kernel has, if that is not as deep and none is begun.
    pub(crate) fn deepen(
        &mut self,
        highest: u64,
        depth: u32,
        endpoints: &mut Endpoints,
        maps: &mut Maps,
    ) -> Result<(), NoRoom> {
        let is_due = self.wanted && self.lane.depth() < depth;
        if !is_due || self.deeper.is_some() || self.before.is_some() {
            return Ok(());
        }
        let ring = Rc::new(self.lane.ring.beside(maps.pads(depth)?));
        let sealer = sealer_of(endpoints, self.owner.id, &self.owner.session);
        if sealer.is_some_and(|sealer| sealer.share_beside(self.owner.ssrc, &ring)) {
            self.deeper = Some(Lane::new(ring, highest));
        }
        Ok(())
    }

    /// Whether a deeper ring is not there yet.
    pub(crate) fn is_deepening(&self) -> bool {
        let is_ready = |deeper: &Lane| deeper.end() >= self.lane.end() && deeper.ring.pads().is_installed();
        self.wanted && self.deeper.as_ref().is_some_and(|deeper| !is_ready(deeper))
    }

    /// Has the deeper ring take over, if there is one; says whether there was. The kernel has to hear of it.
    pub(crate) fn switch(&mut self) -> bool {
        let Some(deeper) = self.deeper.take_if(|_| self.wanted) else {
            return false;
        };
        self.record.pads = deeper.ring.pads().id();
        self.record.pad_mask = deeper.depth() - 1;
        self.before = Some(std::mem::replace(&mut self.lane, deeper));
        true
    }

    pub(crate) const fn ring(&self) -> &Rc<PadRing> {
        &self.lane.ring
    }

    /// How many slots its ring has.
    pub(crate) fn depth(&self) -> u32 {
        self.lane.depth()
    }

    /// The first index that the kernel has no pad for.
    pub(crate) const fn end_of_pads(&self) -> u64 {
        self.lane.end()
    }

    /// Whether the kernel has what it takes for the packets up to this index.
    pub(crate) fn is_ready(&self, until: u64) -> bool {
        self.lane.end() >= until && self.lane.ring.pads().is_installed() && self.table.is_installed()
    }

    pub(crate) fn in_fan(&self) -> (records::Leg, FanLeg) {
        let leg = FanLeg {
            id: self.owner.id,
            session: Rc::clone(&self.owner.session),
            ring: Rc::clone(&self.lane.ring),
        };
        (self.record, leg)
    }

    /// The first index that a pad is due for.
    pub(super) fn next(&self, limit: Limit) -> Option<u64> {
        let lanes = std::iter::once(&self.lane).chain(&self.deeper);
        lanes.filter_map(|lane| lane.next(limit)).min()
    }

    /// Puts pads for this index where they are due; says how many.
    pub(super) fn put(&mut self, limit: Limit, endpoints: &mut Endpoints, source: &Source) -> usize {
        let lanes = std::iter::once(&mut self.lane).chain(&mut self.deeper);
        let due = lanes.filter(|lane| lane.next(limit) == Some(source.index));
        due.map(|lane| lane.put(&self.owner, endpoints, source)).count()
    }

    /// The stream went past these indices before they had pads.
    pub(crate) fn pass(&mut self, endpoints: &mut Endpoints, highest: u64) {
        for lane in std::iter::once(&mut self.lane).chain(&mut self.deeper) {
            lane.pass(&self.owner, endpoints, highest);
        }
    }

    /// Ends the ring of before, unless packets of it may be under way.
    pub(crate) fn drop_before(&mut self, is_used: impl Fn(&Rc<PadRing>) -> bool, endpoints: &mut Endpoints) {
        if let Some(before) = self.before.take_if(|before| !is_used(&before.ring)) {
            before.finish(&self.owner, endpoints);
        }
    }

    /// Whether a packet may still be sealed by one of its rings.
    pub(crate) fn is_used(&self, is_used: impl Fn(&Rc<PadRing>) -> bool) -> bool {
        is_used(&self.lane.ring) || self.before.as_ref().is_some_and(|before| is_used(&before.ring))
    }

    /// Ends its rings, once no program uses them any more.
    pub(crate) fn end(&self, endpoints: &mut Endpoints) {
        let lanes = std::iter::once(&self.lane)
            .chain(&self.deeper)
            .chain(&self.before);
        lanes.for_each(|lane| lane.finish(&self.owner, endpoints));
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
