use super::{Forwards, MAX_FORWARDS};
use lianmai_mixer_control::media::{HostId, Kind, Message};
use lianmai_mixer_control::{AudioSource, Codec, Forward, ForwardId, VideoSource};
use lianmai_timeline::{EdgeTime, Span};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const ANN: HostId = HostId(3);
const AUDIO: u8 = 111;
const VIDEO: u8 = 102;

fn at(millis: i64) -> EdgeTime {
    EdgeTime(0) + Span::from_millis(millis)
}

/// RTP and RTCP of one track, at an even port and the next one.
struct Ear(UdpSocket, UdpSocket);

impl Ear {
    fn open() -> Self {
        let bind = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        let pair = std::iter::repeat_with(|| {
            let rtp = bind(0).ok()?;
            let port = rtp.local_addr().ok()?.port();
            let rtcp = (port % 2 == 0).then(|| bind(port + 1).ok())??;
            Some(Self(rtp, rtcp))
        });
        let ear = pair.take(1000).flatten().next().expect("a pair of ports");
        for socket in [&ear.0, &ear.1] {
            let patience = Some(Duration::from_millis(500));
            socket.set_read_timeout(patience).expect("a timeout");
        }
        ear
    }

    fn port(&self) -> u16 {
        self.0
            .local_addr()
            .map(|address: SocketAddr| address.port())
            .expect("bound")
    }
}

fn heard(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut packet = [0; 2000];
    let len = socket.recv(&mut packet).ok()?;
    Some(packet[..len].to_vec())
}

fn forward(id: u32, user: &str, audio: Option<u16>, video: Option<u16>) -> Forward {
    Forward {
        id: ForwardId(id),
        user: user.to_owned(),
        address: Ipv4Addr::LOCALHOST.into(),
        audio_port: audio,
        video_port: video,
        key_frame_seconds: 5,
    }
}

fn join(forwards: &mut Forwards, id: HostId, name: &str) {
    let audio = AudioSource { payload_type: AUDIO };
    let video = VideoSource {
        payload_type: VIDEO,
        codec: Codec::Vp8,
        orientation_extension: None,
    };
    forwards.add_host(at(0), id, name, Some(&audio), Some(&video));
}

fn rtp(payload_type: u8, ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type, 0, 1, 0, 0, 0, 9];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(body);
    packet
}

fn report(ssrc: u32) -> Vec<u8> {
    let words = [0x80c8_0006, ssrc, 1, 2, 3, 4, 5];
    words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect()
}

fn put(forwards: &mut Forwards, kind: Kind, host: HostId, body: &[u8]) {
    let message = Message {
        kind,
        host,
        arrival_ns: 0,
        body,
    };
    forwards.handle_input(&[message.header().as_slice(), body].concat());
}

#[test]
fn each_track_goes_to_its_port_and_its_reports_to_the_next_one_unchanged() {
    let (audio, video) = (Ear::open(), Ear::open());
    let mut forwards = Forwards::default();
    join(&mut forwards, ANN, "ann");
    join(&mut forwards, HostId(4), "bob");
    forwards.add(at(0), forward(0, "ann", Some(audio.port()), Some(video.port())));
    let (sound, picture) = (rtp(AUDIO, 1, b"sound"), rtp(0x80 | VIDEO, 2, b"picture"));
    put(&mut forwards, Kind::Rtp, ANN, &sound);
    put(&mut forwards, Kind::Rtp, ANN, &picture);
    put(&mut forwards, Kind::Rtp, ANN, &rtp(96, 3, b"neither"));
    put(
        &mut forwards,
        Kind::Rtp,
        HostId(4),
        &rtp(VIDEO, 4, b"another host"),
    );
    put(&mut forwards, Kind::Rtcp, ANN, &[report(1), report(2)].concat());
    put(&mut forwards, Kind::RoundTrip, ANN, &[0; 8]);
    forwards.handle_input(b"noise");
    assert_eq!(
        (heard(&audio.0), heard(&audio.1)),
        (Some(sound.clone()), Some(report(1)))
    );
    assert_eq!(
        (heard(&video.0), heard(&video.1)),
        (Some(picture.clone()), Some(report(2)))
    );
    assert_eq!(
        (heard(&audio.0), heard(&video.0)),
        (None, None),
        "and nothing else"
    );
    let stats = forwards.stats()[0];
    assert_eq!(
        (stats.packets, stats.reports, stats.errors),
        (2, 2, 0),
        "{stats:?}"
    );
    assert_eq!(stats.bytes, (sound.len() + picture.len()) as u64);
}

#[test]
fn a_forward_waits_for_its_host_and_goes_on_when_it_comes_back() {
    let video = Ear::open();
    let mut forwards = Forwards::default();
    forwards.add(at(0), forward(0, "ann", None, Some(video.port())));
    put(&mut forwards, Kind::Rtp, ANN, &rtp(VIDEO, 2, b"nobody yet"));
    for (host, body) in [(ANN, b"first"), (HostId(9), b"later")] {
        join(&mut forwards, host, "ann");
        put(&mut forwards, Kind::Rtp, host, &rtp(VIDEO, 2, body));
        assert_eq!(heard(&video.0), Some(rtp(VIDEO, 2, body)));
        forwards.remove_host(host);
    }
    forwards.remove(ForwardId(0));
    assert!(forwards.stats().is_empty());
}

#[test]
fn when_nobody_listens_that_is_counted_and_who_begins_to_listen_gets_the_next_packet() {
    let video = Ear::open();
    let port = video.port();
    drop(video);
    let mut forwards = Forwards::default();
    join(&mut forwards, ANN, "ann");
    forwards.add(at(0), forward(0, "ann", None, Some(port)));
    for _ in 0..4 {
        put(&mut forwards, Kind::Rtp, ANN, &rtp(VIDEO, 2, b"lost"));
    }
    let errors = forwards.stats()[0].errors;
    assert!(errors > 0, "refused by the machine itself");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("free again");
    put(&mut forwards, Kind::Rtp, ANN, &rtp(VIDEO, 2, b"heard"));
    assert_eq!(heard(&socket), Some(rtp(VIDEO, 2, b"heard")));
}

#[test]
fn the_host_is_asked_for_key_frames_now_and_then() {
    let mut forwards = Forwards::default();
    join(&mut forwards, ANN, "ann");
    join(&mut forwards, HostId(4), "bob");
    forwards.add(at(0), forward(0, "ann", None, Some(40_000)));
    forwards.add(at(0), forward(1, "bob", Some(40_002), None));
    let asked: Vec<i64> = (0..20_000)
        .step_by(10)
        .filter(|millis| match forwards.handle_timeout(at(*millis)).as_slice() {
            [] => false,
            hosts => hosts == [ANN],
        })
        .collect();
    assert_eq!(asked, [0, 5_000, 10_000, 15_000]);
    join(&mut forwards, HostId(8), "ann");
    assert_eq!(
        forwards.handle_timeout(at(19_999)).last(),
        Some(&HostId(8)),
        "it came back"
    );
}

#[test]
fn an_address_that_the_kernel_refuses_costs_nothing_and_the_number_is_bounded() {
    let mut forwards = Forwards::default();
    let mut broadcast = forward(0, "ann", Some(40_000), None);
    broadcast.address = Ipv4Addr::BROADCAST.into();
    forwards.add(at(0), broadcast);
    assert!(forwards.stats().is_empty());
    for id in 0..MAX_FORWARDS as u32 + 3 {
        forwards.add(at(0), forward(id, "ann", Some(40_000), None));
    }
    assert_eq!(forwards.stats().len(), MAX_FORWARDS);
}
