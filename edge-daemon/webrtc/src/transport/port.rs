//! The state of a transport: ICE agents, DTLS associations, and events on their way out.

use super::{Command, Datagram, TransportEvent};
use crate::dtls::{Association, Certificate, LostReason, News, Report, Reporter, Terms};
use crate::endpoint::{EndpointId, Validated};
use crate::ice::{IceLite, Output};
use crate::metrics::{DropReason, Metrics};
use crate::parameters::{Credentials, RemoteParameters};
use crate::saved::SavedEndpoint;
use crate::socket::DatagramSink;
use crate::srtp::SrtpKeys;
use lianmai_fanout::demux::{Protocol, classify};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events that may wait here before the network is left waiting.
const MAX_WAITING_EVENTS: usize = 1024;

pub(super) struct Port {
    ice: IceLite,
    sessions: BTreeMap<EndpointId, Session>,
    events: VecDeque<TransportEvent>,
    next_generation: u64,
    sink: Arc<dyn DatagramSink>,
    certificate: Certificate,
    metrics: Metrics,
    reports: mpsc::Sender<Report>,
}

struct Session {
    generation: u64,
    remote: RemoteParameters,
    association: Option<Association>,
    /// Where the association sends to.
    address: Option<Validated<SocketAddr>>,
    connected: bool,
}

impl Port {
    pub(super) fn new(
        sink: Arc<dyn DatagramSink>,
        certificate: Certificate,
        metrics: Metrics,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        Self {
            ice: IceLite::new(),
            sessions: BTreeMap::new(),
            events: VecDeque::new(),
            next_generation: 0,
            sink,
            certificate,
            metrics,
            reports,
        }
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.events.len() < MAX_WAITING_EVENTS
    }

    pub(super) fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.ice.next_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        self.drain_ice();
    }

    pub(super) fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Add {
                endpoint,
                local,
                remote,
            } => self.add(now, endpoint, local, remote),
            Command::Restart {
                endpoint,
                local,
                remote,
            } => self.ice.restart(now, endpoint, local, &remote.ufrag),
            Command::Remove { endpoint } => self.forget(endpoint),
            Command::MediaAlive { endpoint, at } => self.ice.media_alive(at, endpoint),
        }
    }

    pub(super) fn handle_datagram(&mut self, datagram: &Datagram) {
        match classify(&datagram.bytes) {
            Protocol::Stun => {
                let outcome = self
                    .ice
                    .handle_datagram(datagram.arrival, datagram.from, &datagram.bytes);
                self.metrics.count_stun(outcome);
                self.drain_ice();
            }
            Protocol::Dtls => self.handle_dtls(datagram),
            Protocol::Rtp | Protocol::Rtcp | Protocol::Other => {
                self.metrics.count_drops(DropReason::NotSignalling, 1);
            }
        }
    }

    pub(super) fn handle_report(&mut self, report: Report) {
        let session = self.sessions.get(&report.endpoint);
        if session.is_none_or(|session| session.generation != report.generation) {
            return;
        }
        match report.news {
            News::Connected { keys, round_trip } => self.connected(report.endpoint, keys, round_trip),
            News::Ended(reason) => self.lost(report.endpoint, reason),
        }
    }

    fn add(&mut self, now: Instant, endpoint: EndpointId, local: Credentials, remote: RemoteParameters) {
        self.ice.add(now, endpoint, local, &remote.ice.ufrag);
        self.open(endpoint, remote, None);
    }

    /// An endpoint of an earlier process; one that was connected keeps its keys and begins no association.
    pub(super) fn restore(&mut self, now: Instant, saved: &SavedEndpoint) {
        self.ice.restore(now, saved);
        let connected = saved.connection().map(|(remote, _)| remote);
        self.open(saved.endpoint(), saved.remote().clone(), connected);
    }

    fn open(
        &mut self,
        endpoint: EndpointId,
        remote: RemoteParameters,
        connected: Option<Validated<SocketAddr>>,
    ) {
        let generation = self.next_generation;
        self.next_generation += 1;
        let session = Session {
            generation,
            remote,
            association: None,
            address: connected,
            connected: connected.is_some(),
        };
        self.sessions.insert(endpoint, session);
    }

    fn forget(&mut self, endpoint: EndpointId) {
        self.ice.remove(endpoint);
        self.sessions.remove(&endpoint);
    }

    fn lost(&mut self, endpoint: EndpointId, reason: LostReason) {
        tracing::info!(%endpoint, reason = reason.as_str(), "endpoint lost");
        self.metrics.count_lost(reason);
        self.forget(endpoint);
        self.events.push_back(TransportEvent::Lost { endpoint, reason });
    }

    /// DTLS reaches an association only from an address that is proved to belong to its endpoint.
    fn handle_dtls(&mut self, datagram: &Datagram) {
        let Some((endpoint, from)) = self.ice.validated(datagram.from) else {
            return self.metrics.count_drops(DropReason::DtlsUnvalidated, 1);
        };
        let nominated = self.ice.selected(endpoint).is_some();
        let session = self.sessions.get_mut(&endpoint);
        let Some((session, association)) = session.and_then(Session::with_association) else {
            return self.metrics.count_drops(DropReason::DtlsNoAssociation, 1);
        };
        if !nominated && *session != Some(from) {
            association.moved(from);
            *session = Some(from);
        }
        if !association.datagram(from, datagram.bytes.clone()) {
            self.metrics.count_drops(DropReason::DtlsQueueFull, 1);
        }
    }

    fn drain_ice(&mut self) {
        while let Some(output) = self.ice.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    if self.sink.send(to, &bytes).is_err() {
                        self.metrics.count_drops(DropReason::SendFailed, 1);
                    }
                }
                Output::Validated { endpoint, remote } => self.begin(endpoint, remote),
                Output::Selected { endpoint, remote } => self.moved(endpoint, remote),
                Output::Expired {
                    endpoint,
                    validated: true,
                } => self.lost(endpoint, LostReason::ConsentExpired),
                Output::Expired {
                    endpoint,
                    validated: false,
                } => self.lost(endpoint, LostReason::NeverConnected),
            }
        }
    }

    fn begin(&mut self, endpoint: EndpointId, remote: Validated<SocketAddr>) {
        let Some(session) = self.sessions.get_mut(&endpoint) else {
            return;
        };
        let terms = Terms {
            certificate: self.certificate.clone(),
            fingerprints: session.remote.fingerprints.clone(),
            role: session.remote.role,
        };
        let reporter = Reporter {
            endpoint,
            generation: session.generation,
            reports: self.reports.clone(),
        };
        let (sink, metrics) = (Arc::clone(&self.sink), self.metrics.clone());
        session.association = Some(Association::start(terms, remote, sink, metrics, reporter));
        session.address = Some(remote);
        self.events.push_back(TransportEvent::Checking { endpoint });
    }

    fn moved(&mut self, endpoint: EndpointId, remote: Validated<SocketAddr>) {
        let Some(session) = self.sessions.get_mut(&endpoint) else {
            return;
        };
        if session.address == Some(remote) {
            return;
        }
        session.address = Some(remote);
        if let Some(association) = &session.association {
            association.moved(remote);
        }
        if session.connected {
            self.events.push_back(TransportEvent::Moved { endpoint, remote });
        }
    }

    fn connected(&mut self, endpoint: EndpointId, keys: SrtpKeys, handshake_rtt: Option<Duration>) {
        let Some(session) = self.sessions.get_mut(&endpoint) else {
            return;
        };
        let Some(remote) = session.address else { return };
        session.connected = true;
        self.metrics.count_connected(keys.profile);
        self.events.push_back(TransportEvent::Connected {
            endpoint,
            remote,
            keys,
            handshake_rtt,
        });
    }
}

impl Session {
    fn with_association(&mut self) -> Option<(&mut Option<Validated<SocketAddr>>, &Association)> {
        Some((&mut self.address, self.association.as_ref()?))
    }
}
