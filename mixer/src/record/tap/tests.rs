use super::{Board, Entries, Entry, HostTap, MAX_BYTES, MAX_MEDIA, MixTap, taps};
use crate::daemon::Daemon;
use crate::record::board::Source;
use crate::video::Task;
use crossbeam_channel::Receiver;
use lianmai_compositor::Rotation;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{Codec, FromMixer, Record, RecordingState};
use lianmai_rtmp::Tag;
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;

const ANN: HostId = HostId(1);
const BOTH: Record = Record {
    mix: true,
    hosts: true,
};

struct Lab {
    hosts: HostTap,
    mix: MixTap,
    entries: Entries,
    board: Arc<Board>,
    said: Receiver<FromMixer>,
}

fn lab() -> Lab {
    let board = Arc::<Board>::default();
    let (daemon, said) = Daemon::channel();
    let (mut hosts, mix, entries) = taps(&board, daemon);
    hosts.joined(ANN, "ann", true, true);
    Lab {
        hosts,
        mix,
        entries,
        board,
        said,
    }
}

fn at(millis: i64) -> EdgeTime {
    EdgeTime(0) + Span::from_millis(millis)
}

fn picture(key: bool, millis: i64, bytes: usize) -> Task {
    Task {
        data: vec![0; bytes],
        key,
        after_loss: false,
        rotation: Rotation::None,
        codec: Codec::H264,
        captured: at(millis),
    }
}

impl Lab {
    fn push(&mut self, tag: &Tag) {
        self.mix.push(tag, at(1000));
    }

    fn waiting(&self) -> usize {
        self.entries.queue.len()
    }
}

#[test]
fn nothing_is_taken_that_is_not_to_be_recorded() {
    let mut lab = lab();
    let before = lab.waiting();
    lab.hosts.picture(ANN, &picture(true, 0, 1));
    lab.hosts.sound(ANN, b"packet", at(0));
    lab.push(&Tag::avc_frame(0, true, b"x"));
    assert_eq!(lab.waiting(), before);
}

#[test]
fn a_host_is_asked_for_a_key_frame_until_it_comes() {
    let mut lab = lab();
    lab.hosts.record(BOTH);
    (0..30).for_each(|frame| lab.hosts.picture(ANN, &picture(false, frame * 100, 1)));
    // At once, and then once a second.
    assert_eq!(lab.said.try_iter().count(), 1 + 3);
    lab.hosts.picture(ANN, &picture(true, 3000, 1));
    lab.hosts.picture(ANN, &picture(false, 3100, 1));
    assert_eq!(lab.said.try_iter().count(), 0);
    assert_eq!(lab.waiting(), 4, "it joined, what is recorded, two pictures");
}

#[test]
fn a_mix_that_is_recorded_later_begins_with_its_headers_and_asks_for_a_key_frame() {
    let mut lab = lab();
    lab.push(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
    lab.push(&Tag::avc_frame(0, true, b"x"));
    lab.hosts.record(BOTH);
    lab.push(&Tag::avc_frame(40, false, b"x"));
    assert!(lab.mix.take_key_frame_wanted() && !lab.mix.take_key_frame_wanted());
    lab.push(&Tag::avc_frame(80, true, b"x"));
    let tags: Vec<_> = std::iter::from_fn(|| lab.entries.queue.try_recv().ok())
        .filter_map(|entry| match entry {
            Entry::Tag(at, tag) => Some((at, tag)),
            _ => None,
        })
        .collect();
    assert_eq!(tags.len(), 2);
    assert!(tags[0].1.is_sequence_header() && tags[1].1.is_key_frame());
    assert_eq!(tags[1].0, at(1000 + 80), "on the edge's clock");
}

#[test]
fn a_disk_that_takes_nothing_costs_bounded_memory_and_holes_that_end_at_key_frames() {
    let mut lab = lab();
    lab.hosts.record(BOTH);
    lab.board.begin(Source::Mix, None, "mix.mp4".to_owned());
    lab.board
        .begin(Source::Host(ANN), Some("ann".to_owned()), "ann.mp4".to_owned());
    lab.push(&Tag::avc_frame(0, true, b"x"));
    lab.hosts.picture(ANN, &picture(true, 0, 1));
    for frame in 0..100 {
        lab.hosts
            .picture(ANN, &picture(frame % 10 == 0, frame * 30, 1 << 20));
        lab.push(&Tag::avc_frame(frame as u32 * 30, false, &[0; 1 << 20]));
    }
    let held = lab
        .entries
        .shared
        .bytes
        .load(std::sync::atomic::Ordering::Relaxed);
    assert!(held <= MAX_BYTES && held > MAX_BYTES / 2, "{held}");
    let stats = lab.board.stats();
    assert!(
        stats
            .iter()
            .all(|stats| stats.state == RecordingState::Behind && stats.dropped_frames > 40),
        "{stats:?}"
    );
    // The disk takes everything, and each goes on with a key frame.
    while !lab.entries.queue.is_empty() {
        lab.entries.next();
    }
    lab.push(&Tag::avc_frame(4000, false, b"x"));
    lab.hosts.picture(ANN, &picture(false, 4000, 1));
    assert_eq!(lab.waiting(), 0);
    lab.push(&Tag::avc_frame(4040, true, b"x"));
    lab.hosts.picture(ANN, &picture(true, 4040, 1));
    assert_eq!(lab.waiting(), 2);
    assert!(
        lab.board
            .stats()
            .iter()
            .all(|stats| stats.state == RecordingState::Recording)
    );
}

#[test]
fn pictures_that_cannot_be_recorded_do_not_wait_for_the_disk() {
    let mut lab = lab();
    lab.hosts.joined(ANN, "ann", true, false);
    lab.hosts.record(BOTH);
    let before = lab.waiting();
    lab.hosts.picture(ANN, &picture(true, 0, 1000));
    assert_eq!(lab.waiting(), before);
}

#[test]
fn a_host_without_pictures_has_caught_up_with_its_next_packet() {
    let mut lab = lab();
    let bob = HostId(2);
    lab.hosts.joined(bob, "bob", true, false);
    lab.hosts.record(BOTH);
    lab.board
        .begin(Source::Host(bob), Some("bob".to_owned()), "bob.mp4".to_owned());
    (0..MAX_MEDIA + 5).for_each(|_| lab.hosts.sound(bob, b"packet", at(0)));
    assert_eq!(lab.board.stats()[0].state, RecordingState::Behind);
    while !lab.entries.queue.is_empty() {
        lab.entries.next();
    }
    lab.hosts.sound(bob, b"packet", at(0));
    assert_eq!(lab.board.stats()[0].state, RecordingState::Recording);
}

#[test]
fn tiny_packets_are_bounded_by_their_number_and_leave_room_for_changes() {
    let mut lab = lab();
    lab.hosts.record(BOTH);
    (0..2 * MAX_MEDIA).for_each(|_| lab.hosts.sound(ANN, b"", at(0)));
    assert_eq!(lab.waiting(), MAX_MEDIA);
    lab.hosts.gone(ANN);
    assert_eq!(lab.waiting(), MAX_MEDIA + 1);
}
