//! One flow: a stream of a publisher on its way through the kernel.

use super::burst::Burst;
use super::cursor::Cursor;
use super::depth::{Rate, tokens_for};
use super::fans::{FanLeg, Fans};
use super::filling::Limit;
use super::leg::FlowLeg;
use super::plan::Plan;
use super::{Endpoints, FlowId, GRACE, opener_of};
use crate::clock::Stamp;
use crate::snapshot::FlowStats;
use crate::srtp::{SessionKey, TokenRing};
use lianmai_kernel::{Maps, NoRoom, NotAnnounced, StreamSlot, TableSlot, stream_key};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// For how long the kernel forwards a stream without hearing from us.
const LIFETIME: Duration = Duration::from_secs(20);

/// How often it hears from us.
const RENEWAL: Duration = Duration::from_secs(1);

/// A flow of which the kernel takes no packet is looked at after this long: the daemon may have taken some.
const REST: Duration = Duration::from_millis(50);

/// A stream in the kernel.
pub(crate) struct Flow {
    pub(super) id: FlowId,
    pub(crate) track: usize,
    pub(crate) session: Rc<SessionKey>,
    pub(super) remote: SocketAddr,
    pub(super) stream: StreamSlot,
    pub(super) tokens: Rc<TokenRing>,
    pub(super) table: Rc<TableSlot>,
    pub(super) cursor: Cursor,
    pub(super) highest: u64,
    /// How far the stream got since the last turn.
    pub(super) pace: u64,
    /// Slots that each ring of pads should have.
    pub(super) depth: u32,
    pub(crate) legs: Vec<FlowLeg>,
    pub(super) fans: Fans,
    pub(super) rate: Rate,
    pub(super) burst: Burst,
    pub(super) state: State,
    /// Whether the kernel has yet to hear of a leg.
    pub(super) has_news: bool,
    /// Packets that the kernel took when this was looked at last.
    pub(super) taken: u64,
    /// Until when there is nothing to do unless the kernel takes a packet.
    pub(super) rests_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its rings are being filled; the kernel does not know of it.
    Offered,
    /// The kernel forwards it, and heard of us last then; `None` is from an earlier process.
    Running { renewed: Option<Instant> },
    /// The kernel has forgotten it, but programs and copies may be under way.
    Withdrawn { since: Instant },
}

impl Flow {
    /// Empty rings for all legs of the plan that there is room for.
    pub(crate) fn offer(
        now: Instant,
        id: FlowId,
        depth: u32,
        plan: &Plan,
        endpoints: &mut Endpoints,
        maps: &mut Maps,
    ) -> Result<Option<Self>, NoRoom> {
        let Some(link) = endpoints
            .get_mut(&id.source)
            .and_then(|endpoint| endpoint.link.as_mut())
        else {
            return Ok(None);
        };
        // An earlier process had a ring of it, and programs may still be using that.
        if link.opener.tokens(id.ssrc).is_some() {
            return Ok(None);
        }
        let table = link.inbound_table(&plan.session, maps)?;
        let tokens = maps.tokens(depth.max(tokens_for(plan.kind)))?;
        let tokens = Rc::new(TokenRing::new(tokens));
        let mut stream = maps.stream()?;
        stream.describe(tokens.tokens(), &table);
        link.opener
            .share(id.ssrc, Rc::clone(&tokens), stream.number(), plan.track);
        let mut flow = Self {
            id,
            track: plan.track,
            session: Rc::clone(&plan.session),
            remote: plan.remote,
            stream,
            table,
            cursor: Cursor::new(tokens.tokens().len(), plan.highest),
            tokens,
            highest: plan.highest,
            pace: 0,
            depth,
            legs: Vec::new(),
            fans: Fans::default(),
            rate: Rate::new(now, plan.highest),
            burst: Burst::new(now, 0),
            state: State::Offered,
            has_news: true,
            taken: 0,
            rests_until: None,
        };
        // A leg without room stays with the daemon; the flow asks again for it.
        let _ = flow.follow(plan, endpoints, maps);
        Ok(Some(flow))
    }

    /// Whether the plan is for the stream that this flow carries, under the same key.
    pub(crate) fn fits(&self, plan: &Plan) -> bool {
        Rc::ptr_eq(&self.session, &plan.session) && !self.is_withdrawn()
    }

    /// Takes over what changed: addresses, legs, how they number the stream.
    pub(crate) fn follow(
        &mut self,
        plan: &Plan,
        endpoints: &mut Endpoints,
        maps: &mut Maps,
    ) -> Result<(), NoRoom> {
        self.rests_until = None;
        self.track = plan.track;
        self.remote = plan.remote;
        for leg in &mut self.legs {
            let planned = plan.legs.iter().find(|planned| leg.is(planned));
            self.has_news |= leg.follow(planned);
        }
        for leg in &mut self.legs {
            leg.deepen(self.highest, self.depth, endpoints, maps)?;
        }
        for planned in &plan.legs {
            if self.legs.iter().any(|leg| leg.is(planned)) {
                continue;
            }
            let leg = FlowLeg::new(self.id.ssrc, plan.highest, self.depth, planned, endpoints, maps)?;
            self.legs.extend(leg);
            self.has_news = true;
        }
        Ok(())
    }

    /// Asks for deeper rings of pads: with the next plan that it follows they begin to be filled, while the kernel goes on with
    /// those that it has. Says whether the tokens reach as far.
    pub(crate) fn deepen(&mut self, depth: u32) -> bool {
        let is_possible = depth <= self.tokens.tokens().len();
        if is_possible {
            self.depth = depth;
        }
        is_possible
    }

    /// Has the kernel forget the stream.
    pub(crate) fn withdraw(&mut self, now: Instant) {
        if !self.is_withdrawn() {
            self.stream.withdraw();
            self.state = State::Withdrawn { since: now };
        }
    }

    pub(crate) const fn is_withdrawn(&self) -> bool {
        matches!(self.state, State::Withdrawn { .. })
    }

    pub(crate) const fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether nothing of it can be under way: a grace after the end, with all copies since taken.
    pub(crate) fn is_over(&self, drained_at: Option<Instant>) -> bool {
        match self.state {
            State::Withdrawn { since } => drained_at.is_some_and(|drained| drained >= since + GRACE),
            State::Offered | State::Running { .. } => false,
        }
    }

    /// Shows the kernel what there is by now. `Err` if it does not take the stream.
    pub(crate) fn publish(
        &mut self,
        now: Stamp,
        drained_at: Option<Instant>,
        endpoints: &mut Endpoints,
    ) -> Result<(), NotAnnounced> {
        if self.is_withdrawn() || self.rests_until.is_some() {
            return Ok(());
        }
        self.fans.settle(drained_at);
        self.drop_legs(endpoints);
        self.switch();
        if !self.is_running() && !self.is_ready() {
            return Ok(());
        }
        // The legs that join may have less than those before: the kernel hears of that first.
        self.stream.set_ready_until(self.ready_until());
        if self.has_news {
            let legs: Vec<_> = self.ready_legs().map(FlowLeg::in_fan).collect();
            let are_all = legs.len() == self.legs.iter().filter(|leg| leg.wanted).count();
            let is_set = self.fans.set(now.at, &mut self.stream, legs);
            self.has_news = !(is_set && are_all);
        }
        self.rests_until = self.is_served().then(|| now.at + REST);
        self.renew(now)
    }

    /// Whether the kernel has all that it is to have, and nothing is under way.
    fn is_served(&self) -> bool {
        let is_leg_served = |leg: &FlowLeg| leg.wanted && !leg.is_deepening();
        let everything = Limit::everything(self.highest);
        self.is_running()
            && !self.has_news
            && self.fans.are_settled()
            && self.legs.iter().all(is_leg_served)
            && self.next(everything).is_none()
    }

    /// Goes over to deeper rings, all at once, and only when the kernel can be told at once.
    fn switch(&mut self) {
        if !self.fans.are_settled() || self.legs.iter().any(FlowLeg::is_deepening) {
            return;
        }
        for leg in &mut self.legs {
            self.has_news |= leg.switch();
        }
    }

    fn renew(&mut self, now: Stamp) -> Result<(), NotAnnounced> {
        match self.stream.announce(stream_key(self.remote, self.id.ssrc)) {
            Ok(()) => {}
            Err(NotAnnounced::NotInstalled) => return Ok(()),
            Err(error) => return Err(error),
        }
        let is_due = match self.state {
            State::Running { renewed } => {
                renewed.is_none_or(|renewed| now.at.saturating_duration_since(renewed) >= RENEWAL)
            }
            State::Offered => true,
            State::Withdrawn { .. } => false,
        };
        if is_due {
            let lifetime = u64::try_from(LIFETIME.as_nanos()).unwrap_or(u64::MAX);
            self.stream.renew(now.nanos.saturating_add(lifetime));
            self.state = State::Running {
                renewed: Some(now.at),
            };
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.cursor.next >= self.near()
            && self.tokens.tokens().is_installed()
            && self.table.is_installed()
            && self.ready_legs().next().is_some()
    }

    fn ready_legs(&self) -> impl Iterator<Item = &FlowLeg> {
        let until = self.near();
        let wanted = self.legs.iter().filter(|leg| leg.wanted);
        wanted.filter(move |leg| self.fans.uses(leg.ring()) || leg.is_ready(until))
    }

    fn ready_until(&self) -> u64 {
        let legs = self.ready_legs().map(FlowLeg::end_of_pads);
        legs.fold(self.cursor.next, u64::min)
    }

    /// Ends the rings of legs that no packet can go to any more.
    fn drop_legs(&mut self, endpoints: &mut Endpoints) {
        let fans = &self.fans;
        self.legs.retain_mut(|leg| {
            leg.drop_before(|ring| fans.uses(ring), endpoints);
            let stays = leg.wanted || leg.is_used(|ring| fans.uses(ring));
            if !stays {
                leg.end(endpoints);
            }
            stays
        });
    }

    /// Ends all rings.
    pub(crate) fn end(&self, endpoints: &mut Endpoints) {
        self.legs.iter().for_each(|leg| leg.end(endpoints));
        let Some(opener) = opener_of(endpoints, self.id.source, &self.session) else {
            return;
        };
        for index in self.cursor.slots() {
            if self.tokens.retire(index) {
                opener.taken(self.id.ssrc, index);
            }
        }
        opener.unshare(self.id.ssrc);
    }

    pub(crate) fn number(&self) -> u32 {
        self.stream.number()
    }

    /// Slots of each ring of pads that the kernel has.
    pub(crate) fn depth(&self) -> u32 {
        let wanted = self.legs.iter().filter(|leg| leg.wanted);
        wanted.map(FlowLeg::depth).min().unwrap_or(self.depth)
    }

    /// The legs that a copy went to. One of a fan that is not known went to any.
    pub(crate) fn legs_of(&self, fan: u64) -> Rc<[FanLeg]> {
        match self.fans.legs_of(fan) {
            Some(legs) => Rc::clone(legs),
            None => self.legs.iter().map(|leg| leg.in_fan().1).collect(),
        }
    }

    pub(crate) fn stats(&self) -> FlowStats {
        FlowStats {
            legs: self.fans.current().len(),
            depth: self.depth(),
            packets: self.stream.packets(),
            bytes: self.stream.bytes(),
        }
    }
}

#[cfg(test)]
impl Flow {
    pub(crate) fn view(&self) -> super::View {
        let in_fan = self.fans.current().iter().zip(self.fans.records());
        let legs = in_fan.filter_map(|(in_fan, record)| {
            let leg = self
                .legs
                .iter()
                .find(|leg| Rc::ptr_eq(leg.ring(), &in_fan.ring))?;
            Some(super::view::ViewLeg {
                leg: in_fan.clone(),
                record: *record,
                peer: Rc::clone(leg.peer()),
            })
        });
        super::View {
            number: self.number(),
            remote: self.remote,
            session: Rc::clone(&self.session),
            tokens: Rc::clone(&self.tokens),
            highest: self.highest,
            ready_until: self.ready_until(),
            fan: self.stream.fan().to_word(),
            legs: legs.collect(),
        }
    }
}
