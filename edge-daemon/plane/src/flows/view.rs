//! What the programs would find of a flow in their maps.

use super::flow::Flow;
use super::{FanLeg, FlowId, Flows};
use crate::srtp::{SessionKey, TokenRing};
use lianmai_fanout::records;
use lianmai_kernel::PeerSlot;
use std::net::SocketAddr;
use std::rc::Rc;

/// One stream, at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) number: u32,
    pub(crate) remote: SocketAddr,
    pub(crate) session: Rc<SessionKey>,
    pub(crate) tokens: Rc<TokenRing>,
    pub(crate) highest: u64,
    pub(crate) ready_until: u64,
    pub(crate) fan: u64,
    pub(crate) legs: Vec<ViewLeg>,
}

/// One of its leg records.
#[derive(Clone)]
pub(crate) struct ViewLeg {
    pub(crate) leg: FanLeg,
    pub(crate) record: records::Leg,
    pub(crate) peer: Rc<PeerSlot>,
}

impl Flows {
    /// A stream that the kernel forwards.
    pub(crate) fn view(&self, id: FlowId) -> Option<View> {
        self.flows
            .get(&id)
            .filter(|flow| flow.is_running())
            .map(Flow::view)
    }

    /// Has a flow ask for deeper rings, as a stream that is too fast for those that it has does.
    pub(crate) fn deepen(&mut self, id: FlowId) {
        let flow = self.flows.get_mut(&id).expect("a flow");
        let depth = flow.depth() * 2;
        flow.deepen(depth);
        self.changed();
    }

    /// Flows that are offered, running or withdrawn.
    pub(crate) fn count(&self) -> usize {
        self.flows.len()
    }
}
