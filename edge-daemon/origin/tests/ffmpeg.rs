//! ffmpeg publishes, ffmpeg plays.

mod common;

use common::{Edge, PATIENCE, Scratch, ffmpeg, output};
use lianmai_rtmp::flv::FlvReader;
use lianmai_rtmp::{Tag, TagKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Child;

/// Six seconds in one group of pictures: whoever joins before the end gets all of it.
async fn sample(scratch: &Scratch) -> PathBuf {
    let path = scratch.0.join("sample.flv");
    output(
        ffmpeg("ffmpeg")
            .args(["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6"])
            .args([
                "-f",
                "lavfi",
                "-i",
                "sine=frequency=440:sample_rate=48000:duration=6",
            ])
            .args([
                "-c:v",
                "libx264",
                "-profile:v",
                "baseline",
                "-preset",
                "ultrafast",
                "-g",
                "250",
            ])
            .args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"])
            .arg(&path),
    )
    .await;
    path
}

/// Publishes a file at its own speed; times begin at `offset` seconds.
async fn publish(edge: &Edge, sample: &Path, stream: &str, offset: &str) -> Child {
    let child = ffmpeg("ffmpeg")
        .args(["-re", "-i"])
        .arg(sample)
        .args([
            "-c",
            "copy",
            "-output_ts_offset",
            offset,
            "-f",
            "flv",
            &edge.url(stream),
        ])
        .spawn()
        .expect("ffmpeg runs");
    edge.until("ffmpeg publishes", |edge| {
        edge.origin
            .streams()
            .iter()
            .any(|stream| stream.publishing && stream.video && stream.audio)
    })
    .await;
    child
}

/// Decoded frames, of the pictures and of the sound.
async fn frames(source: &str) -> String {
    let entries = "stream=codec_type,nb_read_frames";
    let text = output(ffmpeg("ffprobe").args([
        "-count_frames",
        "-show_entries",
        entries,
        "-of",
        "csv=p=0",
        source,
    ]))
    .await;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join(" ")
}

/// Every frame of a file but the sound before the first picture, which no player gets.
fn frames_from_first_key(bytes: &[u8]) -> Vec<Tag> {
    let mut reader = FlvReader::new();
    reader.push(bytes);
    let frames = std::iter::from_fn(|| reader.next_tag().expect("FLV")).filter(Tag::is_frame);
    frames.skip_while(|tag| !tag.is_key_frame()).collect()
}

async fn flv(edge: &Edge, stream: &str) -> Vec<u8> {
    let mut stream = edge.origin.subscribe(stream).expect("published");
    let mut file = Vec::new();
    while let Some(piece) = tokio::time::timeout(PATIENCE, stream.recv())
        .await
        .expect("in time")
    {
        file.extend_from_slice(&piece);
    }
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_reaches_players_by_rtmp_and_by_flv() {
    let (scratch, edge) = (
        Scratch::new(),
        Edge::new(|config| config.hold = Duration::ZERO).await,
    );
    let sample = sample(&scratch).await;
    let mut publisher = publish(&edge, &sample, "a%20room", "0").await;
    let url = edge.url("a%20room");
    let (by_rtmp, by_flv) = tokio::join!(frames(&url), flv(&edge, "a room"));
    assert!(publisher.wait().await.expect("ended").success());
    let path = scratch.0.join("played.flv");
    std::fs::write(&path, &by_flv).expect("written");
    let published = frames_from_first_key(&std::fs::read(&sample).expect("the sample"));
    let sounds = published.iter().filter(|tag| tag.kind == TagKind::Audio).count();
    let expected = format!("audio,{sounds} video,150");
    assert!(sounds > 270, "{sounds} frames of 1024 samples in 6 s");
    assert_eq!(by_rtmp, expected);
    assert_eq!(frames(path.to_str().expect("text")).await, expected);
    assert_eq!(
        frames_from_first_key(&by_flv),
        published,
        "bodies and times as published"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_cross_24_bits_as_if_there_was_nothing() {
    let (scratch, edge) = (
        Scratch::new(),
        Edge::new(|config| config.hold = Duration::ZERO).await,
    );
    let sample = sample(&scratch).await;
    // 2^24 ms are 16777.216 s.
    let mut publisher = publish(&edge, &sample, "late", "16776").await;
    let url = edge.url("late");
    let (by_rtmp, by_flv) = tokio::join!(times(&url), flv(&edge, "late"));
    assert!(publisher.wait().await.expect("ended").success());
    assert_eq!(by_rtmp.len(), 150);
    assert!(
        by_rtmp
            .windows(2)
            .all(|pair| (pair[1] - pair[0] - 0.04).abs() < 0.002),
        "{by_rtmp:?}"
    );
    assert!(by_rtmp[0] < 16_777.0 && by_rtmp[149] > 16_778.0, "{by_rtmp:?}");
    let by_flv: Vec<u32> = frames_from_first_key(&by_flv)
        .iter()
        .map(|tag| tag.timestamp_ms)
        .collect();
    assert!(by_flv[0] < 1 << 24 && by_flv.last() > Some(&(1 << 24)));
}

/// The DTS of each picture.
async fn times(source: &str) -> Vec<f64> {
    let entries = "packet=dts_time";
    let selection = [
        "-select_streams",
        "v",
        "-show_packets",
        "-show_entries",
        entries,
        "-of",
        "csv=p=0",
        source,
    ];
    let text = output(ffmpeg("ffprobe").args(selection)).await;
    text.lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect()
}
