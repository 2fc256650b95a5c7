//! What strangers may send.

mod common;

use common::{Edge, PATIENCE, video_header};
use lianmai_rtmp::Tag;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROTOCOL: &str = "origin_closed_total{reason=\"protocol\"}";

/// A simple handshake (RTMP 1.0 §5.2), done.
async fn shake_hands(edge: &Edge) -> TcpStream {
    let mut stream = edge.connect().await;
    stream
        .write_all(&[&[3][..], &[0; 1536]].concat())
        .await
        .expect("C0 and C1");
    let mut answer = vec![0; 1 + 2 * 1536];
    stream.read_exact(&mut answer).await.expect("S0, S1 and S2");
    stream.write_all(&answer[1..1537]).await.expect("C2");
    stream
}

/// Until the origin closes.
async fn await_close(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the origin keeps the connection");
}

/// A command message of these bytes on chunk stream 3, in one chunk of up to 128 bytes or declared longer.
fn command(declared: usize, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(declared).expect("24 bits").to_be_bytes();
    [&[3, 0, 0, 0], &length[1..], &[20, 0, 0, 0, 0], body].concat()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).expect("8 bits")
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn another_protocol_is_closed_at_its_first_byte() {
    let edge = Edge::new(|_| ()).await;
    for greeting in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00", b"\x06"] {
        let mut stream = edge.connect().await;
        stream.write_all(greeting).await.expect("written");
        await_close(&mut stream).await;
    }
    assert_eq!(edge.metric(PROTOCOL), 3);
}

#[tokio::test]
async fn noise_behind_the_handshake_is_closed_and_a_running_stream_does_not_notice() {
    let edge = Edge::new(|_| ()).await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&video_header()).await;
    let mut player = edge.play("room").await;
    for seed in 1..40 {
        let mut stream = shake_hands(&edge).await;
        // The origin may close while this is still being written.
        let _ = stream.write_all(&noise(seed, 100_000)).await;
        await_close(&mut stream).await;
        let frame = Tag::avc_frame(u32::try_from(seed).expect("small"), true, b"key");
        publisher.send(&frame).await;
        assert_eq!(player.next_frame().await, frame);
    }
    assert!(edge.metric(PROTOCOL) > 0);
    edge.until("all gone", |edge| edge.metric("origin_connections") == 2)
        .await;
}

#[tokio::test]
async fn a_huge_declared_length_is_closed_before_it_arrives() {
    let edge = Edge::new(|_| ()).await;
    let mut stream = shake_hands(&edge).await;
    stream
        .write_all(&command(0xff_ffff, &[0; 64]))
        .await
        .expect("written");
    await_close(&mut stream).await;
    assert_eq!(edge.metric(PROTOCOL), 1);
}

#[tokio::test]
async fn nested_amf0_is_closed() {
    let edge = Edge::new(|_| ()).await;
    let mut stream = shake_hands(&edge).await;
    let bomb = [0x0a, 0, 0, 0, 1].repeat(10_000);
    let chunks = bomb.chunks(128).collect::<Vec<_>>().join(&[0xc3][..]);
    let _ = stream.write_all(&command(bomb.len(), &chunks)).await;
    await_close(&mut stream).await;
    assert_eq!(edge.metric(PROTOCOL), 1);
}

#[tokio::test]
async fn a_handshake_or_a_command_cut_short_is_closed_in_time() {
    let edge = Edge::new(|config| config.handshake_timeout = Duration::from_millis(300)).await;
    let mut nothing = edge.connect().await;
    let mut half = edge.connect().await;
    half.write_all(&[3; 700]).await.expect("written");
    let mut truncated = shake_hands(&edge).await;
    truncated
        .write_all(&command(100, b"\x02\x00\x07con"))
        .await
        .expect("written");
    for stream in [&mut nothing, &mut half, &mut truncated] {
        await_close(stream).await;
    }
    assert_eq!(
        edge.metric("origin_closed_total{reason=\"handshake timeout\"}"),
        3
    );
}

/// Feeding a byte now and then must not buy more time.
#[tokio::test]
async fn a_trickle_does_not_extend_the_handshake_timeout() {
    let edge = Edge::new(|config| config.handshake_timeout = Duration::from_millis(300)).await;
    let mut stream = edge.connect().await;
    let trickle = async {
        while stream.write_all(&[3]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trickle).await.expect("closed");
    assert_eq!(
        edge.metric("origin_closed_total{reason=\"handshake timeout\"}"),
        1
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_places_come_back() {
    let edge = Edge::new(|config| config.max_connections = 2).await;
    let first = shake_hands(&edge).await;
    let _second = shake_hands(&edge).await;
    await_close(&mut edge.connect().await).await;
    assert_eq!(
        edge.metric("origin_refused_total{reason=\"too many connections\"}"),
        1
    );
    drop(first);
    edge.until("a place", |edge| edge.metric("origin_connections") == 1)
        .await;
    shake_hands(&edge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_messages_of_many_strangers_take_little_memory() {
    let edge = Edge::new(|_| ()).await;
    let before = resident();
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = shake_hands(&edge).await;
        // The largest message that strangers may begin; its last byte never comes.
        let body = vec![0; 60_000];
        let chunks = body.chunks(128).collect::<Vec<_>>().join(&[0xc3][..]);
        stream
            .write_all(&command(60_001, &chunks))
            .await
            .expect("written");
        streams.push(stream);
    }
    edge.until("all read", |edge| {
        edge.metric("origin_received_bytes_total") > 200 * 60_000
    })
    .await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "200 strangers cost {grown} bytes");
    assert_eq!(edge.metric("origin_connections"), 200);
}

/// Bytes of memory in use (proc(5), `statm`).
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("a number");
    pages * 4096
}
