//! ICE and DTLS of the whole port, joined to a socket: the one asynchronous shell of this crate.

mod port;

use crate::dtls::{Certificate, LostReason};
use crate::endpoint::{EndpointId, Validated};
use crate::metrics::Metrics;
use crate::parameters::{Credentials, RemoteParameters};
use crate::saved::SavedEndpoint;
use crate::socket::DatagramSink;
use crate::srtp::SrtpKeys;
use bytes::Bytes;
use port::Port;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events that wait for a slow reader, before commands are the only thing that is still served.
const EVENTS: usize = 256;

/// A datagram from the one UDP port. Only STUN and DTLS are of interest.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddr,
    /// When the socket's owner read it.
    pub arrival: Instant,
    /// What it says.
    pub bytes: Bytes,
}

/// What happened to an endpoint. `Lost` is the last event of an endpoint; one that was removed has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// The first valid STUN check is in; DTLS begins.
    Checking {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The DTLS handshake is done: media may flow.
    Connected {
        /// The endpoint.
        endpoint: EndpointId,
        /// Where its media comes from and goes to.
        remote: Validated<SocketAddr>,
        /// The keys of both directions.
        keys: SrtpKeys,
        /// The shortest round trip seen in the handshake.
        handshake_rtt: Option<Duration>,
    },
    /// The peer nominated another address for its media.
    Moved {
        /// The endpoint.
        endpoint: EndpointId,
        /// The new address.
        remote: Validated<SocketAddr>,
    },
    /// The endpoint is gone; the transport has forgotten it.
    Lost {
        /// The endpoint.
        endpoint: EndpointId,
        /// Why.
        reason: LostReason,
    },
}

/// The transport of one UDP port.
#[derive(Debug)]
pub struct Transport;

impl Transport {
    /// Starts the task that serves the port, on the current tokio runtime. It ends, with a farewell to every peer,
    /// when the last handle is dropped.
    pub fn spawn(
        sink: Arc<dyn DatagramSink>,
        certificate: Certificate,
        metrics: Metrics,
        datagrams: mpsc::Receiver<Datagram>,
    ) -> (TransportHandle, mpsc::Receiver<TransportEvent>) {
        Self::resume(sink, certificate, metrics, datagrams, &[])
    }

    /// The same with the endpoints of an earlier process, which had this certificate. They are there before the first
    /// datagram is looked at.
    ///
    /// A connected one has no DTLS association any more: a close_notify of its peer is not understood, nor is one sent; it
    /// ends with its consent or by [`TransportHandle::remove`]. One that was not connected begins its handshake anew.
    pub fn resume(
        sink: Arc<dyn DatagramSink>,
        certificate: Certificate,
        metrics: Metrics,
        datagrams: mpsc::Receiver<Datagram>,
        endpoints: &[SavedEndpoint],
    ) -> (TransportHandle, mpsc::Receiver<TransportEvent>) {
        let (commands, command_queue) = mpsc::unbounded_channel();
        let (events, event_queue) = mpsc::channel(EVENTS);
        let (reports, report_queue) = mpsc::channel(EVENTS);
        let mut port = Port::new(sink, certificate, metrics, reports);
        let now = Instant::now();
        endpoints.iter().for_each(|saved| port.restore(now, saved));
        tokio::spawn(serve(
            port,
            Queues {
                commands: command_queue,
                datagrams,
                reports: report_queue,
                events,
            },
        ));
        (TransportHandle { commands }, event_queue)
    }
}

/// Tells the transport which endpoints there are; clones reach the same transport.
#[derive(Clone, Debug)]
pub struct TransportHandle {
    // Not bounded by a capacity, but by what makes them: requests, whose rate signalling limits, and one sign of life a
    // second for each endpoint.
    commands: mpsc::UnboundedSender<Command>,
}

#[derive(Debug)]
enum Command {
    Add {
        endpoint: EndpointId,
        local: Credentials,
        remote: RemoteParameters,
    },
    Restart {
        endpoint: EndpointId,
        local: Credentials,
        remote: Credentials,
    },
    Remove {
        endpoint: EndpointId,
    },
    MediaAlive {
        endpoint: EndpointId,
        at: Instant,
    },
}

impl TransportHandle {
    /// Expects an endpoint: our credentials as the answer gives them, and what the offer said. An endpoint of the same
    /// id is replaced.
    pub fn add(&self, endpoint: EndpointId, local: Credentials, remote: RemoteParameters) {
        self.tell(Command::Add {
            endpoint,
            local,
            remote,
        });
    }

    /// Restarts ICE with new credentials of both sides; the DTLS association stays.
    pub fn restart(&self, endpoint: EndpointId, local: Credentials, remote: Credentials) {
        self.tell(Command::Restart {
            endpoint,
            local,
            remote,
        });
    }

    /// Ends an endpoint with a close_notify; no event follows.
    pub fn remove(&self, endpoint: EndpointId) {
        self.tell(Command::Remove { endpoint });
    }

    /// Media of this endpoint has passed authentication just now, which counts as consent. To be called about once a
    /// second.
    pub fn media_alive(&self, endpoint: EndpointId) {
        self.tell(Command::MediaAlive {
            endpoint,
            at: Instant::now(),
        });
    }

    /// A transport that has ended with its runtime has no endpoints to tell of.
    fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

struct Queues {
    commands: mpsc::UnboundedReceiver<Command>,
    datagrams: mpsc::Receiver<Datagram>,
    reports: mpsc::Receiver<crate::dtls::Report>,
    events: mpsc::Sender<TransportEvent>,
}

/// Serves commands always, and the network as long as somebody reads the events.
async fn serve(mut port: Port, mut queues: Queues) {
    loop {
        let waiting = port.has_events();
        tokio::select! {
            command = queues.commands.recv() => match command {
                Some(command) => port.handle_command(Instant::now(), command),
                None => return,
            },
            Some(report) = queues.reports.recv() => port.handle_report(report),
            permit = queues.events.reserve(), if waiting => match (permit, port.poll_event()) {
                (Ok(permit), Some(event)) => permit.send(event),
                (Ok(_), None) => {}
                (Err(_), _) => return,
            },
            Some(datagram) = queues.datagrams.recv(), if port.has_room() => port.handle_datagram(&datagram),
            () = until(port.next_timeout()) => port.handle_timeout(Instant::now()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
