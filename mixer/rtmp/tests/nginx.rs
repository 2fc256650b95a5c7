//! The publisher against nginx with its RTMP module, read back by ffprobe and ffmpeg.

mod common;

use common::nginx::{Nginx, assert_steady, probe};
use common::pump::{Pump, await_publishing};
use common::{PATIENCE, program};
use lianmai_rtmp::publisher::{PublishError, PublisherEvent, PublisherState};

#[test]
fn nginx_takes_the_stream_and_ffmpeg_decodes_it() {
    let nginx = Nginx::new();
    let _server = nginx.start();
    let (publisher, events) = nginx.publisher("key?token=a/b");
    let _pump = Pump::start(&publisher, 0);
    await_publishing(&events);
    let (video, audio) = probe(&nginx.url("key"));
    assert_steady(&video, 50);
    assert_steady(&audio, 90);
    let decoded = program("ffmpeg", "ffmpeg")
        .args([
            "-v",
            "error",
            "-xerror",
            "-rw_timeout",
            "15000000",
            "-i",
            &nginx.url("key"),
            "-t",
            "2",
            "-f",
            "null",
            "-",
        ])
        .output()
        .expect("ffmpeg runs");
    assert!(
        decoded.status.success() && decoded.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&decoded.stderr)
    );
}

#[test]
fn a_second_publisher_of_the_name_is_told_what_nginx_says() {
    let nginx = Nginx::new();
    let _server = nginx.start();
    let (_first, events) = nginx.publisher("key");
    await_publishing(&events);
    let (_second, events) = nginx.publisher("key");
    loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if let PublisherEvent::State(PublisherState::Retrying { reason, .. }) = event {
            assert!(matches!(reason, PublishError::Protocol(_)), "{reason}");
            assert!(
                reason.to_string().contains("NetStream.Publish.BadName"),
                "{reason}"
            );
            return;
        }
    }
}

#[test]
fn the_stream_is_back_after_nginx_was_killed_and_started_again() {
    let nginx = Nginx::new();
    let server = nginx.start();
    let (publisher, events) = nginx.publisher("key");
    let _pump = Pump::start(&publisher, 0);
    await_publishing(&events);
    assert_steady(&probe(&nginx.url("key")).0, 50);
    drop(server);
    loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if matches!(event, PublisherEvent::State(PublisherState::Retrying { .. })) {
            break;
        }
    }
    let _server = nginx.start();
    await_publishing(&events);
    assert_eq!(events.recv_timeout(PATIENCE), Ok(PublisherEvent::KeyFrameWanted));
    let (video, audio) = probe(&nginx.url("key"));
    assert_steady(&video, 50);
    assert_steady(&audio, 90);
    assert!(
        video[0] < 10.0,
        "times start again with the connection: {}",
        video[0]
    );
}
