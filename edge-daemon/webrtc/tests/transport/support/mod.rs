//! An edge on a loopback socket, and `str0m` as the client on the other side.

use bytes::Bytes;
use lianmai_fanout::Ssrc;
use lianmai_fanout::demux::{self, classify};
use lianmai_webrtc::sdp::{Answer, Local, Offer, answer_publish};
use lianmai_webrtc::{
    Certificate, Credentials, Datagram, EndpointId, Metrics, RemoteParameters, SavedEndpoint, SharedSocket,
    Transport, TransportEvent, TransportHandle,
};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing on a loopback takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How often a client that waits is told the time.
const TICK: Duration = Duration::from_millis(50);
pub(crate) const ENDPOINT: EndpointId = EndpointId(7);

/// The transport, with a task in the place of the media thread.
pub(crate) struct Edge {
    pub(crate) handle: TransportHandle,
    pub(crate) events: mpsc::Receiver<TransportEvent>,
    pub(crate) media: mpsc::Receiver<Bytes>,
    pub(crate) address: SocketAddr,
    pub(crate) certificate: Certificate,
    socket: std::net::UdpSocket,
    reader: JoinHandle<()>,
    metrics: Metrics,
    /// Transports whose process has ended. They are not dropped, for they would say goodbye, and are only held.
    dead: Vec<(TransportHandle, mpsc::Receiver<TransportEvent>)>,
    registry: Registry,
    rng: StdRng,
}

impl Edge {
    pub(crate) fn start() -> Self {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let certificate = Certificate::generate().expect("a certificate");
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        let (handle, events, media, reader) = serve(&socket, &certificate, &metrics, &[]);
        Self {
            handle,
            events,
            media,
            socket,
            reader,
            metrics,
            dead: Vec::new(),
            address,
            certificate,
            registry,
            rng: StdRng::seed_from_u64(5),
        }
    }

    /// The process is gone from one moment to the next, and another serves its port.
    pub(crate) fn restart(&mut self, saved: &[SavedEndpoint]) {
        self.reader.abort();
        let certificate = Certificate::restore(self.certificate.save()).expect("our own");
        let (handle, events, media, reader) = serve(&self.socket, &certificate, &self.metrics, saved);
        self.dead.push((
            std::mem::replace(&mut self.handle, handle),
            std::mem::replace(&mut self.events, events),
        ));
        (self.media, self.reader, self.certificate) = (media, reader, certificate);
    }

    /// Answers an offer, and expects the client.
    pub(crate) async fn accept(&mut self, offer: &str, change: impl FnOnce(&mut RemoteParameters)) -> Answer {
        let local = self.local();
        let offer = Offer::parse(offer).expect("an offer");
        let answer = answer_publish(&offer, &local, false).expect("an answer");
        let mut remote = answer.remote.clone();
        change(&mut remote);
        self.handle.add(ENDPOINT, local.ice, remote);
        answer
    }

    pub(crate) fn local(&mut self) -> Local {
        Local {
            session_id: 1,
            ice: Credentials::random(&mut self.rng),
            fingerprint: self.certificate.fingerprint().clone(),
            candidates: vec![self.address],
            rtx_ssrc: Ssrc(1),
        }
    }

    pub(crate) async fn event(&mut self) -> TransportEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("a transport")
    }

    /// The value of a counter, by the beginning of its line.
    pub(crate) fn counter(&self, line: &str) -> u64 {
        let mut page = String::new();
        encode(&mut page, &self.registry).expect("text");
        let found = page
            .lines()
            .find_map(|text| text.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0)
    }
}

type Served = (
    TransportHandle,
    mpsc::Receiver<TransportEvent>,
    mpsc::Receiver<Bytes>,
    JoinHandle<()>,
);

fn serve(
    socket: &std::net::UdpSocket,
    certificate: &Certificate,
    metrics: &Metrics,
    saved: &[SavedEndpoint],
) -> Served {
    let sink = SharedSocket::new(socket.try_clone().expect("a duplicate")).expect("a socket");
    let (signalling, datagrams) = mpsc::channel(256);
    let (to_media, media) = mpsc::channel(256);
    let (handle, events) = Transport::resume(
        Arc::new(sink),
        certificate.clone(),
        metrics.clone(),
        datagrams,
        saved,
    );
    let socket = UdpSocket::from_std(socket.try_clone().expect("a duplicate")).expect("a socket");
    let reader = tokio::spawn(read(socket, signalling, to_media));
    (handle, events, media, reader)
}

async fn read(socket: UdpSocket, signalling: mpsc::Sender<Datagram>, media: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; 2048];
    while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..len]);
        let sent = match classify(&bytes) {
            demux::Protocol::Rtp | demux::Protocol::Rtcp => media.send(bytes).await.is_ok(),
            _ => signalling
                .send(Datagram {
                    from,
                    arrival: Instant::now(),
                    bytes,
                })
                .await
                .is_ok(),
        };
        if !sent {
            return;
        }
    }
}

/// Whether a datagram is lost.
type Loss = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// A client that publishes audio.
pub(crate) struct Client {
    pub(crate) rtc: Rtc,
    /// What it publishes, once it has offered it.
    pub(crate) audio: Option<Mid>,
    pub(crate) socket: UdpSocket,
    address: SocketAddr,
    /// Decides which of the datagrams it is sent are lost.
    pub(crate) loses: Loss,
}

impl Client {
    pub(crate) async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("bound");
        let mut rtc = Rtc::new(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        Self {
            rtc,
            audio: None,
            socket,
            address,
            loses: Box::new(|_| false),
        }
    }

    pub(crate) fn offer(&mut self) -> (String, SdpPendingOffer) {
        let mut change = self.rtc.sdp_api();
        self.audio = Some(change.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
        let (offer, pending) = change.apply().expect("a change");
        (offer.to_sdp_string(), pending)
    }

    pub(crate) fn take(&mut self, answer: &str, pending: SdpPendingOffer) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer that str0m reads");
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("an answer that str0m takes");
    }

    /// Runs until an event that is wanted.
    pub(crate) async fn run_until(&mut self, wanted: impl Fn(&Event) -> bool) {
        let run = async {
            loop {
                match self.rtc.poll_output().expect("str0m goes on") {
                    Output::Event(event) if wanted(&event) => return,
                    Output::Event(_) => {}
                    Output::Transmit(datagram) => {
                        self.socket
                            .send_to(&datagram.contents, datagram.destination)
                            .await
                            .expect("sent");
                    }
                    Output::Timeout(at) => self.wait(at).await,
                }
            }
        };
        timeout(PATIENCE, run)
            .await
            .expect("the client gets there in time");
    }

    /// Runs beside something else, which decides how long.
    pub(crate) async fn run_beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::select! {
            () = self.run_until(|_| false) => unreachable!("it waits for nothing"),
            done = other => done,
        }
    }

    async fn wait(&mut self, at: Instant) {
        // A passive str0m does nothing, and asks for no wake-up, before it has been told the time once.
        let at = at.min(Instant::now() + TICK);
        let mut buffer = vec![0; 2048];
        let received = timeout(
            at.saturating_duration_since(Instant::now()),
            self.socket.recv_from(&mut buffer),
        )
        .await;
        let Ok(received) = received else {
            return self
                .rtc
                .handle_input(Input::Timeout(Instant::now()))
                .expect("time passes");
        };
        let (len, source) = received.expect("received");
        let contents = &buffer[..len];
        if (self.loses)(contents) {
            return;
        }
        let contents = contents.try_into().expect("STUN, DTLS or RTP");
        let receive = Receive {
            proto: Protocol::Udp,
            source,
            destination: self.address,
            contents,
        };
        if self
            .rtc
            .handle_input(Input::Receive(Instant::now(), receive))
            .is_err()
        {
            // A fatal alert: nothing more will come of this client, and the test's patience ends the wait.
            std::future::pending::<()>().await;
        }
    }
}
