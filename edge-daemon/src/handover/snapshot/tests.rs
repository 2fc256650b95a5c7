use super::{FORMAT, Flow, Peer, Snapshot, SnapshotError};
use crate::edge::{RoomForwards, RoomTargets};
use crate::handover::Archive;
use crate::handover::archive::MAX_STATE;
use crate::http::SelfSigned;
use lianmai_fanout::{PayloadType, Ssrc};
use lianmai_mixer_control::{Record, Volume};
use lianmai_plane::Command;
use lianmai_room::{
    Candidate, ConnectionId, IcePatch, Limits, MediaError, Negotiated, Negotiator, Output, Signalling,
};
use lianmai_webrtc::media::{Codec, ExtensionIds, Feedback, Kind, Track};
use lianmai_webrtc::{
    Certificate, Credentials, DtlsRole, EndpointId, Fingerprint, HashFunction, MasterKey, RemoteParameters,
    SavedEndpoint, SrtpKeys, SrtpProfile, Validated,
};
use proptest::prelude::{any, proptest};
use proptest::{collection, prop_assert};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The media side of the rooms: answers as long as those to browsers, and the peers that it settled.
#[derive(Default)]
struct Media(Vec<Peer>);

impl Media {
    fn settle(&mut self, endpoint: EndpointId, flow: Flow) -> Negotiated {
        self.0.push(Peer {
            transport: transport(endpoint),
            flow,
        });
        Negotiated {
            answer: "a=".repeat(1200),
            candidates: Vec::new(),
        }
    }
}

impl Negotiator for Media {
    fn publish(&mut self, endpoint: EndpointId, _: &str, loopback: bool) -> Result<Negotiated, MediaError> {
        let flow = Flow::Publish {
            tracks: tracks(),
            loopback: if loopback { tracks() } else { Vec::new() },
        };
        Ok(self.settle(endpoint, flow))
    }

    fn subscribe(
        &mut self,
        endpoint: EndpointId,
        source: EndpointId,
        _: &str,
    ) -> Result<Negotiated, MediaError> {
        let flow = Flow::Subscribe {
            source,
            tracks: tracks(),
        };
        Ok(self.settle(endpoint, flow))
    }

    fn candidate(&mut self, _: EndpointId, _: Candidate) {}

    fn patch(&mut self, _: EndpointId, _: &str) -> Result<IcePatch, MediaError> {
        Ok(IcePatch::Trickled)
    }

    fn release(&mut self, endpoint: EndpointId) {
        self.0.retain(|peer| peer.transport.endpoint() != endpoint);
    }
}

fn tracks() -> Vec<Track> {
    [(Kind::Audio, Codec::Opus), (Kind::Video, Codec::H264)]
        .map(|(kind, codec)| Track {
            kind,
            mid: "0".to_owned(),
            codec,
            payload_type: PayloadType(96),
            rtx_payload_type: Some(PayloadType(97)),
            ssrc: Some(Ssrc(0x1234_5678)),
            rtx_ssrc: Some(Ssrc(0x8765_4321)),
            extensions: ExtensionIds {
                mid: Some(4),
                ..ExtensionIds::default()
            },
            feedback: Feedback {
                nack: true,
                ..Feedback::default()
            },
        })
        .to_vec()
}

fn transport(endpoint: EndpointId) -> SavedEndpoint {
    let credentials = |name: &str| Credentials {
        ufrag: format!("{name}{endpoint}"),
        pwd: "p".repeat(32),
    };
    let remote = RemoteParameters {
        ice: credentials("remote"),
        fingerprints: vec![Fingerprint::of(HashFunction::Sha256, b"certificate")],
        role: DtlsRole::Server,
    };
    let mut saved = SavedEndpoint::new(endpoint, credentials("local"), remote);
    let key = MasterKey {
        key: vec![1; 16],
        salt: vec![2; 12],
    };
    let keys = SrtpKeys {
        profile: SrtpProfile::AeadAes128Gcm,
        inbound: key.clone(),
        outbound: key,
    };
    let address: SocketAddr = "192.0.2.1:5000".parse().expect("an address");
    saved.connected(Validated::vouched_by_test(address), keys);
    saved
}

fn ask(now: Instant, signalling: &mut Signalling, media: &mut Media, client: ConnectionId, request: &str) {
    let text = format!(r#"{{"jsonrpc":"2.0","id":{},{request}}}"#, request.len());
    signalling.connection_text(now, client, &text, media);
    while let Some(output) = signalling.poll_output() {
        if let Output::Text { text, .. } = output {
            assert!(!text.contains("\"error\""), "{text}");
        }
    }
}

/// So many rooms in which four publish, each of whom receives the other three.
fn rooms(count: usize, now: Instant) -> (Signalling, Vec<Peer>) {
    let (mut signalling, mut media) = (Signalling::new(Limits::default(), [7; 32]), Media::default());
    for room in 0..count {
        let clients: Vec<_> = (0..4).map(|_| signalling.connection_opened(now)).collect();
        for (user, client) in clients.iter().enumerate() {
            let join =
                format!(r#""method":"joinRoom","params":{{"room":"room-{room}","user":"user-{user}"}}"#);
            ask(now, &mut signalling, &mut media, *client, &join);
            let publish = r#""method":"publishVideo","params":{"sdpOffer":"o","doLoopback":false}"#;
            ask(now, &mut signalling, &mut media, *client, publish);
        }
        for (user, client) in clients.iter().enumerate() {
            for other in (0..4).filter(|other| *other != user) {
                let receive = format!(
                    r#""method":"receiveVideoFrom","params":{{"sender":"user-{other}_webcam","sdpOffer":"o"}}"#
                );
                ask(now, &mut signalling, &mut media, *client, &receive);
            }
        }
    }
    (signalling, media.0)
}

fn snapshot(count: usize) -> Snapshot {
    let now = Instant::now();
    let (rooms, peers) = rooms(count, now);
    Snapshot {
        rooms: rooms.save(now),
        peers,
        muted: BTreeSet::from([EndpointId(1)]),
        volumes: BTreeMap::from([(EndpointId(1), Volume::try_from(150).expect("a volume"))]),
        targets: BTreeMap::from([("room-0".to_owned(), RoomTargets::default())]),
        recordings: BTreeMap::from([("room-0".to_owned(), Record::default())]),
        forwards: BTreeMap::from([("room-0".to_owned(), RoomForwards::default())]),
        cohosts: BTreeSet::from([format!("{:032x}", 7).parse().expect("an id")]),
        certificate: Certificate::generate().expect("random").save(),
        https: Some(SelfSigned::for_names(None, &[]).expect("random")),
        filters: BTreeMap::from([("room-0".to_owned(), BTreeMap::new())]),
    }
}

#[test]
fn what_is_written_is_read() {
    let snapshot = snapshot(2);
    let bytes = snapshot.encode().expect("plain data");
    assert_eq!(Snapshot::decode(&bytes).expect("a state"), snapshot);
}

#[test]
fn another_format_is_named() {
    let mut bytes = snapshot(1).encode().expect("plain data");
    bytes[0] += 1;
    let error = Snapshot::decode(&bytes).expect_err("refused");
    assert!(matches!(error, SnapshotError::Format { found } if found == FORMAT + 1));
}

/// When this fails, what is written has changed: count [`FORMAT`] up, and put the new checksum here.
#[test]
fn the_bytes_are_those_of_the_format() {
    let now = Instant::now();
    let (rooms, peers) = rooms(1, now);
    let bytes = postcard::to_stdvec(&(rooms.save(now), peers)).expect("plain data");
    assert_eq!((FORMAT, crc32fast::hash(&bytes)), (4, 3_836_872_613));
}

#[test]
fn a_plane_is_told_of_streams_then_of_legs_then_of_addresses() {
    let snapshot = snapshot(1);
    let kinds: Vec<u8> = snapshot
        .commands()
        .iter()
        .map(|command| match command {
            Command::Publish { .. } => 0,
            Command::Subscribe { .. } => 1,
            Command::Resume { .. } => 2,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(kinds.is_sorted(), "{kinds:?}");
    let count = |kind: u8| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!((count(0), count(1), count(2)), (4, 12, 16));
}

/// What a save costs with a hundred rooms of four is printed: just after everybody asked for everything, and later.
#[test]
fn a_hundred_rooms_of_four_have_room() {
    let (rooms, peers) = rooms(100, Instant::now());
    let one = snapshot(1);
    let mut archive = Archive::create().expect("memory");
    for later in [0, 0, 60, 60].map(Duration::from_secs) {
        let now = Instant::now() + later;
        let began = Instant::now();
        let state = Snapshot {
            rooms: rooms.save(now),
            peers: peers.clone(),
            ..one.clone()
        };
        let copied = began.elapsed();
        let bytes = state.encode().expect("plain data");
        let encoded = began.elapsed();
        archive.write(&bytes).expect("room");
        let (len, written) = (bytes.len(), began.elapsed());
        println!("{len} bytes: copied {copied:?}, encoded {encoded:?}, written {written:?}");
        assert!(
            len < MAX_STATE / if later.is_zero() { 6 } else { 30 },
            "{len} bytes"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(noise in collection::vec(any::<u8>(), 0..2000)) {
        let _ = Snapshot::decode(&noise);
        let _ = Snapshot::decode(&[&FORMAT.to_le_bytes(), noise.as_slice()].concat());
    }

    #[test]
    fn a_state_that_is_damaged_or_cut_does_no_harm(at in 0_usize..8000, value in any::<u8>()) {
        let good = postcard::to_extend(&snapshot_once(), FORMAT.to_le_bytes().to_vec()).expect("plain data");
        let mut bad = good.clone();
        let at = 4 + at % (bad.len() - 4);
        bad[at] = value;
        // Whatever it says, a machine that is made of it stands.
        if let Ok(read) = Snapshot::decode(&bad) {
            let commands = read.commands();
            prop_assert!(commands.len() >= read.peers.len());
            let _ = Signalling::restore(read.rooms, Instant::now(), Limits::default(), [1; 32]);
        }
        prop_assert!(Snapshot::decode(&good[..at]).is_err());
    }
}

fn snapshot_once() -> Snapshot {
    static ONCE: std::sync::OnceLock<Snapshot> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| snapshot(1)).clone()
}
