//! The mixer as a process, between a daemon that feeds it RTP and an RTMP server.

mod coding;
mod common;
mod drift;
mod faults;
mod inspect;
mod recordings;
mod targets;
mod vision;

use common::Directory;
use common::daemon::{Daemon, settings};
use common::host::Host;
use common::media::{self, Decoded, RATE, amplitude, loudness, mean};
use common::sink::{Sink, write_flv};
use common::streams;
use lianmai_mixer::clock;
use lianmai_mixer_control::media::{HostId, Kind};
use lianmai_mixer_control::{FromMixer, TargetState, ToMixer};
use lianmai_rtmp::{Tag, TagKind};
use lianmai_timeline::{EdgeTime, Span};
use std::thread;
use std::time::Duration;

const RED: &str = "color=red:size=320x180:rate=30";
/// A key frame a second.
const GOP: u32 = 30;
const BLUE: &str = "color=blue:size=320x180:rate=30";

/// Lets the hosts send in real time until `end`.
pub(crate) fn play(daemon: &Daemon, hosts: &mut [&mut Host], end: EdgeTime) {
    while clock::now() < end {
        let now = clock::now();
        hosts.iter_mut().for_each(|host| host.send(daemon, now));
        thread::sleep(Duration::from_millis(2));
    }
}

fn finish(mut daemon: Daemon, sink: &Sink) -> Vec<Tag> {
    daemon.say(&ToMixer::Shutdown);
    assert!(daemon.exit().success());
    sink.sessions().pop().expect("a session")
}

fn decode(tags: &[Tag]) -> Decoded {
    let directory = Directory::new();
    let file = directory.path().join("mix.flv");
    write_flv(tags, &file);
    media::decode(&file)
}

fn times(tags: &[Tag], kind: TagKind) -> Vec<u32> {
    tags.iter()
        .filter(|tag| tag.kind == kind && tag.is_frame())
        .map(|tag| tag.timestamp_ms)
        .collect()
}

/// Which decoded picture is shown at a time of the stream.
fn picture_at(decoded: &Decoded, tags: &[Tag], millis: u32) -> usize {
    let times = times(tags, TagKind::Video);
    let at = times
        .iter()
        .position(|time| *time >= millis)
        .expect("within the stream");
    assert_eq!(times.len(), decoded.pictures.len(), "every picture decodes");
    at
}

fn is_red([_, u, v]: [f64; 3]) -> bool {
    v > 180.0 && u < 128.0
}

fn is_blue([_, u, v]: [f64; 3]) -> bool {
    u > 180.0 && v < 128.0
}

#[test]
fn a_host_with_h264_and_one_with_vp8_are_seen_and_heard_and_one_may_leave_without_a_gap() {
    let mut red = Host::new(
        1,
        "red",
        streams::h264(RED, 7.0, GOP),
        media::tone(440.0, 7.0, |_| true),
    );
    let mut blue = Host::new(
        2,
        "blue",
        streams::vp8(BLUE, 7.0, GOP),
        media::tone(1000.0, 7.0, |_| true),
    )
    .with_vp8();
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(200);
    red.join(&mut daemon, start);
    blue.join(&mut daemon, start);
    play(
        &daemon,
        &mut [&mut red, &mut blue],
        start + Span::from_millis(3_500),
    );
    daemon.say(&ToMixer::RemoveHost { host: blue.id() });
    play(&daemon, &mut [&mut red], start + Span::from_millis(5_500));
    let FromMixer::Stats(stats) = daemon.wait_for("statistics", |said| matches!(said, FromMixer::Stats(_)))
    else {
        unreachable!("waited for statistics");
    };
    let tags = finish(daemon, &sink);
    let decoded = decode(&tags);

    let (pictures, sounds) = (times(&tags, TagKind::Video), times(&tags, TagKind::Audio));
    assert!(
        tags.iter()
            .filter(|tag| tag.is_frame())
            .map(|tag| tag.timestamp_ms)
            .is_sorted()
    );
    assert!(
        sounds.windows(2).all(|pair| matches!(pair[1] - pair[0], 21 | 22)),
        "sound has no gap"
    );
    let steps: Vec<u32> = pictures.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let late = steps.iter().filter(|step| **step > 34).count();
    assert!(
        steps.iter().all(|step| (33..=170).contains(step)) && late * 10 <= steps.len(),
        "{steps:?}"
    );

    let before = &decoded.pictures[picture_at(&decoded, &tags, 2_500)];
    let (left, right) = (mean(before, 40, 70, 80, 40), mean(before, 200, 70, 80, 40));
    assert!(is_red(left) && is_blue(right), "{left:?} {right:?}");
    let after = decoded.pictures.last().expect("pictures");
    let (left, right) = (mean(after, 10, 10, 80, 40), mean(after, 230, 130, 80, 40));
    assert!(is_red(left) && is_red(right), "{left:?} {right:?}");

    let both = &decoded.sound[RATE * 3 / 2..RATE * 3];
    let one = &decoded.sound[decoded.sound.len() - RATE..];
    assert!(loudness(both, 440.0) > 0.15 && loudness(both, 1000.0) > 0.15);
    assert!(loudness(one, 440.0) > 0.15 && loudness(one, 1000.0) < 0.02);

    assert!(stats.frames_encoded > 90, "{stats:?}");
    assert!(
        stats
            .hosts
            .iter()
            .all(|host| host.frames_decoded > 60 && host.decode_errors == 0),
        "{stats:?}"
    );
}

/// The first time in milliseconds at which `level` of the stream exceeds half of its maximum.
pub(crate) fn onset(levels: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let peak = levels.clone().map(|(_, level)| level).fold(0.0, f64::max);
    let mut levels = levels;
    levels
        .find(|(_, level)| *level > peak / 2.0)
        .expect("it has a peak")
        .0
}

#[test]
fn what_two_hosts_do_at_once_is_seen_and_heard_at_once_though_one_is_200_ms_further_away() {
    let flash = "color=black:size=320x180:rate=30,drawbox=color=white:t=fill:enable='between(t,2.99,3.3)'";
    let is_on = |time: f64| (3.0..3.3).contains(&time);
    let mut near = Host::new(
        1,
        "near",
        streams::h264(flash, 5.0, GOP),
        media::tone(440.0, 5.0, is_on),
    );
    let far = Host::new(
        2,
        "far",
        streams::h264(flash, 5.0, GOP),
        media::tone(1000.0, 5.0, is_on),
    );
    let mut far = far.delayed(Span::from_millis(205));
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(200);
    near.join(&mut daemon, start);
    far.join(&mut daemon, start);
    play(
        &daemon,
        &mut [&mut near, &mut far],
        start + Span::from_millis(4_500),
    );
    let tags = finish(daemon, &sink);
    let decoded = decode(&tags);

    let times = times(&tags, TagKind::Video);
    let seen = |x: usize| {
        let luma = decoded
            .pictures
            .iter()
            .map(move |picture| mean(picture, x, 70, 80, 40)[0] - 16.0);
        onset(times.iter().map(|time| f64::from(*time)).zip(luma))
    };
    let heard = |hertz: f64| {
        let windows = decoded.sound.windows(480).step_by(48).enumerate();
        onset(windows.map(|(millis, sound)| (millis as f64 + 5.0, amplitude(sound, hertz))))
    };
    let onsets = [seen(40), seen(200), heard(440.0), heard(1000.0)];
    let (first, last) = (
        onsets.iter().copied().fold(f64::MAX, f64::min),
        onsets.iter().copied().fold(0.0, f64::max),
    );
    assert!(
        last - first <= 45.0,
        "pictures and sounds in milliseconds: {onsets:?}"
    );
}

/// Pictures of a host that were decoded by the last report.
fn decoded_of(daemon: &Daemon, host: HostId) -> u64 {
    let said = daemon.said();
    let stats = said.iter().rev().find_map(|said| match said {
        FromMixer::Stats(stats) => Some(stats),
        _ => None,
    });
    let hosts = &stats.expect("a report").hosts;
    let stats = hosts.iter().find(|stats| stats.host == host);
    stats.expect("it is reported").frames_decoded
}

fn scene(json: &str) -> ToMixer {
    ToMixer::Scene(serde_json::from_str(json).expect("a scene"))
}

#[test]
fn a_host_that_is_not_shown_is_not_decoded_and_comes_back_with_its_next_key_frame() {
    let hosts = [(1, "red", RED), (2, "blue", BLUE)];
    let [mut red, mut blue] =
        hosts.map(|(id, name, looks)| Host::new(id, name, streams::h264(looks, 9.0, GOP), vec![]));
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(200);
    red.join(&mut daemon, start);
    blue.join(&mut daemon, start);
    let mut play_until = |daemon: &Daemon, millis| {
        play(
            daemon,
            &mut [&mut red, &mut blue],
            start + Span::from_millis(millis),
        );
    };
    play_until(&daemon, 1_000);
    let blue = HostId(2);
    let is_shown = |wanted: bool| move |said: &FromMixer| matches!(said, FromMixer::Shown { host, width, .. } if *host == blue && (*width > 0) == wanted);
    daemon.wait_for("how large blue is shown", is_shown(true));
    daemon.say(&scene(r#"{"fade_ms": 0, "layout": {"type": "custom", "regions": [{"host": "red", "x": 0, "y": 0, "width": 320, "height": 180}]}}"#));
    play_until(&daemon, 1_200);
    daemon.wait_for("that blue is not shown", is_shown(false));
    play_until(&daemon, 2_700);
    let before = (decoded_of(&daemon, HostId(1)), decoded_of(&daemon, blue));
    play_until(&daemon, 4_700);
    let hidden = (decoded_of(&daemon, HostId(1)), decoded_of(&daemon, blue));
    assert!(hidden.0 > before.0 + 30, "red is decoded: {before:?} {hidden:?}");
    assert!(
        hidden.1 <= before.1 + 3,
        "blue is not, but for key frames: {before:?} {hidden:?}"
    );
    daemon.say(&scene(r#"{"fade_ms": 0}"#));
    play_until(&daemon, 5_000);
    daemon.wait_for(
        "that it needs a key frame",
        |said| matches!(said, FromMixer::KeyFrameNeeded { host } if *host == blue),
    );
    play_until(&daemon, 8_500);
    assert!(decoded_of(&daemon, blue) > hidden.1 + 20);
    let decoded = decode(&finish(daemon, &sink));
    let last = decoded.pictures.last().expect("pictures");
    assert!(is_red(mean(last, 40, 70, 80, 40)) && is_blue(mean(last, 200, 70, 80, 40)));
}

#[test]
fn junk_and_corrupt_pictures_are_counted_and_harmless() {
    let mut corrupt = streams::h264("testsrc=size=320x180:rate=30", 8.0, GOP);
    for (index, payload) in corrupt
        .iter_mut()
        .flatten()
        .enumerate()
        .filter(|(index, _)| index % 3 == 1)
    {
        let mut bytes = payload.to_vec();
        let place = index * 31 % bytes.len();
        bytes[place] ^= 0x5a;
        *payload = bytes.into();
    }
    let mut host = Host::new(1, "corrupt", corrupt, media::tone(440.0, 8.0, |_| true));
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(100);
    host.join(&mut daemon, start);
    play(&daemon, &mut [&mut host], start + Span::from_millis(500));
    for length in 1..300usize {
        daemon.raw_media(&vec![length as u8; length]);
        daemon.media(Kind::Rtp, HostId(1), clock::now(), &vec![0x9f; length]);
        daemon.media(Kind::Rtcp, HostId(1), clock::now(), &vec![0x81; length]);
    }
    play(&daemon, &mut [&mut host], start + Span::from_millis(2_500));
    daemon.wait_for(
        "what it rejected",
        |said| matches!(said, FromMixer::Stats(stats) if stats.media_rejected > 500),
    );
    daemon.wait_for(
        "that it needs a key frame",
        |said| matches!(said, FromMixer::KeyFrameNeeded { host } if host.0 == 1),
    );
    play(&daemon, &mut [&mut host], clock::now() + Span::from_millis(1_500));
    let decoded = decode(&finish(daemon, &sink));
    assert!(decoded.pictures.len() > 60);
    assert!(
        loudness(&decoded.sound[decoded.sound.len() - RATE..], 440.0) > 0.15,
        "its sound goes on"
    );
}

#[test]
fn a_target_that_closes_is_published_to_again_from_a_key_frame() {
    let sink = Sink::start();
    let mut daemon = Daemon::start(settings());
    daemon.publish_to(sink.port());
    sink.wait_for_frames(0, 40);
    sink.cut();
    sink.wait_for_frames(1, 40);
    let states: Vec<FromMixer> = daemon
        .said()
        .into_iter()
        .filter(|said| matches!(said, FromMixer::Target { .. }))
        .collect();
    let retried = |said: &FromMixer| {
        matches!(
            said,
            FromMixer::Target {
                state: TargetState::Retrying { .. },
                ..
            }
        )
    };
    assert!(states.iter().any(retried), "{states:?}");
    let tags = finish(daemon, &sink);
    let first = tags
        .iter()
        .find(|tag| tag.is_frame() && tag.kind == TagKind::Video)
        .expect("pictures");
    assert!(first.is_key_frame());
    assert!(decode(&tags).pictures.len() >= 15);
}

#[test]
fn the_end_of_either_socket_ends_the_process_cleanly() {
    let ends: [fn(&mut Daemon); 2] = [Daemon::close_control, Daemon::close_media];
    for end in ends {
        let mut daemon = Daemon::start(settings());
        end(&mut daemon);
        assert!(daemon.exit().success());
    }
}

#[test]
fn a_canvas_that_cannot_be_made_ends_the_process_with_an_error() {
    let mut unmakeable = settings();
    unmakeable.canvas.width = 7;
    assert!(!Daemon::start(unmakeable).exit().success());
}
