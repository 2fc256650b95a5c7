//! Several targets of one mix, of which some misbehave.

use crate::common::daemon::{Daemon, settings};
use crate::common::sink::Sink;
use lianmai_mixer_control::{FromMixer, TargetId, TargetOptions, TargetState, TargetStats, ToMixer};
use lianmai_rtmp::{Tag, TagKind};
use std::net::TcpListener;

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/live/mix")
}

/// Every frame of both tracks follows the one before by its step, from a key frame on.
fn assert_whole(tags: &[Tag]) {
    let frames = |kind| {
        let frames = tags.iter().filter(move |tag| tag.kind == kind && tag.is_frame());
        frames.map(|tag| tag.timestamp_ms).collect::<Vec<u32>>()
    };
    let first = tags
        .iter()
        .find(|tag| tag.is_frame() && tag.kind == TagKind::Video);
    assert!(first.is_some_and(Tag::is_key_frame));
    let (video, audio) = (frames(TagKind::Video), frames(TagKind::Audio));
    assert!(
        audio.windows(2).all(|pair| matches!(pair[1] - pair[0], 21 | 22)),
        "{audio:?}"
    );
    // A machine that is short of time may lose a tick for all targets alike, but no more.
    let late = video.windows(2).filter(|pair| pair[1] - pair[0] > 34).count();
    assert!(video.len() > 60 && late * 10 <= video.len(), "{video:?}");
}

fn stats(daemon: &Daemon, wanted: impl Fn(&[TargetStats]) -> bool) -> Vec<TargetStats> {
    let said = daemon.wait_for(
        "what it counted",
        |said| matches!(said, FromMixer::Stats(stats) if wanted(&stats.targets)),
    );
    let FromMixer::Stats(stats) = said else {
        unreachable!("waited for statistics");
    };
    stats.targets
}

#[test]
fn of_three_targets_one_is_dead_and_one_stalls_and_the_third_loses_nothing() {
    let good = Sink::start();
    // Accepts and never reads: its backlog takes the connection.
    let stalled = TcpListener::bind("127.0.0.1:0").expect("bound");
    let stalled_port = stalled.local_addr().expect("bound").port();
    let dead_port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        listener.local_addr().expect("bound").port()
    };
    let mut daemon = Daemon::start(settings());
    for (id, port) in [(1, good.port()), (2, stalled_port), (3, dead_port)] {
        daemon.add_target(id, &url(port), TargetOptions::default());
    }
    good.wait_for_frames(0, 250);
    let targets = stats(&daemon, |targets| targets.len() == 3 && targets[2].failures > 2);
    assert_eq!((targets[0].id, targets[0].failures), (TargetId(1), 0));
    assert_eq!((targets[0].dropped_frames, targets[0].sessions), (0, 1));
    assert_eq!((targets[1].sessions, targets[2].sessions), (0, 0));
    daemon.say(&ToMixer::Shutdown);
    assert!(daemon.exit().success());
    assert_whole(&good.sessions()[0]);
}

#[test]
fn targets_come_and_go_without_a_gap_for_the_others() {
    let (first, second) = (Sink::start(), Sink::start());
    let mut daemon = Daemon::start(settings());
    daemon.add_target(1, &url(first.port()), TargetOptions::default());
    first.wait_for_frames(0, 60);
    daemon.add_target(2, &url(second.port()), TargetOptions::default());
    second.wait_for_frames(0, 60);
    daemon.say(&ToMixer::RemoveTarget { id: TargetId(2) });
    stats(&daemon, |targets| targets.len() == 1);
    let before = first.sessions()[0].len();
    first.wait_for_frames(0, before + 60);
    daemon.say(&ToMixer::Shutdown);
    assert!(daemon.exit().success());
    assert_whole(&first.sessions()[0]);
    let tags = second.sessions().remove(0);
    let frame = tags
        .iter()
        .find(|tag| tag.is_frame() && tag.kind == TagKind::Video);
    assert_eq!(
        frame.map(|tag| (tag.is_key_frame(), tag.timestamp_ms)),
        Some((true, 0))
    );
}

#[test]
fn a_target_that_comes_back_is_published_to_again_and_one_with_a_count_is_given_up() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("a free port").port();
    let mut daemon = Daemon::start(settings());
    let patient = TargetOptions {
        retry_max_ms: 500,
        ..TargetOptions::default()
    };
    daemon.add_target(1, &url(port), patient);
    let hasty = TargetOptions {
        retries: Some(1),
        ..patient
    };
    daemon.add_target(2, &url(port), hasty);
    let given_up = |said: &FromMixer| {
        matches!(
            said,
            FromMixer::Target {
                id: TargetId(2),
                state: TargetState::GivenUp { .. }
            }
        )
    };
    daemon.wait_for("that it gives up", given_up);
    let back = Sink::start_on(port);
    back.wait_for_frames(0, 30);
    let publishing = |said: &FromMixer| {
        matches!(
            said,
            FromMixer::Target {
                state: TargetState::Publishing,
                ..
            }
        )
    };
    let found = daemon.wait_for("that it publishes", publishing);
    assert!(
        matches!(found, FromMixer::Target { id: TargetId(1), .. }),
        "{found:?}"
    );
    assert_eq!(back.sessions().len(), 1, "nobody else comes");
}

/// The JSON of the layout in a picture: behind the UUID of `user_data_unregistered`, before the stop bit.
fn layout(tag: &Tag) -> Option<serde_json::Value> {
    // Behind the header of five bytes and the length of four.
    let nal = tag.body.get(9..)?;
    let start = nal.windows(10).position(|bytes| bytes == br#"{"canvas":"#)?;
    let json = serde_json::Deserializer::from_slice(&nal[start..]);
    json.into_iter().next()?.ok()
}

#[test]
fn the_layout_stands_in_key_frames_and_where_it_changes() {
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    sink.wait_for_frames(0, 40);
    daemon.say(&ToMixer::AddHost {
        host: lianmai_mixer_control::media::HostId(5),
        name: "ann".to_owned(),
        audio: None,
        video: None,
    });
    let before = sink.sessions()[0].len();
    sink.wait_for_frames(0, before + 150);
    let tags = sink.sessions().remove(0);
    let pictures = || {
        tags.iter()
            .filter(|tag| tag.kind == TagKind::Video && tag.is_frame())
    };
    let told: Vec<(bool, serde_json::Value)> = pictures()
        .filter_map(|tag| Some((tag.is_key_frame(), layout(tag)?)))
        .collect();
    let keys = pictures().filter(|tag| tag.is_key_frame()).count();
    assert_eq!(
        told.iter().filter(|(key, _)| *key).count(),
        keys,
        "each key frame has it"
    );
    assert!(keys >= 2);
    let empty = &told[0].1;
    assert_eq!(
        (&empty["canvas"]["w"], &empty["regions"]),
        (&320.into(), &serde_json::json!([]))
    );
    let seat = told
        .iter()
        .find(|(_, layout)| layout["regions"][0]["suid"] == "ann");
    let (_, layout) = seat.expect("she has a region");
    assert_eq!(
        (&layout["regions"][0]["uid"], &layout["regions"][0]["w"]),
        (&5.into(), &320.into())
    );
    let between = told.iter().filter(|(key, _)| !key).count();
    // Her name and her seat come one after the other, perhaps with a picture between them.
    assert!(between <= 2, "and otherwise only where it changes: {told:?}");
    daemon.say(&ToMixer::Shutdown);
    assert!(daemon.exit().success());
}
