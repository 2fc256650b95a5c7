//! Damaged streams through the ingest and the decoders, as fast as they go. Every round is written down before it is
//! run, so that one that kills the process is still there: it belongs into `faults/rounds/`, from where it is run
//! ever after.

mod round;
mod sender;

use super::decoder::Counters;
use crate::testing::damage::{Arrival, Damage};
use crate::testing::streams;
use bytes::Bytes;
use lianmai_mixer_control::Codec;
use round::Round;
use sender::Sender;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LIVELY: &str = "testsrc2=size=320x180:rate=25";
/// A key frame every so many pictures.
const GOP: u32 = 10;

/// How long streams are damaged, unless `LIANMAI_FAULT_SECONDS` says otherwise.
fn time() -> Duration {
    let asked = std::env::var("LIANMAI_FAULT_SECONDS").ok();
    Duration::from_secs(asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(5))
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

/// Both codecs by turns.
fn damaged(seed: u64, streams: &Streams) -> Round {
    let codec = if seed.is_multiple_of(2) {
        Codec::H264
    } else {
        Codec::Vp8
    };
    let stream = streams.of(codec);
    let mut damage = Damage::new(seed, &streams.foreign);
    let pictures = (0..stream.len()).map(|index| damage.picture(stream, index));
    Round {
        codec,
        pictures: pictures.collect(),
    }
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
        let round = damaged(rounds, &streams);
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
    let rounds = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/video/faults/rounds");
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
