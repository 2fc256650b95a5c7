//! The publisher against a server that misbehaves on purpose.

mod common;

use common::{PATIENCE, Peer};
use lianmai_rtmp::publisher::{PublishError, PublisherEvent, PublisherState};
use lianmai_rtmp::{Publisher, PublisherConfig, Refusal, RtmpUrl, ServerEvent, Tag, TagFormat, WhenFull};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

fn publisher(
    address: SocketAddr,
    change: impl FnOnce(&mut PublisherConfig),
) -> (Publisher, Receiver<PublisherEvent>) {
    let target = RtmpUrl::parse(&format!("rtmp://{address}/live/key?token=x")).expect("valid");
    let mut config = PublisherConfig::new(target);
    change(&mut config);
    let (sender, events) = channel();
    let publisher = Publisher::spawn(config, move |event| {
        let _ = sender.send(event);
    });
    (publisher.expect("a thread"), events)
}

fn await_failure(events: &Receiver<PublisherEvent>) -> (PublishError, Duration) {
    loop {
        if let PublisherEvent::State(PublisherState::Retrying { reason, after }) =
            events.recv_timeout(PATIENCE).expect("an event")
        {
            return (reason, after);
        }
    }
}

fn await_publishing(events: &Receiver<PublisherEvent>) {
    let publishing = PublisherEvent::State(PublisherState::Publishing);
    while events.recv_timeout(PATIENCE).expect("an event") != publishing {}
}

fn video_header() -> Tag {
    let body = bytes::Bytes::from_static(&[0x17, 0, 0, 0, 0, 1]);
    Tag {
        body,
        ..Tag::avc_frame(0, true, b"")
    }
}

fn push_headers(publisher: &Publisher) {
    publisher.push(video_header());
    publisher.push(Tag::aac_sequence_header(0, &[0x11, 0x90]));
}

#[test]
fn a_connection_begins_with_headers_and_a_key_frame_at_zero() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |_| ());
    push_headers(&publisher);
    let mut session = peer.accept();
    assert_eq!(session.path.query.as_deref(), Some("token=x"));
    session.agree();
    await_publishing(&events);
    assert_eq!(events.recv_timeout(PATIENCE), Ok(PublisherEvent::KeyFrameWanted));
    publisher.push(Tag::avc_frame(89_960, false, b"cannot be decoded"));
    publisher.push(Tag::avc_frame(90_000, true, b"key"));
    publisher.push(Tag::aac_frame(90_005, b"sound"));
    assert_eq!(session.next_tag(), video_header());
    assert_eq!(session.next_tag(), Tag::aac_sequence_header(0, &[0x11, 0x90]));
    assert_eq!(session.next_tag(), Tag::avc_frame(0, true, b"key"));
    assert_eq!(session.next_tag(), Tag::aac_frame(5, b"sound"));
}

#[test]
fn a_peer_that_closes_in_mid_stream_gets_a_new_connection_from_zero() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |_| ());
    push_headers(&publisher);
    for round in 0..3_u32 {
        let mut session = peer.accept();
        session.agree();
        await_publishing(&events);
        assert_eq!(events.recv_timeout(PATIENCE), Ok(PublisherEvent::KeyFrameWanted));
        publisher.push(Tag::avc_frame(round * 50_000, true, b"key"));
        publisher.push(Tag::avc_frame(round * 50_000 + 40, false, b"inter"));
        let times: Vec<u32> = (0..4).map(|_| session.next_tag().timestamp_ms).collect();
        assert_eq!(times, [0, 0, 0, 40]);
        drop(session);
        // Nothing is pushed meanwhile: the close is noticed while idle.
        let (reason, after) = await_failure(&events);
        assert!(
            matches!(reason, PublishError::Closed | PublishError::Read(_)),
            "{reason}"
        );
        assert!(
            after >= Duration::from_millis(200) && after <= Duration::from_secs(1),
            "{after:?}"
        );
    }
    assert_eq!((publisher.stats().sessions, publisher.stats().failures), (3, 3));
}

#[test]
fn a_peer_that_reads_nothing_holds_up_nobody_and_is_given_up() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |config| {
        config.write_timeout = Duration::from_secs(3);
    });
    push_headers(&publisher);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    // 60 s of video at 8 Mbit/s in one go: far more than the kernel's buffers and the queue.
    for n in 0..1500_u32 {
        let before = Instant::now();
        publisher.push(Tag::avc_frame(n * 40, n % 50 == 0, &[0; 40_000]));
        slowest = slowest.max(before.elapsed());
        assert!(publisher.stats().queued_bytes <= 8 << 20);
    }
    assert!(slowest < Duration::from_secs(2), "pushing took {slowest:?}");
    let (reason, _) = await_failure(&events);
    assert!(matches!(reason, PublishError::Write(_)), "{reason}");
    assert!(publisher.stats().dropped_frames > 0);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_slow_peer_gets_whole_groups() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |_| ());
    push_headers(&publisher);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    for n in 0..3000_u32 {
        // The body says which frame it is.
        let mut body = n.to_be_bytes().to_vec();
        body.resize(20_000, 0);
        publisher.push(Tag::avc_frame(n * 40, n % 50 == 0, &body));
    }
    publisher.push(Tag::avc_frame(3000 * 40, true, b"last"));
    let mut previous: Option<u32> = None;
    loop {
        let tag = session.next_tag();
        if tag.body.ends_with(b"last") {
            break;
        }
        if !tag.is_frame() {
            continue;
        }
        let number = u32::from_be_bytes(tag.body[5..9].try_into().expect("four bytes"));
        assert!(
            tag.is_key_frame() || previous == Some(number - 1),
            "{number} after {previous:?} cannot be decoded"
        );
        previous = Some(number);
    }
    assert!(
        publisher.stats().dropped_frames > 0,
        "3000 frames of 20 kB at once have to overflow"
    );
}

#[test]
fn stopping_sends_what_is_queued_and_says_goodbye() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |_| ());
    push_headers(&publisher);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    for n in 0..100_u32 {
        publisher.push(Tag::avc_frame(n * 40, n == 0, &[0; 10_000]));
    }
    let reader = std::thread::spawn(move || {
        let events: Vec<ServerEvent> = std::iter::from_fn(|| session.next()).collect();
        events
    });
    assert!(publisher.stop(Duration::from_secs(5)));
    let events = reader.join().expect("the peer");
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, ServerEvent::Tag(tag) if tag.is_frame()))
            .count(),
        100
    );
    assert_eq!(events.last(), Some(&ServerEvent::Finished));
}

#[test]
fn stopping_does_not_wait_for_a_peer_that_reads_nothing() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |config| {
        config.write_timeout = Duration::from_secs(60);
    });
    push_headers(&publisher);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    for n in 0..1000_u32 {
        publisher.push(Tag::avc_frame(n * 4, n == 0, &[0; 10_000]));
    }
    let started = Instant::now();
    assert!(!publisher.stop(Duration::from_millis(300)));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_refusal_is_reported_in_the_peers_words_and_retried() {
    let peer = Peer::new();
    let (_publisher, events) = publisher(peer.address(), |_| ());
    let mut session = peer.accept();
    let refusal = Refusal {
        code: "NetStream.Publish.BadName",
        description: "taken".to_owned(),
    };
    session.server.refuse(&refusal).expect("asked");
    session.write();
    let (reason, _) = await_failure(&events);
    assert!(
        reason.to_string().contains("NetStream.Publish.BadName taken"),
        "{reason}"
    );
    peer.accept().agree();
    await_publishing(&events);
}

#[test]
fn a_peer_that_accepts_tcp_and_says_nothing_is_given_up() {
    let peer = Peer::new();
    let (_publisher, events) = publisher(peer.address(), |config| {
        config.connect_timeout = Duration::from_millis(300);
    });
    let mut silent = peer.accept_raw();
    assert_eq!(
        await_failure(&events).0,
        PublishError::Slow(Duration::from_millis(300))
    );
    let mut opening = Vec::new();
    let _ = silent.read_to_end(&mut opening);
    assert_eq!(opening.len(), 1537, "C0 and C1, then the end");
}

#[test]
fn a_peer_that_speaks_another_protocol_is_named_as_such() {
    let peer = Peer::new();
    let (_publisher, events) = publisher(peer.address(), |_| ());
    std::io::Write::write_all(&mut peer.accept_raw(), b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("written");
    let (reason, _) = await_failure(&events);
    assert!(matches!(reason, PublishError::Protocol(_)), "{reason}");
}

#[test]
fn a_closed_port_and_an_unknown_host_are_told_apart() {
    let (_publisher, events) = publisher(([127, 0, 0, 1], common::free_port()).into(), |_| ());
    assert!(matches!(await_failure(&events).0, PublishError::Connect { .. }));
    let (_publisher, events) = publisher(([127, 0, 0, 1], 1).into(), |config| {
        config.target = RtmpUrl::parse("rtmp://no-such-host.invalid/live/key").expect("valid");
    });
    assert!(matches!(await_failure(&events).0, PublishError::Resolve { .. }));
}

#[test]
fn a_peer_that_closes_in_the_middle_of_a_chunk_gets_the_stream_again() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |_| ());
    push_headers(&publisher);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    publisher.push(Tag::avc_frame(0, true, &[7; 100_000]));
    let mut some = [0; 5_000];
    session
        .stream
        .read_exact(&mut some)
        .expect("headers and the first part of the picture");
    drop(session);
    await_failure(&events);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    publisher.push(Tag::avc_frame(40, false, b"cannot be decoded"));
    publisher.push(Tag::avc_frame(80, true, b"whole"));
    let tags: Vec<Tag> = (0..3).map(|_| session.next_tag()).collect();
    assert_eq!(
        tags,
        [
            video_header(),
            Tag::aac_sequence_header(0, &[0x11, 0x90]),
            Tag::avc_frame(0, true, b"whole")
        ]
    );
}

#[test]
fn a_slow_peer_is_connected_to_anew_where_that_was_asked_for() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |config| {
        config.when_full = WhenFull::Reconnect;
        config.write_timeout = Duration::from_secs(60);
    });
    push_headers(&publisher);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    // It reads nothing; 20 s of 8 Mbit/s are more than the kernel and the queue take.
    for n in 0..500_u32 {
        publisher.push(Tag::avc_frame(n * 40, n % 50 == 0, &[0; 40_000]));
    }
    assert_eq!(await_failure(&events).0, PublishError::Behind);
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    publisher.push(Tag::avc_frame(90_000, true, b"newest"));
    let frame = std::iter::repeat_with(|| session.next_tag()).find(Tag::is_frame);
    assert_eq!(frame, Some(Tag::avc_frame(0, true, b"newest")));
}

#[test]
fn a_target_that_failed_as_often_as_was_allowed_is_given_up() {
    let port = common::free_port();
    let (publisher, events) = publisher(([127, 0, 0, 1], port).into(), |config| {
        config.backoff.least = Duration::from_millis(10);
        config.retries = Some(2);
    });
    let last = loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if let PublisherEvent::State(PublisherState::GaveUp { reason }) = event {
            break reason;
        }
    };
    assert!(matches!(last, PublishError::Connect { .. }), "{last}");
    assert_eq!(publisher.stats().failures, 3, "the first attempt and two more");
    push_headers(&publisher);
    publisher.push(Tag::avc_frame(0, true, b"nobody takes it"));
    assert_eq!(publisher.stats().queued_bytes, 0);
}

#[test]
fn a_peer_that_had_accepted_is_left_alone_for_the_restart_delay() {
    let peer = Peer::new();
    let (_publisher, events) = publisher(peer.address(), |config| {
        config.restart_delay = Duration::from_secs(2);
    });
    drop(peer.accept());
    let (_, after) = await_failure(&events);
    assert!(after < Duration::from_secs(1), "it had not accepted: {after:?}");
    let mut session = peer.accept();
    session.agree();
    await_publishing(&events);
    drop(session);
    let (_, after) = await_failure(&events);
    assert_eq!(after, Duration::from_secs(2));
}

#[test]
fn four_cc_names_are_offered_and_used_where_that_was_asked_for() {
    let peer = Peer::new();
    let (publisher, events) = publisher(peer.address(), |config| {
        config.tags = TagFormat::Enhanced;
    });
    push_headers(&publisher);
    let mut session = peer.accept();
    assert_eq!(session.server.peer_four_ccs(), ["avc1", "av01", "mp4a", "Opus"]);
    session.agree();
    await_publishing(&events);
    publisher.push(Tag::avc_frame(0, true, b"key"));
    publisher.push(Tag::aac_frame(5, b"sound"));
    let bodies: Vec<_> = (0..4).map(|_| session.next_tag().body).collect();
    assert_eq!(bodies[0][..], *b"\x90avc1\x01");
    assert_eq!(bodies[1][..], *b"\x90mp4a\x11\x90");
    assert_eq!(bodies[2][..], *b"\x93avc1key");
    assert_eq!(bodies[3][..], *b"\x91mp4asound");
}
