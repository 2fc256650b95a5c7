//! Damaged streams through the ingest and the decoders, as fast as they go. Every round is written down before it is
//! run, so that one that kills the process is still there: it belongs into `faults/`, from where it is run ever after.

use super::Task;
use super::decoder::{Counters, HostDecoder};
use crate::audio::Pcm;
use crate::ingest::{Ingest, Sink};
use crate::testing::damage::{Arrival, Damage};
use crate::testing::streams;
use bytes::Bytes;
use lianmai_mixer_control::media::{HostId, Kind, Message};
use lianmai_mixer_control::{Codec, VideoSource};
use lianmai_timeline::{EdgeTime, Span};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HOST: HostId = HostId(7);
const VIDEO: u8 = 96;
const PICTURE: Span = Span::from_millis(40);
const LIVELY: &str = "testsrc2=size=320x180:rate=25";
/// A key frame every so many pictures.
const GOP: u32 = 10;

/// How long streams are damaged, unless `LIANMAI_FAULT_SECONDS` says otherwise.
fn time() -> Duration {
    let asked = std::env::var("LIANMAI_FAULT_SECONDS").ok();
    Duration::from_secs(asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(5))
}

/// What one host sends.
#[derive(Debug, PartialEq)]
struct Round {
    codec: Codec,
    pictures: Vec<Arrival>,
}

/// What became of it.
#[derive(Default)]
struct Seen {
    decoder: HostDecoder,
    now: EdgeTime,
    shown: usize,
    asked: usize,
}

impl Sink for Seen {
    fn sound(&mut self, _: HostId, _: Pcm, _: EdgeTime) {}
    fn picture(&mut self, _: HostId, task: Task) -> bool {
        let outcome = self.decoder.decode(self.now, &task);
        self.shown += usize::from(outcome.frame.is_some());
        self.asked += usize::from(outcome.key_frame_needed);
        true
    }
    fn restarted(&mut self, _: HostId, _: lianmai_timeline::Kind) {
        self.decoder.restart();
    }
}

/// One host on a clock of its own.
struct Sender {
    ingest: Ingest,
    seen: Seen,
    sequence: u16,
    timestamp: u32,
}

impl Sender {
    fn new(codec: Codec) -> Self {
        let (mut ingest, mut seen) = (Ingest::default(), Seen::default());
        seen.now = EdgeTime(90_000_000_000);
        let video = VideoSource {
            payload_type: VIDEO,
            codec,
            orientation_extension: None,
        };
        ingest.add_host(HOST, None, Some(video), &mut seen);
        Self {
            ingest,
            seen,
            sequence: 65_500,
            timestamp: u32::MAX - 100_000,
        }
    }

    fn send(&mut self, picture: &[Option<Vec<u8>>]) {
        for (number, payload) in picture.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let Some(payload) = payload else { continue };
            let datagram = self.datagram(number + 1 == picture.len(), payload);
            self.ingest.handle_input(self.seen.now, &datagram, &mut self.seen);
        }
        self.ingest.handle_timeout(self.seen.now, &mut self.seen);
        self.seen.now = self.seen.now + PICTURE;
        self.timestamp = self.timestamp.wrapping_add(3600);
    }

    fn datagram(&self, marker: bool, payload: &[u8]) -> Vec<u8> {
        let message = Message {
            kind: Kind::Rtp,
            host: HOST,
            arrival_ns: self.seen.now.0.unsigned_abs(),
            body: &[],
        };
        let mut datagram = message.header().to_vec();
        datagram.extend([0x80, u8::from(marker) << 7 | VIDEO]);
        datagram.extend(self.sequence.to_be_bytes());
        datagram.extend(self.timestamp.to_be_bytes());
        datagram.extend(1u32.to_be_bytes());
        datagram.extend_from_slice(payload);
        datagram
    }

    /// Takes out what still waits.
    fn finish(&mut self) {
        self.seen.now = self.seen.now + Span::from_secs(3);
        self.ingest.handle_timeout(self.seen.now, &mut self.seen);
    }
}

/// Runs a round, then a whole stream of two groups of pictures, the second of which has to be seen.
fn run(round: &Round, whole: &[Vec<Bytes>]) -> (Counters, usize) {
    let mut sender = Sender::new(round.codec);
    round.pictures.iter().for_each(|picture| sender.send(picture));
    sender.finish();
    let before = sender.seen.shown;
    for picture in &whole[..2 * GOP as usize] {
        let arrival: Arrival = picture.iter().map(|payload| Some(payload.to_vec())).collect();
        sender.send(&arrival);
    }
    sender.finish();
    let after = sender.seen.shown - before;
    assert!(
        after >= GOP as usize,
        "{after} pictures of {} whole ones are seen after a damaged stream",
        2 * GOP
    );
    (sender.seen.decoder.counters(), sender.seen.asked)
}

impl Round {
    fn damaged(seed: u64, streams: &Streams) -> Self {
        let codec = if seed.is_multiple_of(2) {
            Codec::H264
        } else {
            Codec::Vp8
        };
        let stream = streams.of(codec);
        let mut damage = Damage::new(seed, &streams.foreign);
        let pictures = (0..stream.len()).map(|index| damage.picture(stream, index));
        Self {
            codec,
            pictures: pictures.collect(),
        }
    }

    /// A byte for the codec; a 16-bit number of packets for each picture; a 16-bit length for each packet, 0xffff for one
    /// that is lost.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![match self.codec {
            Codec::H264 => 0,
            Codec::Vp8 => 1,
        }];
        let number = |len: usize| u16::try_from(len).expect("short").to_be_bytes();
        for picture in &self.pictures {
            bytes.extend(number(picture.len()));
            for packet in picture {
                let Some(payload) = packet else {
                    bytes.extend([0xff, 0xff]);
                    continue;
                };
                bytes.extend(number(payload.len()));
                bytes.extend_from_slice(payload);
            }
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (codec, mut rest) = bytes.split_first()?;
        let codec = if *codec == 0 { Codec::H264 } else { Codec::Vp8 };
        let mut pictures = Vec::new();
        while !rest.is_empty() {
            let packets = number(&mut rest)?;
            pictures.push(
                (0..packets)
                    .map(|_| packet(&mut rest))
                    .collect::<Option<Arrival>>()?,
            );
        }
        Some(Self { codec, pictures })
    }
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}

fn packet(rest: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let len = number(rest)?;
    if len == u16::MAX {
        return Some(None);
    }
    let (payload, after) = rest.split_at_checked(usize::from(len))?;
    *rest = after;
    Some(Some(payload.to_vec()))
}

/// Whole streams, to be damaged.
struct Streams {
    h264: Vec<Vec<Bytes>>,
    vp8: Vec<Vec<Bytes>>,
    foreign: Vec<Bytes>,
}

impl Streams {
    fn new() -> Self {
        // Larger and smaller ones, with parameter sets of their own.
        let others = ["testsrc2=size=640x360:rate=25", "testsrc2=size=176x144:rate=25"];
        let foreign = others
            .iter()
            .flat_map(|source| [streams::h264(source, 0.2, 2), streams::vp8(source, 0.2, 2)]);
        Self {
            h264: streams::h264(LIVELY, 2.0, GOP),
            vp8: streams::vp8(LIVELY, 2.0, GOP),
            foreign: foreign.flatten().flatten().collect(),
        }
    }

    fn of(&self, codec: Codec) -> &[Vec<Bytes>] {
        match codec {
            Codec::H264 => &self.h264,
            Codec::Vp8 => &self.vp8,
        }
    }
}

#[test]
fn damaged_streams_are_survived_and_whole_ones_are_seen_after_them() {
    let streams = Streams::new();
    let file = std::env::temp_dir().join(format!("lianmai-{}.round", std::process::id()));
    let (mut rounds, mut decoded, mut errors, mut asked) = (0, 0, 0, 0);
    let end = Instant::now() + time();
    while Instant::now() < end || rounds < 20 {
        let round = Round::damaged(rounds, &streams);
        fs::write(&file, round.to_bytes()).expect("written");
        let (counters, asks) = run(&round, streams.of(round.codec));
        decoded += counters.decoded;
        errors += counters.errors;
        asked += asks;
        rounds += 1;
    }
    fs::remove_file(&file).expect("it is there");
    println!("{rounds} rounds: {decoded} pictures decoded, {errors} refused, {asked} key frames asked for");
    assert!(decoded > rounds && errors > rounds && asked as u64 > rounds);
}

#[test]
fn rounds_that_did_harm_once_do_none() {
    let streams = Streams::new();
    let rounds = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/video/faults");
    let files: Vec<PathBuf> = fs::read_dir(rounds)
        .expect("a directory")
        .map(|entry| entry.expect("a file").path())
        .collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        let round = Round::from_bytes(&fs::read(file).expect("read")).expect("a round");
        run(&round, streams.of(round.codec));
    }
}

#[test]
fn a_round_is_written_down_whole() {
    let pictures = vec![vec![Some(vec![1, 2, 3]), None], vec![], vec![Some(vec![])]];
    let round = Round {
        codec: Codec::Vp8,
        pictures,
    };
    assert_eq!(Round::from_bytes(&round.to_bytes()), Some(round));
}
