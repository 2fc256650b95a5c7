//! Hosts whose streams are damaged all the time, beside one whose stream is whole.

use crate::common::daemon::{Daemon, settings};
use crate::common::damage::{Arrival, Damage};
use crate::common::sink::Sink;
use crate::common::streams;
use bytes::Bytes;
use lianmai_mixer::clock;
use lianmai_mixer_control::media::{HostId, Kind};
use lianmai_mixer_control::{Codec, FromMixer, HostStats, ToMixer, VideoSource};
use lianmai_rtmp::TagKind;
use lianmai_timeline::{EdgeTime, Span};
use rtp::header::Header;
use rtp::packet::Packet;
use std::thread;
use std::time::Duration;
use webrtc_util::marshal::Marshal;

const VIDEO: u8 = 102;
const PICTURE: Span = Span::from_millis(40);
const LIVELY: &str = "testsrc2=size=320x180:rate=25";

/// How long streams are damaged, unless `LIANMAI_FAULT_SECONDS` says otherwise.
fn seconds() -> i64 {
    let asked = std::env::var("LIANMAI_FAULT_SECONDS").ok();
    asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(5)
}

/// Sends one stream over and over, damaged or whole.
struct Sender<'a> {
    host: HostId,
    codec: Codec,
    stream: Vec<Vec<Bytes>>,
    damage: Option<Damage<'a>>,
    sent: usize,
    sequence: u16,
}

impl Sender<'_> {
    fn join(&self, daemon: &mut Daemon) {
        daemon.say(&ToMixer::AddHost {
            host: self.host,
            name: format!("{:?} {}", self.codec, self.host.0),
            audio: None,
            video: Some(VideoSource {
                payload_type: VIDEO,
                codec: self.codec,
                orientation_extension: None,
            }),
        });
    }

    fn send(&mut self, daemon: &Daemon, now: EdgeTime) {
        let index = self.sent % self.stream.len();
        let arrival = match &mut self.damage {
            Some(damage) => damage.picture(&self.stream, index),
            None => self.stream[index]
                .iter()
                .map(|payload| Some(payload.to_vec()))
                .collect::<Arrival>(),
        };
        let timestamp = (self.sent as u32).wrapping_mul(3600);
        let packets = arrival.len();
        for (number, payload) in arrival.into_iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let Some(payload) = payload else { continue };
            let header = Header {
                version: 2,
                marker: number + 1 == packets,
                payload_type: VIDEO,
                sequence_number: self.sequence,
                timestamp,
                ssrc: self.host.0,
                ..Header::default()
            };
            let payload = payload.into();
            let packet = Packet { header, payload }.marshal().expect("marshals");
            daemon.media(Kind::Rtp, self.host, now, &packet);
        }
        self.sent += 1;
    }
}

fn stats(daemon: &Daemon) -> (u64, Vec<HostStats>) {
    let all = daemon.said().into_iter().rev();
    let mut reports = all.filter_map(|said| match said {
        FromMixer::Stats(stats) => Some(stats),
        _ => None,
    });
    let last = reports.next().expect("a report a second");
    (last.frames_encoded, last.hosts)
}

#[test]
fn damaged_streams_harm_neither_the_mix_nor_the_host_beside_them() {
    let small = [
        streams::h264("testsrc2=size=176x144:rate=25", 0.2, 1),
        streams::vp8("testsrc2=size=176x144:rate=25", 0.2, 1),
    ];
    let foreign: Vec<Bytes> = small.into_iter().flatten().flatten().collect();
    let sender = |host, codec, stream: &Vec<Vec<Bytes>>, seed: Option<u64>| Sender {
        host: HostId(host),
        codec,
        stream: stream.clone(),
        damage: seed.map(|seed| Damage::new(seed, &foreign)),
        sent: 0,
        sequence: 65_500,
    };
    let (h264, vp8) = (streams::h264(LIVELY, 4.0, 10), streams::vp8(LIVELY, 4.0, 10));
    let mut senders = [
        sender(1, Codec::H264, &h264, None),
        sender(2, Codec::Vp8, &vp8, None),
        sender(3, Codec::H264, &h264, Some(3)),
        sender(4, Codec::Vp8, &vp8, Some(4)),
    ];
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    senders.iter().for_each(|sender| sender.join(&mut daemon));
    let start = clock::now();
    let mut due = start;
    while due < start + Span::from_secs(seconds()) {
        senders
            .iter_mut()
            .for_each(|sender| sender.send(&daemon, clock::now()));
        due = due + PICTURE;
        let left = u64::try_from((due - clock::now()).0).unwrap_or(0);
        thread::sleep(Duration::from_nanos(left));
    }
    // The last report is a second old at most.
    let sent = senders[0].sent as u64 - 50;
    let (encoded, hosts) = stats(&daemon);
    let memory = daemon.peak_memory_kib();
    daemon.say(&ToMixer::Shutdown);
    assert!(daemon.exit().success());
    let tags = sink.sessions().pop().expect("a session");
    let times: Vec<u32> = tags
        .iter()
        .filter(|tag| tag.kind == TagKind::Video && tag.is_frame())
        .map(|tag| tag.timestamp_ms)
        .collect();
    let step = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    println!("{encoded} pictures encoded, longest step {step} ms, {memory} KiB at most; {hosts:#?}");
    for host in &hosts {
        let whole = host.host.0 <= 2;
        assert!(
            host.frames_decoded > if whole { sent * 9 / 10 } else { sent / 20 },
            "{host:?} of {sent}"
        );
        assert_eq!(whole, host.decode_errors == 0, "{host:?}");
    }
    assert_eq!(hosts.len(), 4);
    assert!(times.len() > 60 && step < 500, "{step} ms between two pictures");
    assert!(memory < 512 * 1024, "{memory} KiB");
}
