//! Mixes that are coded otherwise than H.264 and AAC, decoded by a newer FFmpeg.

use super::common::Directory;
use super::common::daemon::{Daemon, settings};
use super::common::host::Host;
use super::common::media::{self, Decoded, RATE, loudness, mean};
use super::common::sink::{Sink, write_flv};
use super::common::streams;
use super::{RED, finish, is_red, play, times};
use lianmai_mixer::clock;
use lianmai_mixer_control::{AudioCodec, Coding, FromMixer, Profile, Settings, VideoCodec};
use lianmai_rtmp::amf0::{self, Value};
use lianmai_rtmp::{Tag, TagKind};
use lianmai_timeline::Span;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python that has `av`: one that is named, or the one that `cargo xtask setup` made.
fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python");
    std::env::var_os("LIANMAI_PYTHON").map_or(made, PathBuf::from)
}

/// What PyAV decodes, and the codecs that it found.
fn decode(tags: &[Tag]) -> (Decoded, String) {
    let directory = Directory::new();
    let [file, pictures, sound] = ["mix.flv", "pictures", "sound"].map(|name| directory.path().join(name));
    write_flv(tags, &file);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/coding/decode.py");
    let output = Command::new(python())
        .arg(script)
        .args([&file, &pictures, &sound])
        .arg("yuv420p")
        .output()
        .expect("this test needs target/python: cargo xtask setup");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    let read = |file| std::fs::read(file).expect("written");
    let (raw, sound) = (read(&pictures), read(&sound));
    let decoded = Decoded {
        pictures: raw.chunks_exact(320 * 180 * 3 / 2).map(<[u8]>::to_vec).collect(),
        sound: sound
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
    };
    let printed = String::from_utf8_lossy(&output.stdout);
    let codecs: Vec<&str> = printed.split_whitespace().take(2).collect();
    (decoded, codecs.join(" "))
}

/// Seconds that a red host with a tone is in the mix.
const SECONDS: i64 = 4;

/// The mix of one host, and what the mixer last said of it.
fn mix(settings: Settings) -> (Vec<Tag>, lianmai_mixer_control::MixStats) {
    let seconds = SECONDS as f64 + 1.0;
    let mut red = Host::new(
        1,
        "red",
        streams::h264(RED, seconds, 30),
        media::tone(440.0, seconds, |_| true),
    );
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings);
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(200);
    red.join(&mut daemon, start);
    play(&daemon, &mut [&mut red], start + Span::from_secs(SECONDS));
    let FromMixer::Stats(stats) = daemon.wait_for("statistics", |said| matches!(said, FromMixer::Stats(_)))
    else {
        unreachable!("waited for statistics");
    };
    (finish(daemon, &sink), stats)
}

fn check(tags: &[Tag], codecs: &str) {
    assert!(
        tags.iter()
            .filter(|tag| tag.is_frame())
            .map(|tag| tag.timestamp_ms)
            .is_sorted(),
        "one order of time"
    );
    let (decoded, found) = decode(tags);
    assert_eq!(found, codecs);
    assert_eq!(
        decoded.pictures.len(),
        times(tags, TagKind::Video).len(),
        "every picture decodes"
    );
    let last = decoded.pictures.last().expect("pictures");
    let seen = mean(last, 60, 40, 200, 100);
    assert!(is_red(seen), "the host is seen: {seen:?}");
    let heard = &decoded.sound[decoded.sound.len() - RATE..];
    let (tone, other) = (loudness(heard, 440.0), loudness(heard, 1000.0));
    assert!(
        tone > 0.1 && other < 0.02,
        "the host is heard: {tone} and {other}"
    );
}

fn codec_ids(tags: &[Tag]) -> [Option<f64>; 2] {
    let script = tags
        .iter()
        .find(|tag| tag.kind == TagKind::Script)
        .expect("metadata");
    let values = amf0::decode(&script.body).expect("AMF0");
    ["videocodecid", "audiocodecid"].map(|name| values[1].get(name).and_then(Value::as_number))
}

fn number(four_cc: &[u8; 4]) -> Option<f64> {
    Some(f64::from(u32::from_be_bytes(*four_cc)))
}

#[test]
fn av1_and_opus_are_decoded_by_a_newer_ffmpeg_and_show_the_host() {
    let mut settings = settings();
    settings.canvas.fps = 15;
    settings.coding = Coding {
        video: VideoCodec::Av1,
        audio: AudioCodec::Opus,
        ..Coding::default()
    };
    let (tags, stats) = mix(settings);
    let sounds = times(&tags, TagKind::Audio);
    assert!(
        sounds.windows(2).all(|pair| pair[1] - pair[0] == 20),
        "{sounds:?}"
    );
    let pictures = times(&tags, TagKind::Video);
    println!(
        "AV1 at 320x180@15: {} pictures in {} ms, {} left out, ticks of {:.1} ms",
        pictures.len(),
        pictures[pictures.len() - 1] - pictures[0],
        stats.frames_left_out,
        stats.tick_p50_ms
    );
    assert!(pictures.len() > 30, "{}", pictures.len());
    assert_eq!(codec_ids(&tags), [number(b"av01"), number(b"Opus")]);
    check(&tags, "av1 opus");
}

#[test]
fn h264_of_the_high_profile_goes_with_opus() {
    let mut settings = settings();
    settings.coding = Coding {
        audio: AudioCodec::Opus,
        profile: Profile::High,
        ..Coding::default()
    };
    let (tags, _) = mix(settings);
    assert_eq!(codec_ids(&tags), [number(b"avc1"), number(b"Opus")]);
    check(&tags, "h264 opus");
}
