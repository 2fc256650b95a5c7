//! What depends on time and on full queues, with a clock that is moved by hand.

use super::Engine;
use crate::clock::Stamp;
use crate::command::{Command, Event};
use crate::metrics::{DropReason, Metrics};
use crate::outbox::Outbox;
use crate::shown::Shown;
use crate::srtp::{Book, Sealer};
use bytes::Bytes;
use lianmai_fanout::demux::Protocol;
use lianmai_fanout::{PayloadType, RtpHeader};
use lianmai_kernel::Ledger;
use lianmai_mixer_control::media::HostId;
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use lianmai_webrtc::{EndpointId, MasterKey, SrtpKeys, SrtpProfile, Validated};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const HOST: EndpointId = EndpointId(1);

struct Bench {
    engine: Engine,
    now: Stamp,
    out: Outbox,
    events: mpsc::Receiver<Event>,
    metrics: Metrics,
    sealer: Sealer,
    next: u16,
}

impl Bench {
    /// A publisher of sound, and room for this many events.
    fn new(room: usize) -> Self {
        let (sender, events) = mpsc::channel(room);
        let metrics = Metrics::default();
        let master = MasterKey {
            key: vec![1; 16],
            salt: vec![2; 12],
        };
        let keys = SrtpKeys {
            profile: SrtpProfile::AeadAes128Gcm,
            inbound: master.clone(),
            outbound: master,
        };
        let mut bench = Self {
            engine: Engine::new(Ledger::in_memory(1_024).expect("memory"), metrics.clone(), sender),
            now: Stamp {
                at: Instant::now(),
                nanos: 1_000_000_000,
            },
            out: Outbox::default(),
            events,
            metrics,
            sealer: Sealer::new(&keys, Book::of_nobody()).expect("keys"),
            next: 0,
        };
        bench.apply(Command::Connect {
            endpoint: HOST,
            remote: Validated::vouched_by_test(address()),
            keys,
        });
        bench.apply(Command::Publish {
            endpoint: HOST,
            tracks: vec![opus()],
        });
        bench
    }

    fn apply(&mut self, command: Command) {
        self.engine.apply(self.now, command, &mut self.out);
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.nanos += time.as_nanos() as u64;
        self.engine.on_tick(self.now, &mut self.out);
    }

    fn sealed(&mut self) -> Bytes {
        let [high, low] = self.next.to_be_bytes();
        self.next += 1;
        let packet = [0x80, 111, high, low, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3];
        let header = RtpHeader::parse(&packet).expect("RTP");
        self.sealer.seal_rtp(&packet, &header).expect("sealed")
    }

    fn send(&mut self) {
        let packet = self.sealed();
        self.engine.on_datagram(
            self.now,
            self.now,
            address(),
            Protocol::Rtp,
            &packet,
            &mut self.out,
        );
    }

    fn allowed(&self) -> Option<u64> {
        let snapshot = self.engine.snapshot();
        let host = snapshot.endpoints.iter().find(|stats| stats.endpoint == HOST);
        host.and_then(|stats| stats.source.as_ref()?.allowed_bitrate)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4_000))
}

fn opus() -> Track {
    Track {
        kind: Kind::Audio,
        mid: "0".to_owned(),
        codec: Codec::Opus,
        payload_type: PayloadType(111),
        rtx_payload_type: None,
        ssrc: None,
        rtx_ssrc: None,
        extensions: ExtensionIds::default(),
        feedback: Feedback::default(),
    }
}

#[test]
fn an_endpoint_is_said_to_be_alive_at_most_once_a_second() {
    let mut bench = Bench::new(100);
    for _ in 0..250 {
        bench.send();
        bench.pass(Duration::from_millis(20));
    }
    let started = Event::MediaStarted { endpoint: HOST };
    let alive = Event::Alive { endpoint: HOST };
    assert_eq!(bench.events(), [vec![started], vec![alive; 4]].concat());
}

#[test]
fn what_is_not_authentic_is_no_sign_of_life() {
    let mut bench = Bench::new(100);
    bench.send();
    assert_eq!(bench.events().len(), 1);
    bench.pass(Duration::from_secs(5));
    let mut forged = bench.sealed().to_vec();
    forged[13] ^= 1;
    bench.engine.on_datagram(
        bench.now,
        bench.now,
        address(),
        Protocol::Rtp,
        &forged,
        &mut bench.out,
    );
    assert_eq!(bench.metrics.dropped(DropReason::Forged), 1);
    assert_eq!(bench.events(), []);
}

#[test]
fn a_publisher_that_only_a_mixer_sees_need_not_send_more_than_it_shows() {
    let mut bench = Bench::new(100);
    let (ours, _mixer) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::empty()).expect("a pair");
    bench.apply(Command::Tap {
        source: HOST,
        host: HostId(0),
        socket: ours,
    });
    let shown = Shown {
        width: 320,
        height: 180,
    };
    bench.apply(Command::Shown { source: HOST, shown });
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.allowed(), None, "somebody may be about to join");
    bench.pass(Duration::from_secs(10));
    assert_eq!(bench.allowed(), Some(shown.worth()));
    bench.apply(Command::Subscribe {
        endpoint: EndpointId(2),
        source: HOST,
        tracks: vec![opus()],
    });
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.allowed(), None, "a co-host sees all of it");
    bench.apply(Command::Remove {
        endpoint: EndpointId(2),
    });
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.allowed(), None);
    bench.pass(Duration::from_secs(6));
    assert_eq!(bench.allowed(), Some(shown.worth()));
    bench.apply(Command::Untap { source: HOST });
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.allowed(), None, "nobody says how it is shown");
}

#[test]
fn policy_that_does_not_listen_is_counted_and_stops_nothing() {
    let mut bench = Bench::new(1);
    for _ in 0..5 {
        bench.send();
        bench.pass(Duration::from_secs(2));
    }
    assert_eq!(bench.metrics.dropped(DropReason::EventQueueFull), 4);
    let snapshot = bench.engine.snapshot();
    let source = snapshot.endpoints[0].source.as_ref().expect("a source");
    assert_eq!(source.tracks[0].packets, 5);
}

#[test]
fn an_engine_is_idle_until_it_has_endpoints_and_again_when_they_are_gone() {
    let mut bench = Bench::new(1);
    assert!(!bench.engine.is_idle());
    bench.apply(Command::Remove { endpoint: HOST });
    assert!(bench.engine.is_idle());
    assert!(bench.engine.by_remote.is_empty() && bench.engine.legs.is_empty());
}
