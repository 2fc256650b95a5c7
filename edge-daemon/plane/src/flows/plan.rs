//! Which flows there should be, by what the endpoints are at this moment.

use super::{Endpoints, FlowId, Ground, Subscribers};
use crate::endpoint::{Endpoint, Link};
use crate::srtp::SessionKey;
use lianmai_fanout::records::MAX_LEGS;
use lianmai_fanout::{LegHeader, SequenceNumber, Ssrc};
use lianmai_kernel::{FrameHeader, PeerSlot};
use lianmai_webrtc::EndpointId;
use lianmai_webrtc::media::Kind;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

/// One flow that should be: a stream of a publisher that we can verify, and legs that the kernel can reach.
pub(crate) struct Plan {
    pub(crate) remote: SocketAddr,
    pub(crate) track: usize,
    pub(crate) kind: Kind,
    pub(crate) session: Rc<SessionKey>,
    /// The newest packet index.
    pub(crate) highest: u64,
    /// Never empty: without a leg in the kernel a detour through it would only delay packets.
    pub(crate) legs: Vec<PlannedLeg>,
}

/// One leg that the kernel should seal for.
#[derive(Clone)]
pub(crate) struct PlannedLeg {
    pub(crate) id: EndpointId,
    pub(crate) session: Rc<SessionKey>,
    /// The leg's index of the publisher's newest packet.
    pub(crate) highest: u64,
    pub(crate) header: LegHeader,
    pub(crate) frame: FrameHeader,
    pub(crate) peer: Rc<PeerSlot>,
}

/// All flows that should be.
pub(crate) fn all(
    endpoints: &mut Endpoints,
    subscribers: &Subscribers,
    ground: &mut dyn Ground,
) -> BTreeMap<FlowId, Plan> {
    let mut plans = BTreeMap::new();
    for (&source, legs) in subscribers {
        legs.iter().for_each(|leg| share_numbers(endpoints, *leg, ground));
        let Some((link, streams)) = published(endpoints, source) else {
            continue;
        };
        for stream in streams {
            let Some(highest) = link.opener.highest(stream.ssrc) else {
                continue;
            };
            let Some(session) = link.opener.session() else {
                continue;
            };
            let reachable = legs.iter().filter_map(|leg| {
                let endpoint = endpoints.get(leg)?;
                planned_leg(*leg, endpoint, &stream, highest, ground)
            });
            let legs: Vec<PlannedLeg> = reachable.take(MAX_LEGS as usize).collect();
            if legs.is_empty() {
                continue;
            }
            let plan = Plan {
                remote: link.remote,
                track: stream.track,
                kind: stream.kind,
                session: Rc::clone(session),
                highest,
                legs,
            };
            plans.insert(
                FlowId {
                    source,
                    ssrc: stream.ssrc,
                },
                plan,
            );
        }
    }
    plans
}

/// One stream that was heard.
struct Heard {
    ssrc: Ssrc,
    track: usize,
    kind: Kind,
}

fn published(endpoints: &Endpoints, source: EndpointId) -> Option<(&Link, Vec<Heard>)> {
    let endpoint = endpoints.get(&source)?;
    let (link, source) = (endpoint.link.as_ref()?, endpoint.source.as_ref()?);
    let heard = source.media_ssrcs().filter_map(|(track, ssrc)| {
        let kind = source.tracks().nth(track)?.kind;
        Some(Heard { ssrc, track, kind })
    });
    Some((link, heard.collect()))
}

/// A leg takes its numbers from the kernel's counter from the first packet on, or never: no number is used twice.
fn share_numbers(endpoints: &mut Endpoints, leg: EndpointId, ground: &mut dyn Ground) {
    let Some(endpoint) = endpoints.get_mut(&leg) else {
        return;
    };
    let (Some(link), Some(leg)) = (&endpoint.link, &mut endpoint.leg) else {
        return;
    };
    if link.sealer.session().is_some() {
        leg.share_numbers(ground.maps());
        if let Some(peer) = leg.shared_numbers() {
            link.note_peer(peer);
        }
    }
}

fn planned_leg(
    id: EndpointId,
    endpoint: &Endpoint,
    stream: &Heard,
    highest: u64,
    ground: &mut dyn Ground,
) -> Option<PlannedLeg> {
    let (link, leg) = (endpoint.link.as_ref()?, endpoint.leg.as_ref()?);
    let session = link.sealer.session()?;
    let header = leg.header_of(stream.track)?;
    let peer = leg.shared_numbers()?;
    // A leg's first packet says with which sequence number its receiver begins, so it is the daemon that sends it.
    let highest = link.sealer.nearest(stream.ssrc, SequenceNumber(highest as u16))?;
    let frame = ground.frame_header(link.remote)?;
    Some(PlannedLeg {
        id,
        session: Rc::clone(session),
        highest,
        header,
        frame,
        peer: Rc::clone(peer),
    })
}
