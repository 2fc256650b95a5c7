//! Flows of an earlier process, which the kernel forwards while nobody drives it.

use super::burst::Burst;
use super::cursor::Cursor;
use super::depth::{self, Rate};
use super::fans::{FanLeg, Fans};
use super::flow::{Flow, State};
use super::leg::FlowLeg;
use super::plan::{self, Plan};
use super::{Endpoints, FlowId, Flows, Ground, Subscribers};
use crate::endpoint::{Link, Noted};
use crate::srtp::Whereabouts;
use lianmai_fanout::records;
use lianmai_kernel::Maps;
use std::rc::Rc;
use std::time::Instant;

impl Flows {
    /// Takes over all flows that should be and are there. Says how many.
    pub(crate) fn adopt(
        &mut self,
        now: Instant,
        endpoints: &mut Endpoints,
        subscribers: &Subscribers,
        ground: &mut dyn Ground,
    ) -> usize {
        for (id, plan) in plan::all(endpoints, subscribers, ground) {
            let Some(found) = whereabouts(endpoints, id) else {
                continue;
            };
            match Flow::adopt(now, id, &plan, found, endpoints, ground.maps()) {
                Some(flow) => {
                    self.by_number.insert(flow.number(), id);
                    self.flows.insert(id, flow);
                }
                None => {
                    tracing::warn!(source = %id.source, ssrc = %id.ssrc, "a stream starts again in the kernel");
                }
            }
        }
        self.flows.len()
    }

    /// Whether some flow has this ring of pads.
    pub(crate) fn has_pads(&self, ring: u32) -> bool {
        let legs = self.flows.values().flat_map(|flow| &flow.legs);
        legs.into_iter().any(|leg| leg.ring().pads().id() == ring)
    }

    /// Whether some flow has this stream.
    pub(crate) fn has(&self, id: FlowId) -> bool {
        self.flows.contains_key(&id)
    }
}

fn whereabouts(endpoints: &Endpoints, id: FlowId) -> Option<Whereabouts> {
    let link = endpoints.get(&id.source)?.link.as_ref()?;
    link.opener
        .whereabouts()
        .find_map(|(ssrc, found)| (ssrc == id.ssrc).then_some(found))
}

impl Flow {
    fn adopt(
        now: Instant,
        id: FlowId,
        plan: &Plan,
        found: Whereabouts,
        endpoints: &Endpoints,
        maps: &mut Maps,
    ) -> Option<Self> {
        let link = endpoints.get(&id.source)?.link.as_ref()?;
        let tokens = Rc::clone(link.opener.tokens(id.ssrc)?);
        let table = link.table(Noted::InboundTable)?;
        let stream = maps
            .adopt_stream(found.stream, tokens.tokens(), &table)
            .inspect_err(|error| tracing::debug!(%error, stream = found.stream, "not adopted"))
            .ok()?;
        let records = stream.legs();
        let legs: Vec<FlowLeg> = records
            .iter()
            .filter_map(|record| adopted_leg(id, plan, *record, endpoints))
            .collect();
        let in_fan: Vec<(records::Leg, FanLeg)> = legs.iter().map(FlowLeg::in_fan).collect();
        // A fan with a leg that is nobody's any more is set anew.
        let fans = if legs.len() == records.len() {
            Fans::adopted(&stream, in_fan)
        } else {
            Fans::default()
        };
        Some(Self {
            id,
            track: plan.track,
            session: Rc::clone(&plan.session),
            remote: plan.remote,
            burst: Burst::new(now, stream.packets()),
            stream,
            table,
            cursor: Cursor::of(tokens.tokens().len(), tokens.tokens().newest()),
            tokens,
            highest: plan.highest,
            pace: 0,
            depth: legs
                .iter()
                .map(FlowLeg::depth)
                .max()
                .unwrap_or(depth::first(plan.kind)),
            legs,
            fans,
            rate: Rate::new(now, plan.highest),
            state: State::Running { renewed: None },
            has_news: true,
            taken: 0,
            rests_until: None,
        })
    }
}

/// The leg of which the kernel has this record.
fn adopted_leg(id: FlowId, plan: &Plan, record: records::Leg, endpoints: &Endpoints) -> Option<FlowLeg> {
    let is_it = |link: &Link| link.sealer.ring(id.ssrc, record.pads).is_some();
    let mut linked = endpoints
        .iter()
        .filter_map(|(leg, endpoint)| Some((*leg, endpoint.link.as_ref()?, endpoint.leg.as_ref()?)));
    let (leg, link, subscriber) = linked.find(|(_, link, _)| is_it(link))?;
    let is_planned = plan.legs.iter().any(|planned| planned.id == leg);
    FlowLeg::adopt(
        id.ssrc,
        leg,
        link,
        subscriber.shared_numbers()?,
        record,
        is_planned,
    )
}
