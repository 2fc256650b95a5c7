//! AV1, Opus, AVC and AAC by FourCC, made by ffmpeg's encoders, put into tags here, and decoded by another FFmpeg: that of PyPI's
//! `av`, since Debian's is older than the FourCCs of sound.

mod common;

use common::nginx::output;
use common::{Scratch, program, sample};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::file_header;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Decodes everything, and prints each stream as `codec frames`.
const READ: &str = "
import av, collections, sys
container = av.open(sys.argv[1])
frames = collections.Counter()
for packet in container.demux():
    for frame in packet.decode():
        frames[packet.stream.type + ' ' + packet.stream.codec_context.codec.canonical_name] += 1
for name, count in sorted(frames.items()):
    print(name, count)
";

/// A Python that has `av`: one that is named, or the one that `cargo xtask setup` made.
fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    let python = std::env::var_os("LIANMAI_PYTHON").map_or(made, PathBuf::from);
    let works = Command::new(&python).args(["-c", "import av"]).output();
    assert!(
        works.is_ok_and(|output| output.status.success()),
        "this test needs a Python with `av` at {}: cargo xtask setup",
        python.display()
    );
    python
}

fn decode(tags: &[Tag]) -> Vec<String> {
    let scratch = Scratch::new();
    let file = scratch.0.join("enhanced.flv");
    let mut flv = file_header(true, true).to_vec();
    tags.iter().for_each(|tag| flv.extend_from_slice(&tag.to_flv()));
    std::fs::write(&file, flv).expect("written");
    let printed = output(Command::new(python()).args(["-c", READ]).arg(&file));
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn avc_and_aac_by_four_cc_are_decoded_by_a_newer_ffmpeg() {
    let tags = sample(2);
    let enhanced: Vec<Tag> = tags.iter().map(Tag::enhanced).collect();
    assert!(
        enhanced
            .iter()
            .all(|tag| !matches!(tag.body[0], 0x17 | 0x27 | 0xaf))
    );
    let decoded = decode(&enhanced);
    assert_eq!(decoded[1], "video h264 50", "{decoded:?}");
    assert!(decoded[0].starts_with("audio aac 9"), "{decoded:?}");
}

#[test]
fn av1_and_opus_are_decoded_by_a_newer_ffmpeg() {
    let scratch = Scratch::new();
    let (ivf, mp4, ogg) = (
        scratch.0.join("a.ivf"),
        scratch.0.join("a.mp4"),
        scratch.0.join("a.ogg"),
    );
    let video = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1"];
    let av1 = [
        "-c:v",
        "libaom-av1",
        "-cpu-used",
        "8",
        "-usage",
        "realtime",
        "-g",
        "25",
        "-b:v",
        "300k",
    ];
    output(
        program("ffmpeg", "ffmpeg")
            .args(["-v", "error"])
            .args(video)
            .args(av1)
            .arg(&ivf),
    );
    // The record that containers keep stands in MP4 alone.
    output(
        program("ffmpeg", "ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&ivf)
            .args(["-c", "copy"])
            .arg(&mp4),
    );
    let sound = [
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000:duration=1",
    ];
    let opus = ["-c:a", "libopus", "-ac", "2"];
    output(
        program("ffmpeg", "ffmpeg")
            .args(["-v", "error"])
            .args(sound)
            .args(opus)
            .arg(&ogg),
    );
    let mut tags = vec![
        Tag::av1_sequence_header(0, &av1_record(&std::fs::read(&mp4).expect("read"))),
        Tag::opus_sequence_header(0, 2, 312),
    ];
    let units = ivf_frames(&std::fs::read(&ivf).expect("read"));
    let packets = ogg_packets(&std::fs::read(&ogg).expect("read"));
    assert_eq!(units.len(), 25);
    for (index, unit) in (0..).zip(&units) {
        // A temporal delimiter is an OBU of two bytes, and is left out.
        let obus = unit.strip_prefix(b"\x12\0").expect("a temporal delimiter");
        tags.push(Tag::av1_frame(index * 40, index == 0, obus));
    }
    // The first two are headers.
    for (index, packet) in (0..).zip(&packets[2..]) {
        tags.push(Tag::opus_frame(index * 20, packet));
    }
    tags[2..].sort_by_key(|tag| tag.timestamp_ms);
    let decoded = decode(&tags);
    assert_eq!(
        decoded.last().map(String::as_str),
        Some("video av1 25"),
        "{decoded:?}"
    );
    assert!(decoded[0].starts_with("audio opus 5"), "{decoded:?}");
}

/// The content of the `av1C` box.
fn av1_record(mp4: &[u8]) -> Vec<u8> {
    let at = mp4
        .windows(4)
        .position(|bytes| bytes == b"av1C")
        .expect("an av1C box");
    let size = u32::from_be_bytes(mp4[at - 4..at].try_into().expect("four bytes"));
    mp4[at + 4..at - 4 + size as usize].to_vec()
}

/// Frames behind the file's header of 32 bytes, each behind one of 12.
fn ivf_frames(ivf: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &ivf[32..];
    std::iter::from_fn(|| {
        let size = u32::from_le_bytes(*rest.first_chunk::<4>()?) as usize;
        let frame = rest[12..12 + size].to_vec();
        rest = &rest[12 + size..];
        Some(frame)
    })
    .collect()
}

/// Packets of one logical stream (RFC 3533 §6).
fn ogg_packets(ogg: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut packet, mut rest) = (Vec::new(), Vec::new(), ogg);
    while let Some(page) = rest.strip_prefix(b"OggS") {
        let lacing = &page[23..23 + usize::from(page[22])];
        let mut data = &page[23 + lacing.len()..];
        for &length in lacing {
            let (segment, tail) = data.split_at(usize::from(length));
            packet.extend_from_slice(segment);
            data = tail;
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = data;
    }
    packets
}
