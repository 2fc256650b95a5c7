//! Real streams: ffmpeg's libvpx codes, and ffmpeg's own VP8 decoder says what has to come out.

use lianmai_vpx::{DecodeError, Decoder, LibvpxError, Picture};
use std::process::Command;

const MOST: usize = 1920 * 1088;

fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error"])
        .args(arguments)
        .output()
        .expect("ffmpeg is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// An IVF file of moving pictures, with key frames far apart.
fn ivf(directory: &tempfile::TempDir, size: &str, options: &[&str]) -> String {
    let file = directory.path().join("stream.ivf");
    let file = file.to_str().expect("text").to_owned();
    let source = format!("testsrc2=size={size}:rate=25,format=yuv420p");
    let input = [
        "-y",
        "-f",
        "lavfi",
        "-i",
        &source,
        "-t",
        "1.6",
        "-c:v",
        "libvpx",
        "-cpu-used",
        "5",
        "-g",
        "100",
    ];
    ffmpeg(&[&input[..], options, &[file.as_str()]].concat());
    file
}

/// 32 bytes of header, then 12 bytes before each frame, of which four are its length.
fn frames(file: &str) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).expect("read");
    let (mut rest, mut frames) = (&bytes[32..], Vec::new());
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        frames.push(after[..len].to_vec());
        rest = &after[len..];
    }
    frames
}

fn packed(picture: &Picture<'_>) -> Vec<u8> {
    let (width, height) = (picture.width, picture.height);
    let sizes = [
        (width, height),
        (width.div_ceil(2), height.div_ceil(2)),
        (width.div_ceil(2), height.div_ceil(2)),
    ];
    let planes = picture.planes.iter().zip(sizes);
    planes
        .flat_map(|((data, stride), (width, height))| {
            (0..height).flat_map(move |row| data[row * stride..row * stride + width].to_vec())
        })
        .collect()
}

#[test]
fn every_picture_is_the_one_that_another_decoder_makes() {
    let directory = tempfile::tempdir().expect("a directory");
    let partitions = [
        "-deadline",
        "realtime",
        "-slices",
        "4",
        "-error-resilient",
        "default+partitions",
    ];
    let cases: [(&str, &[&str]); 3] = [
        ("320x180", &["-deadline", "realtime"]),
        ("161x99", &["-auto-alt-ref", "1", "-lag-in-frames", "8"]),
        ("640x360", &partitions),
    ];
    for (size, options) in cases {
        let file = ivf(&directory, size, options);
        let theirs = ffmpeg(&[
            "-c:v",
            "vp8",
            "-i",
            &file,
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-",
        ]);
        let mut decoder = Decoder::new(MOST).expect("a decoder");
        let mut ours = Vec::new();
        for frame in frames(&file) {
            // A frame that others refer to and nobody sees gives none.
            ours.extend(
                decoder
                    .decode(&frame)
                    .expect("decodes")
                    .map(|picture| packed(&picture)),
            );
        }
        assert_eq!(ours.len(), 40, "{size}");
        assert!(ours.concat() == theirs, "{size}");
    }
}

#[test]
fn a_key_frame_larger_than_allowed_is_refused_by_its_header_alone() {
    let mut decoder = Decoder::new(320 * 180).expect("a decoder");
    let header = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f];
    assert_eq!(
        decoder.decode(&header).map(|_| ()),
        Err(DecodeError::TooLarge {
            width: 16_383,
            height: 16_383,
            most: 320 * 180
        })
    );
}

#[test]
fn a_stream_that_begins_without_a_key_frame_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let frames = frames(&ivf(&directory, "320x180", &["-deadline", "realtime"]));
    let refused = Decoder::new(MOST)
        .expect("a decoder")
        .decode(&frames[1])
        .map(|_| ());
    assert!(
        matches!(refused, Err(DecodeError::Libvpx(LibvpxError::Call(_)))),
        "{refused:?}"
    );
}

#[test]
fn no_frame_that_is_cut_gives_a_picture() {
    let directory = tempfile::tempdir().expect("a directory");
    let frames = frames(&ivf(&directory, "320x180", &["-deadline", "realtime"]));
    for place in [0, 3] {
        for tenths in 0..9 {
            let mut decoder = Decoder::new(MOST).expect("a decoder");
            for frame in &frames[..place] {
                decoder.decode(frame).expect("whole");
            }
            let cut = &frames[place][..frames[place].len() * tenths / 10];
            assert!(decoder.decode(cut).is_err(), "frame {place}, {tenths}/10");
        }
    }
}
