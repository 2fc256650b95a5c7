use super::{Denied, Hub};
use crate::config::OriginConfig;
use crate::metrics::Metrics;
use crate::name::StreamName;
use crate::outlet::Outlet;
use lianmai_rtmp::Tag;
use std::time::{Duration, Instant};

fn hub(change: impl FnOnce(&mut OriginConfig)) -> Hub {
    let mut config = OriginConfig::default();
    change(&mut config);
    Hub::new(config, Metrics::default())
}

fn name(text: &str) -> StreamName {
    StreamName::new(text).expect("a name")
}

fn drain(outlet: &Outlet) -> Vec<Tag> {
    std::iter::from_fn(|| outlet.try_recv()).collect()
}

fn video_header() -> Tag {
    let body = bytes::Bytes::from_static(&[0x17, 0, 0, 0, 0, 1]);
    Tag {
        body,
        ..Tag::avc_frame(0, true, b"")
    }
}

#[test]
fn one_publisher_a_name_until_it_leaves() {
    let (mut hub, now) = (hub(|_| ()), Instant::now());
    let first = hub.publish(now, &name("a")).expect("free");
    assert_eq!(hub.publish(now, &name("a")), Err(Denied::Taken));
    assert!(hub.publish(now, &name("b")).is_ok());
    hub.unpublish(now, &name("a"), first);
    let second = hub.publish(now, &name("a")).expect("free again");
    hub.unpublish(now, &name("a"), first);
    assert_eq!(
        hub.publish(now, &name("a")),
        Err(Denied::Taken),
        "a late goodbye of the first does not count"
    );
    hub.unpublish(now, &name("a"), second);
    assert!(hub.publish(now, &name("a")).is_ok());
}

#[test]
fn a_player_starts_with_headers_and_the_last_group_at_one_time() {
    let (mut hub, now) = (hub(|_| ()), Instant::now());
    let id = hub.publish(now, &name("a")).expect("free");
    let tags = [
        video_header(),
        Tag::avc_frame(9000, true, b"old"),
        Tag::avc_frame(9040, true, b"key"),
        Tag::avc_frame(9080, false, b"i"),
    ];
    tags.iter().for_each(|tag| hub.push(now, &name("a"), id, tag));
    let (_, outlet) = hub.play(&name("a")).expect("published");
    let got = drain(&outlet);
    assert_eq!(got, [video_header().at(9040), tags[2].clone(), tags[3].clone()]);
}

#[test]
fn nobody_plays_what_nobody_publishes() {
    assert_eq!(hub(|_| ()).play(&name("a")).err(), Some(Denied::NotFound));
}

#[test]
fn a_returning_publisher_continues_the_players_clock() {
    let (mut hub, start) = (hub(|_| ()), Instant::now());
    let a = name("a");
    let first = hub.publish(start, &a).expect("free");
    hub.push(start, &a, first, &video_header());
    hub.push(start, &a, first, &Tag::avc_frame(5000, true, b"key"));
    let (_, outlet) = hub.play(&a).expect("published");
    drain(&outlet);
    hub.unpublish(start, &a, first);

    let later = start + Duration::from_secs(3);
    let second = hub.publish(later, &a).expect("vacant");
    let tags = [
        Tag::aac_frame(1, b"before the key frame"),
        Tag::avc_frame(77, false, b"inter"),
        Tag::avc_frame(101, true, b"key"),
    ];
    hub.push(later, &a, second, &video_header());
    tags.iter().for_each(|tag| hub.push(later, &a, second, tag));
    let got = drain(&outlet);
    assert_eq!(
        got,
        [video_header().at(8000), tags[2].at(8100)],
        "3 s of silence, then 100 ms after its first frame"
    );
}

#[test]
fn a_publisher_that_returns_without_pictures_is_heard() {
    let (mut hub, now) = (hub(|_| ()), Instant::now());
    let a = name("a");
    let first = hub.publish(now, &a).expect("free");
    hub.push(now, &a, first, &video_header());
    hub.push(now, &a, first, &Tag::avc_frame(0, true, b"key"));
    let (_, early) = hub.play(&a).expect("published");
    hub.unpublish(now, &a, first);
    let (_, waiting) = hub.play(&a).expect("held");
    let second = hub.publish(now, &a).expect("vacant");
    hub.push(now, &a, second, &Tag::aac_frame(0, b"sound"));
    let (_, late) = hub.play(&a).expect("published");
    hub.push(now, &a, second, &Tag::aac_frame(20, b"more"));
    for (outlet, who) in [(early, "early"), (waiting, "waiting"), (late, "late")] {
        assert_eq!(
            drain(&outlet).last().map(|tag| tag.body.slice(2..)),
            Some("more".into()),
            "{who}"
        );
    }
}

#[test]
fn players_of_a_vanished_publisher_wait_ten_seconds_and_no_longer() {
    let (mut hub, now) = (hub(|_| ()), Instant::now());
    let id = hub.publish(now, &name("a")).expect("free");
    let _player = hub.play(&name("a")).expect("published");
    hub.unpublish(now, &name("a"), id);
    hub.handle_timeout(now + Duration::from_millis(9_999));
    assert_eq!(hub.streams(now).len(), 1);
    assert!(!hub.streams(now)[0].publishing);
    hub.handle_timeout(now + Duration::from_secs(10));
    assert!(hub.streams(now).is_empty());
    assert_eq!(hub.metrics.players.get(), 0);
}

#[test]
fn streams_and_players_are_bounded() {
    let (mut hub, now) = (
        hub(|config| (config.max_streams, config.max_players) = (2, 3)),
        Instant::now(),
    );
    assert!(hub.publish(now, &name("a")).is_ok() && hub.publish(now, &name("b")).is_ok());
    assert_eq!(hub.publish(now, &name("c")), Err(Denied::TooManyStreams));
    let players: Vec<_> = (0..3).map(|_| hub.play(&name("a")).expect("room").0).collect();
    assert_eq!(hub.play(&name("b")).err(), Some(Denied::TooManyPlayers));
    hub.leave(&name("a"), players[0]);
    hub.leave(&name("a"), players[0]);
    assert!(hub.play(&name("b")).is_ok(), "leaving twice gives back one place");
    assert_eq!(hub.play(&name("b")).err(), Some(Denied::TooManyPlayers));
    assert_eq!(hub.metrics.players.get(), 3);
}

#[test]
fn a_player_that_takes_nothing_loses_frames_and_nobody_else_does() {
    let (mut hub, now) = (hub(|config| config.queue.bytes = 10_000), Instant::now());
    let a = name("a");
    let id = hub.publish(now, &a).expect("free");
    let (_, slow) = hub.play(&a).expect("published");
    let (_, fast) = hub.play(&a).expect("published");
    let mut seen = 0;
    for n in 0..1000_u32 {
        hub.push(now, &a, id, &Tag::avc_frame(n * 40, n % 25 == 0, &[0; 200]));
        seen += drain(&fast).len();
    }
    assert_eq!(seen, 1000);
    let left = drain(&slow);
    assert!(left.len() < 60 && left[0].is_key_frame());
    let dropped = usize::try_from(hub.metrics.dropped_frames.get()).expect("small");
    assert_eq!(dropped + left.len(), 1000);
}

#[test]
fn the_end_of_everything_reaches_every_player() {
    let (mut hub, now) = (hub(|_| ()), Instant::now());
    hub.publish(now, &name("a")).expect("free");
    let (id, outlet) = hub.play(&name("a")).expect("published");
    hub.end_all();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    assert_eq!(runtime.block_on(outlet.recv()), None);
    hub.leave(&name("a"), id);
    assert_eq!((hub.metrics.players.get(), hub.metrics.publishers.get()), (0, 0));
}
