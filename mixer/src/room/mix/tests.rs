//! The mix under a clock moved by hand.

use super::{Mix, MixError};
use crate::audio::Pcm;
use lianmai_compositor::{Color, Frame, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{Canvas, Coding, SeiKind, Settings};
use lianmai_rtmp::{Tag, TagKind};
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;

const START: EdgeTime = EdgeTime(7_000_000_123);
const A: HostId = HostId(1);

fn at(millis: i64) -> EdgeTime {
    START + Span::from_millis(millis)
}

fn settings() -> Settings {
    Settings {
        room: "test".to_owned(),
        canvas: Canvas {
            width: 160,
            height: 90,
            fps: 30,
        },
        video_bitrate: 300_000,
        audio_bitrate: 64_000,
        gop_seconds: 2,
        record: None,
        images: None,
        font: None,
        rtmps_ca: None,
        sei: SeiKind::default(),
        loudness: None,
        vision: false,
        coding: Coding::default(),
    }
}

fn mix() -> Mix {
    Mix::new(&settings(), START).expect("it can be made").0
}

/// Runs all ticks of a stretch of time as a punctual thread would.
fn run(mix: &mut Mix, millis: std::ops::Range<i64>) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut emit = |tag| tags.push(tag);
    while mix.next_time() < at(millis.end) {
        let now = mix.next_time().max(at(millis.start));
        mix.sound_ticks(now, &mut emit).expect("encodes");
        mix.picture_tick(now, &mut emit).expect("encodes");
    }
    tags
}

fn frames(tags: &[Tag], kind: TagKind) -> Vec<u32> {
    tags.iter()
        .filter(|tag| tag.kind == kind && tag.is_frame())
        .map(|tag| tag.timestamp_ms)
        .collect()
}

fn grey() -> Arc<Frame> {
    let mut frame = Frame::new(Size::new(160, 90)).expect("a size");
    frame.fill(Color {
        y: 120,
        u: 128,
        v: 128,
    });
    Arc::new(frame)
}

#[test]
fn an_empty_room_has_full_output_from_the_first_tick() {
    let tags = run(&mut mix(), 0..3_000);
    let pictures = frames(&tags, TagKind::Video);
    assert!((85..=90).contains(&pictures.len()), "{}", pictures.len());
    assert!(
        pictures
            .windows(2)
            .all(|pair| matches!(pair[1] - pair[0], 33 | 34))
    );
    assert!(
        tags.iter().map(|tag| tag.timestamp_ms).is_sorted(),
        "one order of time for both tracks"
    );
    let keys: Vec<u32> = tags
        .iter()
        .filter(|tag| tag.is_key_frame())
        .map(|tag| tag.timestamp_ms)
        .collect();
    assert_eq!(keys[1] - keys[0], 2_000);
}

#[cfg(feature = "aac")]
#[test]
fn sound_has_no_gap_and_pictures_are_stamped_later_by_the_encoders_delay() {
    let mut mix = mix();
    let delay_ms = mix.audio.as_ref().expect("built in").delay() * 1000 / 48_000;
    let tags = run(&mut mix, 0..3_000);
    let sounds = frames(&tags, TagKind::Audio);
    assert_eq!(sounds[0], 0);
    assert!(
        sounds.windows(2).all(|pair| matches!(pair[1] - pair[0], 21 | 22)),
        "{sounds:?}"
    );
    assert!(sounds.len() > 130, "{}", sounds.len());
    assert_eq!(frames(&tags, TagKind::Video)[0], delay_ms);
}

#[test]
fn hosts_that_join_stall_mute_and_leave_do_not_touch_the_timing() {
    let mut mix = mix();
    let mut tags = run(&mut mix, 0..500);
    mix.add(A, true);
    for packet in 0..50 {
        mix.sound(
            A,
            &Pcm {
                position: packet * 960,
                samples: vec![0.1; 1920],
            },
            at(500 + packet * 20),
        );
    }
    mix.picture(A, at(500), grey());
    tags.extend(run(&mut mix, 500..1_000));
    mix.mute(A, true);
    mix.set_room_delay(Span::from_millis(900));
    tags.extend(run(&mut mix, 1_000..2_500));
    mix.remove(A);
    tags.extend(run(&mut mix, 2_500..3_000));
    for (kind, steps) in [(TagKind::Video, 33..=34), (TagKind::Audio, 21..=22)] {
        assert!(
            frames(&tags, kind)
                .windows(2)
                .all(|pair| steps.contains(&(pair[1] - pair[0]))),
            "{kind:?}"
        );
    }
}

#[test]
fn a_stall_of_the_process_loses_pictures_but_neither_time_nor_sound() {
    let mut mix = mix();
    let mut tags = run(&mut mix, 0..1_000);
    tags.extend(run(&mut mix, 1_500..2_000));
    let (encoded, skipped) = mix.counters();
    assert!((8..=9).contains(&skipped), "{skipped}");
    assert_eq!(encoded + skipped, 60);
    let pictures = frames(&tags, TagKind::Video);
    let jump = pictures
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .expect("many");
    assert!((300..=334).contains(&jump), "{jump}");
    assert!(
        frames(&tags, TagKind::Audio)
            .windows(2)
            .all(|pair| pair[1] - pair[0] <= 22),
        "all of the sound"
    );
}

#[test]
fn a_new_target_gets_a_key_frame_at_once() {
    let mut mix = mix();
    run(&mut mix, 0..1_000);
    mix.want_key_frame();
    let tags = run(&mut mix, 1_000..1_200);
    assert_eq!(tags.iter().filter(|tag| tag.is_key_frame()).count(), 1);
}

#[test]
fn a_canvas_that_cannot_be_made_is_refused_with_its_size() {
    for (width, height, fps) in [
        (161, 90, 30),
        (160, 0, 30),
        (8000, 90, 30),
        (160, 90, 0),
        (160, 90, 1000),
    ] {
        let settings = Settings {
            canvas: Canvas { width, height, fps },
            ..settings()
        };
        let error = Mix::new(&settings, START).err().expect("refused");
        assert!(matches!(error, MixError::Canvas(_)) && error.to_string().contains(&width.to_string()));
    }
}

mod scenes;
