//! How policy changes the forwarding state.

use super::Engine;
use crate::clock::Stamp;
use crate::command::{Command, Event};
use crate::endpoint::Link;
use crate::leg::Leg;
use crate::outbox::Outbox;
use crate::source::Source;
use crate::tap::Tap;
use lianmai_webrtc::media::Track;
use lianmai_webrtc::{EndpointId, SrtpKeys};
use std::net::SocketAddr;

impl Engine {
    pub(crate) fn apply(&mut self, now: Stamp, command: Command, out: &mut Outbox) {
        self.flows.changed();
        match command {
            Command::Connect {
                endpoint,
                remote,
                keys,
            } => self.connect(now, endpoint, remote.get(), &keys, out),
            Command::Resume { endpoint, .. } => {
                tracing::error!(%endpoint, "resumed after the start; it stays without media");
                self.tell(Event::NotResumed { endpoint });
            }
            Command::Move { endpoint, remote } => self.move_to(endpoint, remote.get()),
            Command::Publish { endpoint, tracks } => self.publish(now, endpoint, tracks),
            Command::Subscribe {
                endpoint,
                source,
                tracks,
            } => self.subscribe(now, endpoint, source, tracks, out),
            Command::Tap { source, host, socket } => {
                self.set_tap(now, source, Some(Tap::new(host, socket)), out);
            }
            Command::Untap { source } => self.set_tap(now, source, None, out),
            Command::Shown { source, shown } => self.set_shown(now, source, shown, out),
            Command::RequestKeyFrame { source } => self.request_key_frame(now, source, None, out),
            Command::Remove { endpoint } => self.remove(now, endpoint, out),
        }
    }

    fn connect(&mut self, now: Stamp, id: EndpointId, remote: SocketAddr, keys: &SrtpKeys, out: &mut Outbox) {
        let remote = canonical(remote);
        let link = self
            .endpoints
            .get(&id)
            .and_then(|endpoint| endpoint.link.as_ref());
        // What was sealed under a key is never forgotten while the key is in use.
        if link.is_some_and(|link| link.has_keys(keys)) {
            return self.move_to(id, remote);
        }
        match Link::new(id, remote, keys, &self.ledger) {
            Err(error) => tracing::error!(endpoint = %id, %error, "the endpoint stays without media"),
            Ok(link) => {
                self.leave_address(id);
                self.take_address(id, remote);
                self.endpoints.entry(id).or_default().link = Some(link);
                self.greet(now, id, out);
            }
        }
    }

    fn move_to(&mut self, id: EndpointId, remote: SocketAddr) {
        let remote = canonical(remote);
        if self
            .endpoints
            .get(&id)
            .is_none_or(|endpoint| endpoint.link.is_none())
        {
            return;
        }
        self.leave_address(id);
        self.take_address(id, remote);
        if let Some(link) = self
            .endpoints
            .get_mut(&id)
            .and_then(|endpoint| endpoint.link.as_mut())
        {
            link.remote = remote;
        }
    }

    fn publish(&mut self, now: Stamp, id: EndpointId, tracks: Vec<Track>) {
        let endpoint = self.endpoints.entry(id).or_default();
        let before = endpoint.source.take();
        let source = endpoint.source.insert(Source::new(now.at, id, tracks));
        if let Some(before) = before {
            (source.tap, source.shown) = (before.tap, before.shown);
        }
        for leg in self
            .legs
            .get(&id)
            .into_iter()
            .flatten()
            .copied()
            .collect::<Vec<_>>()
        {
            self.route(leg);
        }
    }

    fn subscribe(
        &mut self,
        now: Stamp,
        id: EndpointId,
        source: EndpointId,
        tracks: Vec<Track>,
        out: &mut Outbox,
    ) {
        let mut leg = Leg::new(now.at, source, tracks);
        if let Some(earlier) = self.leave_source(now, id) {
            leg.continue_from(earlier);
        }
        self.endpoints.entry(id).or_default().leg = Some(leg);
        self.legs.entry(source).or_default().push(id);
        self.route(id);
        self.greet(now, id, out);
    }

    fn set_tap(&mut self, now: Stamp, id: EndpointId, tap: Option<Tap>, out: &mut Outbox) {
        let Some(source) = self
            .endpoints
            .get_mut(&id)
            .and_then(|endpoint| endpoint.source.as_mut())
        else {
            tracing::debug!(source = %id, "no stream to tap");
            return;
        };
        source.tap = tap;
        source.shown = None;
        if let Some(tap) = &mut source.tap {
            if let Some(round_trip) = source.feedback.round_trip() {
                tap.send_round_trip(now.nanos, round_trip.least, &self.metrics);
            }
            self.request_key_frame(now, id, None, out);
        }
    }

    fn remove(&mut self, now: Stamp, id: EndpointId, out: &mut Outbox) {
        self.say_goodbye(id, out);
        self.leave_source(now, id);
        self.leave_address(id);
        self.endpoints.remove(&id);
        for leg in self.legs.get(&id).into_iter().flatten() {
            if let Some(leg) = self
                .endpoints
                .get_mut(leg)
                .and_then(|endpoint| endpoint.leg.as_mut())
            {
                leg.unroute();
            }
        }
    }

    /// A leg that now has both keys and a stream starts with a key frame.
    fn greet(&mut self, now: Stamp, id: EndpointId, out: &mut Outbox) {
        let Some(endpoint) = self.endpoints.get(&id) else {
            return;
        };
        let (Some(_), Some(leg)) = (&endpoint.link, &endpoint.leg) else {
            return;
        };
        let source = leg.source();
        self.request_key_frame(now, source, None, out);
    }

    /// Fits a leg to what its source publishes.
    fn route(&mut self, id: EndpointId) {
        let Some(mut leg) = self
            .endpoints
            .get_mut(&id)
            .and_then(|endpoint| endpoint.leg.take())
        else {
            return;
        };
        match self
            .endpoints
            .get(&leg.source())
            .and_then(|endpoint| endpoint.source.as_ref())
        {
            Some(source) => leg.route(source.tracks()),
            None => leg.unroute(),
        }
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.leg = Some(leg);
        }
    }

    fn leave_source(&mut self, now: Stamp, id: EndpointId) -> Option<Leg> {
        let leg = self.endpoints.get_mut(&id)?.leg.take()?;
        let source = leg.source();
        if let Some(legs) = self.legs.get_mut(&source) {
            legs.retain(|leg| *leg != id);
            if legs.is_empty() {
                self.legs.remove(&source);
            }
        }
        let is_watched = self.legs.contains_key(&source);
        if let Some(source) = self
            .endpoints
            .get_mut(&source)
            .and_then(|endpoint| endpoint.source.as_mut())
        {
            source.weakest.remove(now.at, id);
            source.allow(now.at, is_watched);
        }
        Some(leg)
    }

    pub(super) fn leave_address(&mut self, id: EndpointId) {
        let Some(link) = self
            .endpoints
            .get(&id)
            .and_then(|endpoint| endpoint.link.as_ref())
        else {
            return;
        };
        if self.by_remote.get(&link.remote) == Some(&id) {
            self.by_remote.remove(&link.remote);
        }
    }

    /// An address has one endpoint. Another one that had it is gone: its keys do not fit what comes from there.
    pub(super) fn take_address(&mut self, id: EndpointId, remote: SocketAddr) {
        let Some(before) = self.by_remote.insert(remote, id).filter(|before| *before != id) else {
            return;
        };
        if let Some(endpoint) = self.endpoints.get_mut(&before) {
            endpoint.link = None;
        }
    }
}

/// As the socket reports addresses: one that IPv6 only carries is an IPv4 address.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
