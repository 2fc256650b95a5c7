//! Everything that a plane does with packets, without sockets and clocks.

mod adoption;
mod commands;
mod control;
mod copies;
#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod lab;
mod media;
mod shown;
#[cfg(test)]
mod tests;

use crate::clock::Stamp;
use crate::command::Event;
use crate::endpoint::{Endpoint, Heard, Link};
use crate::flows::{Endpoints, Flows, Subscribers};
use crate::metrics::{DropReason, Metrics};
use crate::outbox::Outbox;
use crate::snapshot::{EndpointStats, Snapshot};
use crate::srtp::Refused;
use lianmai_fanout::demux::Protocol;
use lianmai_kernel::Ledger;
use lianmai_webrtc::EndpointId;
use rustc_hash::FxHashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the estimates of legs are compared.
const COMPARE_INTERVAL: Duration = Duration::from_millis(200);

/// The forwarding state.
pub(crate) struct Engine {
    endpoints: Endpoints,
    /// Validated addresses only.
    by_remote: FxHashMap<SocketAddr, EndpointId>,
    /// The legs of each source, whether it publishes yet or not.
    legs: Subscribers,
    /// What the kernel forwards; nothing, without one.
    flows: Flows,
    /// When the daemon last sealed for a leg from a copy of the kernel's.
    served_from_copy_at: Option<Instant>,
    /// When this process went on with what another left, as long as some of that may be under way.
    resumed_at: Option<Instant>,
    ledger: Ledger,
    metrics: Metrics,
    events: mpsc::Sender<Event>,
    /// A packet on its way from one seal to the next.
    scratch: Vec<u8>,
    compared_at: Option<Instant>,
}

impl Engine {
    pub(crate) fn new(ledger: Ledger, metrics: Metrics, events: mpsc::Sender<Event>) -> Self {
        Self {
            endpoints: Endpoints::new(),
            by_remote: FxHashMap::default(),
            legs: Subscribers::new(),
            flows: Flows::default(),
            served_from_copy_at: None,
            resumed_at: None,
            ledger,
            metrics,
            events,
            scratch: Vec::new(),
            compared_at: None,
        }
    }

    /// Whether there is nothing to do until a command comes.
    pub(crate) fn is_idle(&self) -> bool {
        self.endpoints.is_empty() && self.flows.is_empty()
    }

    /// An SRTP or SRTCP datagram arrived.
    pub(crate) fn on_datagram(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        from: SocketAddr,
        protocol: Protocol,
        datagram: &[u8],
        out: &mut Outbox,
    ) {
        let Some(&endpoint) = self.by_remote.get(&from) else {
            self.metrics.dropped.inc(DropReason::UnknownAddress);
            return;
        };
        let handled = match protocol {
            Protocol::Rtp => self.on_rtp(now, arrival, endpoint, datagram, out),
            Protocol::Rtcp => self.on_rtcp(now, arrival, endpoint, datagram, out),
            Protocol::Stun | Protocol::Dtls | Protocol::Other => Err(DropReason::NotServed),
        };
        if let Err(reason) = handled {
            self.metrics.dropped.inc(reason);
        }
    }

    /// Time went on.
    pub(crate) fn on_tick(&mut self, now: Stamp, out: &mut Outbox) {
        if self
            .compared_at
            .is_none_or(|at| now.at.saturating_duration_since(at) >= COMPARE_INTERVAL)
        {
            self.compared_at = Some(now.at);
            self.compare_legs(now.at);
            self.hold_unwatched(now.at);
        }
        for endpoint in self.ids() {
            self.time_out_source(now, endpoint, out);
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let (packets_in, packets_out) = self.metrics.totals();
        let endpoints = self
            .endpoints
            .iter()
            .map(|(&id, endpoint)| self.stats(id, endpoint))
            .collect();
        Snapshot {
            endpoints,
            packets_in,
            packets_out,
            transit: self.metrics.transit.times(),
        }
    }

    fn stats(&self, id: EndpointId, endpoint: &Endpoint) -> EndpointStats {
        let mut stats = endpoint.stats(id);
        for track in stats.source.iter_mut().flat_map(|source| &mut source.tracks) {
            track.kernel = track.ssrc.and_then(|ssrc| self.flows.stats(id, ssrc));
        }
        stats
    }

    fn ids(&self) -> Vec<EndpointId> {
        self.endpoints.keys().copied().collect()
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.metrics.dropped.inc(DropReason::EventQueueFull);
        }
    }

    fn tell_heard(&self, endpoint: EndpointId, heard: Heard) {
        match heard {
            Heard::First => self.tell(Event::MediaStarted { endpoint }),
            Heard::Again => self.tell(Event::Alive { endpoint }),
            Heard::Quiet => {}
        }
    }
}

/// The link of an endpoint that a packet came from.
fn link(endpoint: &mut Endpoint) -> Result<&mut Link, DropReason> {
    endpoint.link.as_mut().ok_or(DropReason::UnknownAddress)
}

impl From<Refused> for DropReason {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooShort => Self::Malformed,
            Refused::Replayed => Self::Replayed,
            Refused::Forged => Self::Forged,
            Refused::Unencrypted => Self::Unencrypted,
            Refused::TooManyStreams => Self::TooManyStreams,
        }
    }
}
