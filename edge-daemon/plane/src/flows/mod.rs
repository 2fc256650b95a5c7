//! Which streams the kernel forwards by itself, and what it needs for that: permissions, filled in ahead of the packets.
//!
//! A flow is one stream of one publisher. It exists while the kernel can verify the stream and reach at least one leg;
//! packets and legs that the kernel does not serve are the daemon's as ever. Everything here is pure in time.

mod adoption;
mod burst;
mod checks;
mod cursor;
mod depth;
mod fans;
mod filling;
mod flow;
mod lane;
mod leg;
mod plan;
#[cfg(test)]
mod view;

pub(crate) use checks::{Check, Checks};
pub(crate) use cursor::slots;
pub(crate) use fans::FanLeg;
#[cfg(test)]
pub(crate) use view::View;

use crate::clock::Stamp;
use crate::endpoint::{Endpoint, Link};
use crate::snapshot::FlowStats;
use crate::srtp::{Opener, Sealer, SessionKey};
use flow::Flow;
use lianmai_fanout::Ssrc;
use lianmai_kernel::{FrameHeader, Maps, NoRoom};
use lianmai_webrtc::EndpointId;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Programs and copies of a packet that were under way are through after this long.
pub(crate) const GRACE: Duration = Duration::from_millis(20);

/// Pads that are filled in one turn: some 0.1 ms of work, for which packets of other streams wait ...
const PADS_A_TURN: usize = 128;
/// ... and beyond that so many for each one that was used up since the last turn, for the rings must fill up ...
const PADS_FOR_USED: usize = 4;
/// ... but never more than these: some 3 ms.
const MOST_PADS_A_TURN: usize = 4_096;

/// How often the flows are compared with what they should be, when nobody says that something changed ...
const REVIEW: Duration = Duration::from_millis(500);
/// ... when packets came that the kernel could have forwarded ...
const REVIEW_MISSED: Duration = Duration::from_millis(50);
/// ... when flows wait for their rings, which the kernel clears: some 2 ms for so many of them, for which packets wait ...
const REVIEW_WAITING: Duration = Duration::from_millis(4);
const OFFERS_A_REVIEW: usize = 2;
/// ... and how long the kernel is left alone after it had no room.
const REST: Duration = Duration::from_secs(1);

pub(crate) type Endpoints = BTreeMap<EndpointId, Endpoint>;
pub(crate) type Subscribers = BTreeMap<EndpointId, Vec<EndpointId>>;

/// What flows stand on: the kernel's maps and routes, or those of a test.
pub(crate) trait Ground {
    /// Room for rings.
    fn maps(&mut self) -> &mut Maps;
    /// How a frame to this address begins; `None` if the way there is not through our interface, or not known yet.
    fn frame_header(&mut self, remote: SocketAddr) -> Option<FrameHeader>;
}

/// One stream of one publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlowId {
    pub(crate) source: EndpointId,
    pub(crate) ssrc: Ssrc,
}

/// All flows.
#[derive(Default)]
pub(crate) struct Flows {
    flows: BTreeMap<FlowId, Flow>,
    by_number: FxHashMap<u32, FlowId>,
    /// Depths that turned out to be needed, for the next flow of the same stream.
    depths: BTreeMap<FlowId, u32>,
    pub(crate) checks: Checks,
    /// When the flows were compared with what they should be; `None` is never, or before the last change.
    reviewed_at: Option<Instant>,
    missed: bool,
    /// There were more new flows than are begun at a time.
    waiting: bool,
    rest_until: Option<Instant>,
    drained_at: Option<Instant>,
    turn: usize,
}

/// What a copy belongs to.
pub(crate) struct Origin {
    pub(crate) id: FlowId,
    pub(crate) track: usize,
    pub(crate) session: Rc<SessionKey>,
    pub(crate) legs: Rc<[FanLeg]>,
}

impl Flows {
    /// Something that flows depend on is another now.
    pub(crate) const fn changed(&mut self) {
        self.reviewed_at = None;
    }

    /// The daemon forwarded a packet that the kernel might have.
    pub(crate) const fn missed(&mut self) {
        self.missed = true;
    }

    /// Whether none is left, not even one that is ending.
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many the kernel forwards.
    pub(crate) fn running(&self) -> usize {
        self.flows.values().filter(|flow| flow.is_running()).count()
    }

    /// Pads that are due and not filled yet.
    pub(crate) fn backlog(&self) -> u64 {
        self.active().map(Flow::backlog).sum()
    }

    pub(crate) fn stats(&self, source: EndpointId, ssrc: Ssrc) -> Option<FlowStats> {
        let flow = self.flows.get(&FlowId { source, ssrc })?;
        flow.is_running().then(|| flow.stats())
    }

    /// What a copy with this stream number and fan belongs to.
    pub(crate) fn origin(&self, number: u32, fan: u64) -> Option<Origin> {
        let id = *self.by_number.get(&number)?;
        let flow = self.flows.get(&id)?;
        Some(Origin {
            id,
            track: flow.track,
            session: Rc::clone(&flow.session),
            legs: flow.legs_of(fan),
        })
    }

    /// All copies that were there at this time are taken.
    pub(crate) const fn drained(&mut self, at: Instant) {
        self.drained_at = Some(at);
    }

    /// One turn: brings the flows up to date and fills what there is time for. Returns whether there is more to do.
    pub(crate) fn feed(
        &mut self,
        now: Stamp,
        endpoints: &mut Endpoints,
        subscribers: &Subscribers,
        ground: &mut dyn Ground,
    ) -> bool {
        self.bury(endpoints);
        if self.review_is_due(now.at) {
            self.review(now.at, endpoints, subscribers, ground);
        }
        self.advance(now.at, endpoints);
        let budget = self.fill(endpoints);
        self.publish(now, endpoints);
        budget == 0
    }

    /// Has the kernel forget everything.
    pub(crate) fn withdraw_all(&mut self, now: Instant) {
        self.flows.values_mut().for_each(|flow| flow.withdraw(now));
    }

    fn active(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values().filter(|flow| !flow.is_withdrawn())
    }

    fn review_is_due(&self, now: Instant) -> bool {
        let interval = match (self.waiting, self.missed) {
            (true, _) => REVIEW_WAITING,
            (false, true) => REVIEW_MISSED,
            (false, false) => REVIEW,
        };
        self.reviewed_at
            .is_none_or(|at| now.saturating_duration_since(at) >= interval)
    }

    /// Makes the flows what they should be.
    pub(crate) fn review(
        &mut self,
        now: Instant,
        endpoints: &mut Endpoints,
        subscribers: &Subscribers,
        ground: &mut dyn Ground,
    ) {
        (self.reviewed_at, self.missed, self.waiting) = (Some(now), false, false);
        let mut plans = plan::all(endpoints, subscribers, ground);
        self.depths.retain(|id, _| plans.contains_key(id));
        let mut room = Ok(());
        for (id, flow) in &mut self.flows {
            match plans.remove(id).filter(|plan| flow.fits(plan)) {
                Some(plan) => room = room.and(flow.follow(&plan, endpoints, ground.maps())),
                None => flow.withdraw(now),
            }
        }
        if self.rest_until.is_none_or(|until| until <= now) {
            room = room.and_then(|()| self.begin(now, plans, endpoints, ground.maps()));
        }
        if let Err(error) = room {
            tracing::warn!(%error, "the daemon forwards what the kernel has no room for");
            self.rest_until = Some(now + REST);
        }
    }

    /// Begins some of the flows that there are plans for; the others wait for the next review.
    fn begin(
        &mut self,
        now: Instant,
        plans: BTreeMap<FlowId, plan::Plan>,
        endpoints: &mut Endpoints,
        maps: &mut Maps,
    ) -> Result<(), NoRoom> {
        let mut begun = 0;
        for (id, plan) in plans {
            if begun == OFFERS_A_REVIEW {
                self.waiting = true;
                break;
            }
            begun += usize::from(self.offer(now, id, &plan, endpoints, maps)?);
        }
        Ok(())
    }

    /// Says whether there is a flow now.
    fn offer(
        &mut self,
        now: Instant,
        id: FlowId,
        plan: &plan::Plan,
        endpoints: &mut Endpoints,
        maps: &mut Maps,
    ) -> Result<bool, NoRoom> {
        let depth = self.depths.get(&id).copied();
        let depth = depth.unwrap_or_else(|| depth::first(plan.kind));
        let flow = Flow::offer(now, id, depth, plan, endpoints, maps)?;
        let is_new = flow.is_some();
        if let Some(flow) = flow {
            self.by_number.insert(flow.number(), id);
            self.flows.insert(id, flow);
        }
        Ok(is_new)
    }

    fn advance(&mut self, now: Instant, endpoints: &mut Endpoints) {
        for (id, flow) in &mut self.flows {
            if flow.is_withdrawn() {
                continue;
            }
            let Some(depth) = flow.advance(now, endpoints) else {
                continue;
            };
            if !flow.deepen(depth) {
                self.depths.insert(*id, depth);
                flow.withdraw(now);
            }
            self.reviewed_at = None;
        }
    }

    /// Everyone a little, then everyone all, each turn beginning with another. Returns what is left of the budget.
    fn fill(&mut self, endpoints: &mut Endpoints) -> usize {
        let used: usize = self.active().map(Flow::used).sum();
        let mut budget = (PADS_A_TURN + PADS_FOR_USED * used).min(MOST_PADS_A_TURN);
        let first = self.turn.checked_rem(self.flows.len()).unwrap_or(0);
        self.turn = self.turn.wrapping_add(1);
        let ids: Vec<FlowId> = self.flows.keys().copied().collect();
        for near_only in [true, false] {
            for id in ids.iter().cycle().skip(first).take(ids.len()) {
                if let Some(flow) = self.flows.get_mut(id) {
                    flow.fill(endpoints, near_only, &mut budget);
                }
            }
        }
        budget
    }

    fn publish(&mut self, now: Stamp, endpoints: &mut Endpoints) {
        for (id, flow) in &mut self.flows {
            if let Err(error) = flow.publish(now, self.drained_at, endpoints) {
                tracing::warn!(source = %id.source, ssrc = %id.ssrc, %error, "the daemon forwards a stream itself");
                self.rest_until = Some(now.at + REST);
                flow.withdraw(now.at);
            }
        }
    }

    /// Ends what nothing is under way of any more.
    fn bury(&mut self, endpoints: &mut Endpoints) {
        let (drained_at, before) = (self.drained_at, self.flows.len());
        self.flows.retain(|_, flow| {
            let is_over = flow.is_over(drained_at);
            if is_over {
                flow.end(endpoints);
                self.by_number.remove(&flow.number());
            }
            !is_over
        });
        if self.flows.len() != before {
            self.changed();
        }
    }
}

fn link_of(endpoints: &mut Endpoints, id: EndpointId) -> Option<&mut Link> {
    endpoints.get_mut(&id)?.link.as_mut()
}

/// The opener of a publisher, if it still has this key.
pub(crate) fn opener_of<'a>(
    endpoints: &'a mut Endpoints,
    id: EndpointId,
    session: &Rc<SessionKey>,
) -> Option<&'a mut Opener> {
    let opener = &mut link_of(endpoints, id)?.opener;
    let has_key = opener.session().is_some_and(|own| Rc::ptr_eq(own, session));
    has_key.then_some(opener)
}

/// The sealer of a subscriber, if it still has this key.
pub(crate) fn sealer_of<'a>(
    endpoints: &'a mut Endpoints,
    id: EndpointId,
    session: &Rc<SessionKey>,
) -> Option<&'a mut Sealer> {
    let sealer = &mut link_of(endpoints, id)?.sealer;
    let has_key = sealer.session().is_some_and(|own| Rc::ptr_eq(own, session));
    has_key.then_some(sealer)
}
