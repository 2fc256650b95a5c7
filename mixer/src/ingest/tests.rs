//! The ingest as the daemon feeds it: whole datagrams, a clock moved by hand.

use super::{Ingest, Sink};
use crate::audio::Pcm;
use crate::video::Task;
use lianmai_mixer_control::media::{HEADER_LEN, HostId, Kind, Message};
use lianmai_mixer_control::{AudioSource, Codec, VideoSource};
use lianmai_timeline::{EdgeTime, Span};

const HOST: HostId = HostId(3);
const AUDIO: u8 = 111;
const VIDEO: u8 = 102;
const START: EdgeTime = EdgeTime(90_000_000_000);

/// One Opus packet of 20 ms of silence in CELT mode (RFC 6716 §3.1: configuration 31, stereo).
const OPUS: [u8; 3] = [0xfc, 0xff, 0xfe];
const SLICE: [u8; 5] = [0x61, 0x9a, 9, 8, 7];

#[derive(Default)]
struct Taken {
    sounds: Vec<(Pcm, EdgeTime)>,
    packets: Vec<(Vec<u8>, EdgeTime)>,
    pictures: Vec<Task>,
    restarts: usize,
    full: bool,
}

impl Sink for Taken {
    fn sound(&mut self, _: HostId, pcm: Pcm, captured: EdgeTime) {
        self.sounds.push((pcm, captured));
    }
    fn packet(&mut self, _: HostId, packet: &[u8], captured: EdgeTime) {
        self.packets.push((packet.to_vec(), captured));
    }
    fn picture(&mut self, _: HostId, task: Task) -> bool {
        if !self.full {
            self.pictures.push(task);
        }
        !self.full
    }
    fn restarted(&mut self, _: HostId, _: lianmai_timeline::Kind) {
        self.restarts += 1;
    }
}

fn at(millis: i64) -> EdgeTime {
    START + Span::from_millis(millis)
}

fn ingest() -> Ingest {
    let mut ingest = Ingest::default();
    let video = VideoSource {
        payload_type: VIDEO,
        codec: Codec::H264,
        orientation_extension: None,
    };
    ingest.add_host(
        HOST,
        Some(AudioSource { payload_type: AUDIO }),
        Some(video),
        &mut Taken::default(),
    );
    ingest
}

/// Which pictures may not simply go on from the one before.
fn marked(taken: &Taken) -> Vec<usize> {
    let marked = taken
        .pictures
        .iter()
        .enumerate()
        .filter(|(_, task)| task.after_loss);
    marked.map(|(index, _)| index).collect()
}

fn datagram(kind: Kind, arrival: EdgeTime, body: &[u8]) -> Vec<u8> {
    let message = Message {
        kind,
        host: HOST,
        arrival_ns: arrival.0.unsigned_abs(),
        body,
    };
    [message.header().as_slice(), body].concat()
}

fn rtp(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0x80 | payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// Sends frame `index` of 20 ms of sound and a picture each 40 ms.
fn frame(ingest: &mut Ingest, taken: &mut Taken, ssrc: u32, index: u16) {
    let now = at(i64::from(index) * 20);
    sound(ingest, taken, ssrc, index);
    if index.is_multiple_of(2) {
        picture(ingest, taken, Kind::Rtp, now, ssrc, index, &SLICE);
    }
    ingest.handle_timeout(now, taken);
}

fn sound(ingest: &mut Ingest, taken: &mut Taken, ssrc: u32, index: u16) {
    let now = at(i64::from(index) * 20);
    let sound = rtp(AUDIO, ssrc, index, u32::from(index) * 960, &OPUS);
    ingest.handle_input(now, &datagram(Kind::Rtp, now, &sound), taken);
}

/// Delivers the picture of frame `index`.
fn picture(
    ingest: &mut Ingest,
    taken: &mut Taken,
    kind: Kind,
    now: EdgeTime,
    ssrc: u32,
    index: u16,
    slice: &[u8],
) {
    let picture = rtp(VIDEO, ssrc + 1, index / 2, u32::from(index) * 1800, slice);
    ingest.handle_input(now, &datagram(kind, now, &picture), taken);
}

/// Sends frames, but for the pictures of some; of these, some come as repairs `late` frames afterwards.
fn frames(ingest: &mut Ingest, taken: &mut Taken, indices: std::ops::Range<u16>, missing: &[u16], late: u16) {
    for index in indices {
        let now = at(i64::from(index) * 20);
        if let Some(repaired) = index.checked_sub(late).filter(|past| missing.contains(past)) {
            picture(ingest, taken, Kind::Repair, now, 10, repaired, &SLICE);
        }
        if missing.contains(&index) {
            sound(ingest, taken, 10, index);
            ingest.handle_timeout(now, taken);
        } else {
            frame(ingest, taken, 10, index);
        }
    }
}

#[test]
fn sound_and_pictures_come_out_in_order_at_the_time_of_their_capture() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    for index in 0..100 {
        frame(&mut ingest, &mut taken, 10, index);
    }
    assert_eq!(taken.sounds.len(), 100);
    assert!(
        taken
            .sounds
            .windows(2)
            .all(|pair| pair[1].0.position - pair[0].0.position == 960)
    );
    assert!(taken.pictures.len() > 45, "{}", taken.pictures.len());
    let capture: Vec<EdgeTime> = taken.pictures.iter().map(|task| task.captured).collect();
    assert!(
        capture
            .windows(2)
            .all(|pair| (pair[1] - pair[0] - Span::from_millis(40)).abs() < Span::from_millis(1))
    );
    assert_eq!(marked(&taken), [0], "only the first has nothing to go on from");
    assert_eq!(ingest.rejected(), 0);
}

#[test]
fn a_lost_picture_marks_the_next_one_and_is_counted() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    for index in (0..20).chain(22..60) {
        frame(&mut ingest, &mut taken, 10, index);
    }
    assert_eq!(marked(&taken).len(), 2, "the first, and the one after the hole");
    let (_, counters) = ingest.counters().next().expect("one host");
    assert_eq!(counters.packets_lost, 3);
    assert!(counters.concealed_frames > 0);
}

#[test]
fn packets_of_sound_are_handed_over_as_they_came_and_none_is_made_up() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    for index in (0..20).chain(22..60) {
        frame(&mut ingest, &mut taken, 10, index);
    }
    assert!(taken.packets.iter().all(|(packet, _)| packet == &OPUS));
    assert!(taken.packets.is_sorted_by(|(_, one), (_, next)| one < next));
    assert!(taken.packets.len() >= 50 && taken.packets.len() < taken.sounds.len());
}

#[test]
fn a_picture_that_is_a_little_too_late_is_decoded_and_nothing_has_to_start_anew() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    frames(&mut ingest, &mut taken, 0..60, &[30], 4);
    assert_eq!(marked(&taken), [0]);
    assert_eq!(ingest.counters().next().expect("one host").1.packets_lost, 0);
}

#[test]
fn a_picture_that_comes_a_second_too_late_is_decoded_if_lost_ones_are_known_to_come_again() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    frames(&mut ingest, &mut taken, 0..60, &[10, 20, 30, 40], 15);
    let room = ingest.room_delay(at(1200));
    assert!(
        room > Span::from_millis(600),
        "the room waits for what is lost twice: {room:?}"
    );
    let before = marked(&taken).len();
    let late = u16::try_from((room.0 / 1_000_000 + 800) / 20).expect("a few frames");
    frames(&mut ingest, &mut taken, 60..240, &[70], late);
    assert_eq!(marked(&taken).len(), before);
}

#[test]
fn a_hole_is_not_waited_for_once_a_key_frame_after_it_is_due() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    frames(&mut ingest, &mut taken, 0..32, &[30], 99);
    picture(
        &mut ingest,
        &mut taken,
        Kind::Rtp,
        at(640),
        10,
        32,
        &[0x65, 0x88, 7, 7],
    );
    ingest.handle_timeout(at(654), &mut taken);
    assert!(taken.pictures.iter().all(|task| !task.key), "it is not due");
    ingest.handle_timeout(at(656), &mut taken);
    assert!(
        taken
            .pictures
            .last()
            .is_some_and(|task| task.key && task.after_loss)
    );
}

#[test]
fn a_picture_that_finds_no_room_marks_the_next_one() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    for index in 0..60 {
        taken.full = index == 30;
        frame(&mut ingest, &mut taken, 10, index);
    }
    assert_eq!(marked(&taken).len(), 2, "the first, and the one after the hole");
}

#[test]
fn a_restarted_encoder_is_followed_at_once_and_its_old_packets_are_ignored() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    for index in 0..30 {
        frame(&mut ingest, &mut taken, 10, index);
    }
    for index in 30..60 {
        frame(&mut ingest, &mut taken, 20, index);
    }
    assert_eq!(taken.restarts, 2);
    let sounds = taken.sounds.len();
    frame(&mut ingest, &mut taken, 10, 60);
    assert_eq!((taken.restarts, taken.sounds.len()), (2, sounds));
}

#[test]
fn junk_of_every_kind_is_counted_and_changes_nothing() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    frame(&mut ingest, &mut taken, 10, 0);
    let now = at(20);
    let foreign = Message {
        kind: Kind::Rtp,
        host: HostId(99),
        arrival_ns: now.0.unsigned_abs(),
        body: &[],
    };
    let junk = [
        vec![],
        vec![7; HEADER_LEN],
        foreign.header().to_vec(),
        datagram(Kind::Rtp, now, &[]),
        datagram(Kind::Rtp, now, &[0x80; 11]),
        datagram(Kind::Rtp, now, &rtp(5, 10, 1, 1, &OPUS)),
        datagram(Kind::Rtp, at(3_600_000), &rtp(AUDIO, 10, 1, 960, &OPUS)),
        datagram(Kind::RoundTrip, now, &[0; 7]),
        datagram(Kind::RoundTrip, now, &[0xff; 8]),
    ];
    for (number, datagram) in junk.iter().enumerate() {
        ingest.handle_input(now, datagram, &mut taken);
        assert_eq!(ingest.rejected(), number as u64 + 1, "{datagram:?}");
    }
    assert_eq!(taken.restarts, 0);
}

#[test]
fn every_truncation_of_a_packet_and_of_rtcp_is_harmless() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    let packet = rtp(VIDEO, 11, 0, 0, &[0x7c, 0x85, 1, 2, 3]);
    for length in 0..packet.len() {
        for kind in [Kind::Rtp, Kind::Rtcp] {
            ingest.handle_input(at(0), &datagram(kind, at(0), &packet[..length]), &mut taken);
        }
    }
    ingest.handle_timeout(at(2_000), &mut taken);
}

#[test]
fn a_track_that_stays_goes_on_when_the_other_is_replaced() {
    let (mut ingest, mut taken) = (ingest(), Taken::default());
    for index in 0..10 {
        frame(&mut ingest, &mut taken, 10, index);
    }
    ingest.add_host(HOST, Some(AudioSource { payload_type: AUDIO }), None, &mut taken);
    assert_eq!(taken.restarts, 1, "of the picture alone");
    let before = taken.sounds.len();
    frame(&mut ingest, &mut taken, 10, 10);
    assert_eq!(taken.sounds.len(), before + 1);
    assert_eq!(ingest.rejected(), 1, "the picture has no track any more");
}
