//! Publishers and players that come, go, stall and return.

mod common;

use common::{Edge, PATIENCE, Peer, video_header};
use lianmai_origin::Network;
use lianmai_rtmp::flv::FlvReader;
use lianmai_rtmp::{Client, ClientError, ClientEvent, Tag};
use std::time::Duration;

/// A frame whose body says which one it is.
fn frame(number: u32, key: bool, length: usize) -> Tag {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(length, 0);
    Tag::avc_frame(number * 40, key, &body)
}

fn number(tag: &Tag) -> u32 {
    u32::from_be_bytes(tag.body[5..9].try_into().expect("four bytes"))
}

#[tokio::test]
async fn the_second_publisher_of_a_name_is_refused_and_the_first_goes_on() {
    let edge = Edge::new(|_| ()).await;
    let mut first = edge.publish("room").await;
    let Err(ClientError::Refused { code, .. }) =
        Peer::open(&edge, Client::publish(&edge.target("room"))).await
    else {
        panic!("not refused")
    };
    assert_eq!(code, "NetStream.Publish.BadName");
    assert_eq!(edge.metric("origin_refused_total{reason=\"name taken\"}"), 1);
    let mut player = edge.play("room").await;
    first.send(&frame(1, true, 10)).await;
    assert_eq!(player.next_frame().await, frame(1, true, 10));
}

#[tokio::test]
async fn only_listed_addresses_publish_and_everybody_plays() {
    let elsewhere: Network = "10.0.0.0/8".parse().expect("a range");
    let edge = Edge::new(|config| config.publish_from = vec![elsewhere]).await;
    let Err(ClientError::Refused { code, .. }) =
        Peer::open(&edge, Client::publish(&edge.target("room"))).await
    else {
        panic!("not refused")
    };
    assert_eq!(code, "NetStream.Publish.Denied");
    assert_eq!(
        edge.metric("origin_refused_total{reason=\"publisher address\"}"),
        1
    );
}

#[tokio::test]
async fn what_nobody_publishes_is_not_found() {
    let edge = Edge::new(|_| ()).await;
    let Err(ClientError::Refused { code, .. }) = Peer::open(&edge, Client::play(&edge.target("room"))).await
    else {
        panic!("not refused")
    };
    assert_eq!(code, "NetStream.Play.StreamNotFound");
    assert!(edge.origin.subscribe("room").is_none());
    assert!(edge.origin.subscribe("").is_none());
}

#[tokio::test]
async fn a_late_player_starts_with_headers_and_the_group_so_far() {
    let edge = Edge::new(|_| ()).await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&video_header()).await;
    for n in 0..40 {
        publisher.send(&frame(n, n % 25 == 0, 100)).await;
    }
    let mut early = edge.play("room").await;
    while number(&early.next_frame().await) < 39 {}
    let mut late = edge.play("room").await;
    assert!(late.next_tag().await.is_sequence_header());
    for n in 25..40 {
        assert_eq!(number(&late.next_tag().await), n);
    }
}

#[tokio::test]
async fn times_over_2_31_and_2_32_arrive_as_published() {
    let edge = Edge::new(|_| ()).await;
    for (round, edge_of_time) in [1_u32 << 31, 0].into_iter().enumerate() {
        let room = format!("room{round}");
        let mut publisher = edge.publish(&room).await;
        publisher.send(&video_header()).await;
        let tags: Vec<Tag> = (0..50_u32)
            .map(|n| {
                Tag::avc_frame(
                    edge_of_time.wrapping_sub(1000).wrapping_add(n * 40),
                    n % 25 == 0,
                    &[1; 9000],
                )
            })
            .collect();
        publisher.send(&tags[0]).await;
        let mut player = edge.play(&room).await;
        let mut flv = edge.origin.subscribe(&room).expect("published");
        for tag in &tags[1..] {
            publisher.send(tag).await;
        }
        for tag in &tags {
            assert_eq!(player.next_frame().await, *tag);
        }
        let (mut reader, mut read) = (FlvReader::new(), Vec::new());
        while read.len() < tags.len() {
            reader.push(&flv.recv().await.expect("live"));
            read.extend(std::iter::from_fn(|| reader.next_tag().expect("FLV")).filter(Tag::is_frame));
        }
        assert_eq!(read, tags);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_that_stalls_skips_to_a_key_frame_and_disturbs_nobody() {
    let edge = Edge::new(|_| ()).await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&video_header()).await;
    let (mut slow, mut fast) = (edge.play("room").await, edge.play("room").await);
    // 60 MB in lockstep with the fast player: beyond the slow one's queue and every kernel buffer.
    const FRAMES: u32 = 1500;
    for n in 0..FRAMES {
        publisher.send(&frame(n, n % 25 == 0, 40_000)).await;
        assert_eq!(
            number(&fast.next_frame().await),
            n,
            "the fast player misses nothing"
        );
    }
    let dropped = edge.metric("origin_dropped_frames_total");
    assert!(dropped > 0);
    let (mut seen, mut previous) = (0, None);
    while previous != Some(FRAMES - 1) {
        let tag = slow.next_frame().await;
        let current = number(&tag);
        assert!(
            tag.is_key_frame() || previous == Some(current - 1),
            "{current} after {previous:?}"
        );
        previous = Some(current);
        seen += 1;
    }
    assert_eq!(seen + dropped, u64::from(FRAMES));
}

#[tokio::test]
async fn a_player_that_takes_nothing_for_too_long_is_closed() {
    let edge = Edge::new(|config| config.write_timeout = Duration::from_millis(300)).await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&video_header()).await;
    let _stuck = edge.play("room").await;
    for n in 0..600 {
        publisher.send(&frame(n, n % 25 == 0, 40_000)).await;
    }
    edge.until("closed", |edge| {
        edge.metric("origin_closed_total{reason=\"stuck player\"}") == 1
    })
    .await;
    edge.until("its place is free", |edge| edge.metric("origin_players") == 0)
        .await;
}

#[tokio::test]
async fn players_wait_for_a_publisher_that_returns_and_their_clock_goes_on() {
    let edge = Edge::new(|_| ()).await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&video_header()).await;
    publisher.send(&frame(1000, true, 10)).await;
    let (mut player, mut flv) = (
        edge.play("room").await,
        edge.origin.subscribe("room").expect("published"),
    );
    let before = player.next_frame().await.timestamp_ms;
    assert_eq!(before, 40_000);
    drop(publisher);
    edge.until("the publisher is gone", |edge| {
        !edge.origin.streams()[0].publishing
    })
    .await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&video_header()).await;
    publisher.send(&frame(0, true, 10)).await;
    publisher.send(&frame(5, false, 10)).await;
    let (key, inter) = (player.next_frame().await, player.next_frame().await);
    assert!(
        key.is_key_frame() && (before..before + 30_000).contains(&key.timestamp_ms),
        "{}",
        key.timestamp_ms
    );
    assert_eq!(inter.timestamp_ms - key.timestamp_ms, 200);
    let (mut reader, mut times) = (FlvReader::new(), Vec::new());
    while times.len() < 3 {
        reader.push(&flv.recv().await.expect("live"));
        let frames = std::iter::from_fn(|| reader.next_tag().expect("FLV")).filter(Tag::is_frame);
        times.extend(frames.map(|tag| tag.timestamp_ms));
    }
    assert_eq!(times, [before, key.timestamp_ms, inter.timestamp_ms]);
}

#[tokio::test]
async fn players_of_a_publisher_that_stays_away_are_told_and_ended() {
    let edge = Edge::new(|config| config.hold = Duration::from_millis(600)).await;
    let publisher = edge.publish("room").await;
    let (mut player, mut flv) = (
        edge.play("room").await,
        edge.origin.subscribe("room").expect("published"),
    );
    drop(publisher);
    assert_eq!(player.next().await, Ok(Some(ClientEvent::Ended)));
    assert_eq!(
        tokio::time::timeout(PATIENCE, flv.recv()).await.expect("in time"),
        None
    );
    assert!(edge.origin.streams().is_empty());
}

#[tokio::test]
async fn a_silent_publisher_is_closed_and_its_name_is_free() {
    let edge = Edge::new(|config| config.idle_timeout = Duration::from_millis(300)).await;
    let mut publisher = edge.publish("room").await;
    assert_eq!(publisher.next().await, Ok(None));
    assert_eq!(edge.metric("origin_closed_total{reason=\"idle publisher\"}"), 1);
    edge.publish("room").await;
}

#[tokio::test]
async fn the_flv_header_names_the_tracks_there_are() {
    let edge = Edge::new(|_| ()).await;
    let mut publisher = edge.publish("room").await;
    publisher.send(&Tag::aac_sequence_header(0, &[0x11, 0x90])).await;
    publisher.send(&Tag::aac_frame(0, b"sound")).await;
    edge.until("sound is announced", |edge| edge.origin.streams()[0].audio)
        .await;
    let mut flv = edge.origin.subscribe("room").expect("published");
    publisher.send(&Tag::aac_frame(20, b"sound")).await;
    assert_eq!(flv.recv().await.expect("live")[..5], *b"FLV\x01\x04");
}

#[tokio::test]
async fn a_shutdown_tells_players_and_frees_the_port() {
    let edge = Edge::new(|_| ()).await;
    let mut publisher = edge.publish("room").await;
    let mut player = edge.play("room").await;
    edge.origin.shutdown();
    assert_eq!(player.next().await, Ok(Some(ClientEvent::Ended)));
    assert_eq!(publisher.next().await, Ok(None));
    edge.until("all closed", |edge| edge.metric("origin_connections") == 0)
        .await;
    assert!(
        tokio::net::TcpStream::connect(edge.origin.local_addr())
            .await
            .is_err()
    );
}
