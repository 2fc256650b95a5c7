//! The media side of the rooms: answers offers, and keeps transport and plane in step with what was negotiated.

use crate::command::apply;
use crate::handover::{Flow, Peer};
use crate::plane::Plane;
use lianmai_plane::{Command, PlaneHandle};
use lianmai_room::{Candidate, IcePatch, MediaError, Negotiated, Negotiator};
use lianmai_webrtc::media::Track;
use lianmai_webrtc::sdp::{self, Answer, Fragment, Local, Offer, SdpError};
use lianmai_webrtc::{
    Credentials, EndpointId, Fingerprint, LostReason, SavedEndpoint, SrtpProfile, TransportEvent,
    TransportHandle,
};
use prometheus_client::metrics::gauge::Gauge;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// PeerConnections at a time.
const MAX_ENDPOINTS: usize = 16_384;

/// What the media side is made of.
pub(crate) struct MediaSetup {
    /// ICE and DTLS.
    pub(crate) transport: TransportHandle,
    /// The data plane.
    pub(crate) plane: PlaneHandle,
    /// Which one that is, and why.
    pub(crate) chosen: Plane,
    /// Our certificate's fingerprint.
    pub(crate) fingerprint: Fingerprint,
    /// Where the media port can be reached.
    pub(crate) candidates: Vec<SocketAddr>,
    /// Secret randomness of credentials.
    pub(crate) seed: [u8; 32],
}

/// All PeerConnections.
pub(super) struct Media {
    setup: MediaSetup,
    random: StdRng,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    connected: Gauge,
}

/// One PeerConnection.
#[derive(Debug)]
pub(super) struct Endpoint {
    peer: Peer,
    pub(super) state: State,
}

impl Endpoint {
    /// As an earlier process left it. Transport and plane have it already.
    fn restored(peer: Peer) -> Self {
        let state = match peer.transport.connection() {
            Some(_) => State::Connected,
            // Whether a check had come does not matter: the handshake begins anew.
            None => State::New,
        };
        Self { peer, state }
    }

    /// What its media is protected with.
    pub(super) fn srtp(&self) -> Option<SrtpProfile> {
        let (_, keys) = self.peer.transport.connection()?;
        Some(keys.profile)
    }

    /// Where its media comes from and goes to.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        let (remote, _) = self.peer.transport.connection()?;
        Some(remote.get())
    }
}

/// How far a PeerConnection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    New,
    Checking,
    Connected,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
        }
    }
}

impl Media {
    pub(super) fn new(setup: MediaSetup, connected: Gauge) -> Self {
        let random = StdRng::from_seed(setup.seed);
        Self {
            setup,
            random,
            endpoints: BTreeMap::new(),
            connected,
        }
    }

    /// Takes over the PeerConnections of an earlier process, which transport and plane were told of.
    pub(super) fn restore(&mut self, peers: Vec<Peer>) {
        for peer in peers {
            let endpoint = peer.transport.endpoint();
            let restored = Endpoint::restored(peer);
            if restored.state == State::Connected {
                self.connected.inc();
            }
            self.endpoints.insert(endpoint, restored);
        }
    }

    /// All PeerConnections, for a later process.
    pub(super) fn save(&self) -> Vec<Peer> {
        self.endpoints
            .values()
            .map(|endpoint| endpoint.peer.clone())
            .collect()
    }

    pub(super) fn plane(&self) -> &PlaneHandle {
        &self.setup.plane
    }

    pub(super) const fn chosen(&self) -> &Plane {
        &self.setup.chosen
    }

    pub(super) fn endpoints(&self) -> &BTreeMap<EndpointId, Endpoint> {
        &self.endpoints
    }

    /// How many PeerConnections have their keys.
    pub(super) fn connected(&self) -> u64 {
        u64::try_from(self.connected.get()).unwrap_or(0)
    }

    /// What an endpoint was settled to carry.
    pub(super) fn tracks(&self, endpoint: EndpointId) -> &[Track] {
        self.endpoints
            .get(&endpoint)
            .map_or(&[], |endpoint| endpoint.peer.flow.tracks())
    }

    /// Media passed authentication: as good as a check (RFC 7675 §5.1 asks for STUN; an open call must not end on it).
    pub(super) fn alive(&self, endpoint: EndpointId) {
        self.setup.transport.media_alive(endpoint);
    }

    /// Takes note of what ICE and DTLS did; returns an endpoint that is lost, which the rooms must release.
    pub(super) fn transport(&mut self, event: TransportEvent) -> Option<(EndpointId, LostReason)> {
        match event {
            TransportEvent::Checking { endpoint } => {
                self.update(endpoint, |endpoint| endpoint.state = State::Checking);
            }
            TransportEvent::Connected {
                endpoint,
                remote,
                keys,
                ..
            } => {
                let connected = self.connected.clone();
                self.update(endpoint, |endpoint| {
                    // A new association of a connected endpoint is no new endpoint.
                    if endpoint.state != State::Connected {
                        connected.inc();
                    }
                    endpoint.state = State::Connected;
                    endpoint.peer.transport.connected(remote, keys.clone());
                });
                apply(
                    &self.setup.plane,
                    Command::Connect {
                        endpoint,
                        remote,
                        keys,
                    },
                );
            }
            TransportEvent::Moved { endpoint, remote } => {
                self.update(endpoint, |endpoint| endpoint.peer.transport.moved(remote));
                apply(&self.setup.plane, Command::Move { endpoint, remote });
            }
            TransportEvent::Lost { endpoint, reason } => return Some((endpoint, reason)),
        }
        None
    }

    fn update(&mut self, endpoint: EndpointId, change: impl FnOnce(&mut Endpoint)) {
        if let Some(endpoint) = self.endpoints.get_mut(&endpoint) {
            change(endpoint);
        }
    }

    fn local(&mut self) -> Result<Local, MediaError> {
        if self.endpoints.len() >= MAX_ENDPOINTS {
            return Err(MediaError::Endpoint(format!(
                "{MAX_ENDPOINTS} are open, the most that this edge allows"
            )));
        }
        Ok(Local {
            session_id: self.random.random::<u64>() >> 2,
            ice: Credentials::random(&mut self.random),
            fingerprint: self.setup.fingerprint.clone(),
            candidates: self.setup.candidates.clone(),
            rtx_ssrc: lianmai_fanout::Ssrc(self.random.random()),
        })
    }

    fn open(
        &mut self,
        endpoint: EndpointId,
        local: Local,
        source: Option<EndpointId>,
        answer: Answer,
    ) -> Negotiated {
        self.setup
            .transport
            .add(endpoint, local.ice.clone(), answer.remote.clone());
        let (tracks, loopback) = (answer.tracks, answer.loopback);
        let opened = Endpoint {
            peer: Peer {
                transport: SavedEndpoint::new(endpoint, local.ice, answer.remote),
                flow: match source {
                    None => Flow::Publish { tracks, loopback },
                    Some(source) => Flow::Subscribe { source, tracks },
                },
            },
            state: State::New,
        };
        self.endpoints.insert(endpoint, opened);
        // The answer holds our candidates, and an ICE-lite agent has no others.
        Negotiated {
            answer: answer.sdp,
            candidates: Vec::new(),
        }
    }
}

impl Negotiator for Media {
    fn publish(
        &mut self,
        endpoint: EndpointId,
        offer: &str,
        loopback: bool,
    ) -> Result<Negotiated, MediaError> {
        let offer = Offer::parse(offer).map_err(refused)?;
        let local = self.local()?;
        let answer = sdp::answer_publish(&offer, &local, loopback).map_err(refused)?;
        apply(
            &self.setup.plane,
            Command::Publish {
                endpoint,
                tracks: answer.tracks.clone(),
            },
        );
        if !answer.loopback.is_empty() {
            let tracks = answer.loopback.clone();
            apply(
                &self.setup.plane,
                Command::Subscribe {
                    endpoint,
                    source: endpoint,
                    tracks,
                },
            );
        }
        Ok(self.open(endpoint, local, None, answer))
    }

    fn subscribe(
        &mut self,
        endpoint: EndpointId,
        source: EndpointId,
        offer: &str,
    ) -> Result<Negotiated, MediaError> {
        let published = self
            .endpoints
            .get(&source)
            .ok_or(MediaError::Missing)?
            .peer
            .flow
            .tracks()
            .to_vec();
        let offer = Offer::parse(offer).map_err(refused)?;
        let local = self.local()?;
        let answer = sdp::answer_subscribe(&offer, &local, &published, &format!("stream-{source}"))
            .map_err(refused)?;
        apply(
            &self.setup.plane,
            Command::Subscribe {
                endpoint,
                source,
                tracks: answer.tracks.clone(),
            },
        );
        Ok(self.open(endpoint, local, Some(source), answer))
    }

    fn candidate(&mut self, _: EndpointId, _: Candidate) {
        // A lite agent answers checks and sends none (RFC 8445 §2.5): where the peer can be reached does not matter.
    }

    fn patch(&mut self, endpoint: EndpointId, fragment: &str) -> Result<IcePatch, MediaError> {
        let fragment = Fragment::parse(fragment).map_err(refused)?;
        let fresh = Credentials::random(&mut self.random);
        let known = self.endpoints.get_mut(&endpoint).ok_or(MediaError::Missing)?;
        let transport = &mut known.peer.transport;
        let Some(remote) = fragment.restart(transport.remote_ice()) else {
            return Ok(IcePatch::Trickled);
        };
        transport.restarted(fresh.clone(), remote.clone());
        self.setup
            .transport
            .restart(endpoint, fresh.clone(), remote.clone());
        Ok(IcePatch::Restarted {
            fragment: sdp::answer_fragment(&fragment, &fresh, &self.setup.candidates),
        })
    }

    fn release(&mut self, endpoint: EndpointId) {
        let released = self.endpoints.remove(&endpoint);
        if released.is_some_and(|released| released.state == State::Connected) {
            self.connected.dec();
        }
        apply(&self.setup.plane, Command::Remove { endpoint });
        self.setup.transport.remove(endpoint);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn refused(error: SdpError) -> MediaError {
    MediaError::Sdp(error.to_string())
}
