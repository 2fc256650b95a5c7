//! ffmpeg publishes, and ffmpeg reads the segments.

mod common;

use common::{Edge, PATIENCE, Scratch, ffmpeg, output, video_header};
use lianmai_origin::{HlsError, HlsFile};
use lianmai_rtmp::Tag;
use std::time::{Duration, Instant};

/// Six seconds at their own speed, with a key frame every two.
fn publish(edge: &Edge, stream: &str) -> tokio::process::Child {
    ffmpeg("ffmpeg")
        .args(["-re", "-f", "lavfi", "-i"])
        .arg("testsrc2=size=320x240:rate=25:duration=6[out0];sine=frequency=440:sample_rate=48000:duration=6[out1]")
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "0", "-pix_fmt", "yuv420p"])
        .args(["-c:a", "aac", "-ac", "2", "-f", "flv", &edge.url(stream)])
        .spawn()
        .expect("ffmpeg runs")
}

/// The list, as soon as there is one.
async fn list(edge: &Edge, stream: &str) -> Result<String, HlsError> {
    let bytes = edge.origin.hls(stream, HlsFile::Playlist).await?;
    Ok(String::from_utf8(bytes.to_vec()).expect("text"))
}

/// Writes everything that a list names beside it.
async fn save(edge: &Edge, stream: &str, list: &str, scratch: &Scratch) -> String {
    let maps = list
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"'));
    let segments = list.lines().filter(|line| !line.starts_with('#'));
    for name in maps.chain(segments) {
        let file = HlsFile::named(name).expect("a name of ours");
        let bytes = edge.origin.hls(stream, file).await.expect("it is listed");
        std::fs::write(scratch.0.join(name), bytes).expect("written");
    }
    let path = scratch.0.join("index.m3u8");
    std::fs::write(&path, list).expect("written");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_frame_of_a_stream_is_in_its_segments() {
    let edge = Edge::new(|config| config.hold = Duration::ZERO).await;
    let (scratch, mut publisher) = (Scratch::new(), publish(&edge, "room"));
    edge.until("ffmpeg publishes", |edge| {
        edge.origin.streams().iter().any(|stream| stream.publishing)
    })
    .await;
    let first = list(&edge, "room").await.expect("it waits for the first segment");
    assert!(
        first.contains("#EXT-X-TARGETDURATION:2\n") && !first.contains("ENDLIST"),
        "{first}"
    );
    assert_eq!(edge.metric("origin_hls_streams"), 1);
    let deadline = Instant::now() + PATIENCE;
    let whole = loop {
        let list = list(&edge, "room").await.expect("it goes on");
        if list.contains("#EXT-X-ENDLIST") {
            break list;
        }
        assert!(Instant::now() < deadline, "{list}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(publisher.wait().await.expect("ended").success());
    let path = save(&edge, "room", &whole, &scratch).await;
    output(ffmpeg("ffmpeg").args(["-i", &path, "-f", "null", "-"])).await;
    let entries = [
        "-count_frames",
        "-show_entries",
        "stream=codec_name,nb_read_frames",
        "-of",
        "csv=p=0",
    ];
    let frames = output(ffmpeg("ffprobe").args(entries).arg(&path)).await;
    assert!(frames.contains("h264,150\n"), "{frames}");
    let sounds = frames
        .lines()
        .find_map(|line| line.strip_prefix("aac,")?.parse::<u32>().ok());
    assert!(sounds.is_some_and(|sounds| sounds > 270), "{frames}");
    assert!(edge.metric("origin_hls_segments_total") >= 3);
}

#[tokio::test]
async fn a_stream_is_made_into_segments_only_while_somebody_asks() {
    let edge = Edge::new(|config| config.hls_idle = Duration::from_secs(1)).await;
    assert_eq!(list(&edge, "room").await, Err(HlsError::NotFound));
    let mut publisher = edge.publish("room").await;
    publisher.send(&Tag::aac_sequence_header(0, &[0x11, 0x90])).await;
    for frame in 0..150 {
        publisher.send(&Tag::aac_frame(frame * 21, b"sound")).await;
    }
    edge.until("the stream is there", |edge| !edge.origin.streams().is_empty())
        .await;
    let asking = {
        let origin = edge.origin.clone();
        tokio::spawn(async move { origin.hls("room", HlsFile::Playlist).await })
    };
    edge.until("it is watched", |edge| edge.metric("origin_hls_streams") == 1)
        .await;
    for frame in 150..300 {
        publisher.send(&Tag::aac_frame(frame * 21, b"sound")).await;
    }
    assert!(asking.await.expect("no panic").is_ok());
    edge.until("nobody asks any more", |edge| {
        edge.metric("origin_hls_streams") == 0 && edge.metric("origin_players") == 0
    })
    .await;
    assert_eq!(
        edge.origin.hls("room", HlsFile::Segment(0)).await,
        Err(HlsError::NotFound)
    );
}

#[tokio::test]
async fn what_cannot_be_watched_says_why() {
    let edge = Edge::new(|config| config.max_hls_streams = 1).await;
    let (mut odd, mut other) = (edge.publish("odd").await, edge.publish("other").await);
    // Its parameter sets are none.
    for publisher in [&mut odd, &mut other] {
        publisher.send(&video_header()).await;
        publisher.send(&Tag::avc_frame(0, true, b"picture")).await;
    }
    edge.until("both are there", |edge| {
        edge.origin.streams().iter().filter(|stream| stream.video).count() == 2
    })
    .await;
    let refused = list(&edge, "odd").await;
    assert!(matches!(refused, Err(HlsError::Unsupported(_))), "{refused:?}");
    assert_eq!(list(&edge, "other").await, Err(HlsError::TooMany));
    assert_eq!(
        edge.metric("origin_refused_total{reason=\"too many HLS streams\"}"),
        1
    );
}
