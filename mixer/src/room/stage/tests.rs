use super::Stage;
use crate::art::{Lettering, Prepared};
use crate::vision::Mark;
use lianmai_compositor::{Color, Frame, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::{Rgb, Scene};
use lianmai_timeline::{EdgeTime, Span};
use std::sync::Arc;
use std::time::Duration;

const A: HostId = HostId(1);
const B: HostId = HostId(2);

fn at(millis: i64) -> EdgeTime {
    EdgeTime(1_000_000_000) + Span::from_millis(millis)
}

fn picture(luma: u8) -> Arc<Frame> {
    let mut frame = Frame::new(Size::new(320, 180)).expect("a size");
    frame.fill(Color {
        y: luma,
        u: 128,
        v: 128,
    });
    Arc::new(frame)
}

/// A stage without cross-fades.
fn stage() -> Stage {
    staged(r#"{"fade_ms": 0}"#)
}

fn staged(scene: &str) -> Stage {
    let mut stage = Stage::new(Size::new(320, 180)).expect("a size");
    set(&mut stage, scene);
    stage
}

fn set(stage: &mut Stage, scene: &str) {
    let scene: Scene = serde_json::from_str(scene).expect("a scene");
    stage.set_scene(scene.into()).expect("a size");
}

fn luma(frame: &Frame, x: usize, y: usize) -> u8 {
    frame.view().planes()[0].row(y)[x]
}

#[test]
fn an_empty_stage_is_background() {
    let mut stage = stage();
    let frame = stage.compose(at(0));
    assert_eq!(luma(frame, 0, 0), luma(frame, 318, 178));
}

#[test]
fn two_hosts_sit_side_by_side_and_one_alone_has_all_of_it() {
    let mut stage = stage();
    stage.add(A, true);
    stage.add(B, true);
    stage.show(A, at(0), picture(60));
    stage.show(B, at(0), picture(200));
    let frame = stage.compose(at(0));
    assert_eq!((luma(frame, 80, 90), luma(frame, 240, 90)), (60, 200));
    stage.remove(A);
    let frame = stage.compose(at(33));
    assert_eq!((luma(frame, 10, 10), luma(frame, 310, 170)), (200, 200));
}

#[test]
fn each_tick_shows_the_picture_nearest_to_its_time() {
    let mut stage = stage();
    stage.add(A, true);
    for (millis, level) in [(0, 50), (40, 100), (80, 150)] {
        stage.show(A, at(millis), picture(level));
    }
    let shown: Vec<u8> = [0, 33, 66]
        .iter()
        .map(|ms| luma(stage.compose(at(*ms)), 160, 90))
        .collect();
    assert_eq!(shown, [50, 100, 150]);
}

#[test]
fn a_frozen_host_is_dimmed_until_its_next_picture() {
    let mut stage = stage();
    stage.add(A, true);
    stage.show(A, at(0), picture(216));
    assert_eq!(luma(stage.compose(at(0)), 160, 90), 216);
    assert_eq!(luma(stage.compose(at(4_900)), 160, 90), 216);
    assert_eq!(luma(stage.compose(at(5_100)), 160, 90), 116);
    stage.show(A, at(5_110), picture(216));
    assert_eq!(luma(stage.compose(at(5_133)), 160, 90), 216);
}

#[test]
fn a_host_that_stops_its_video_gets_the_placeholder() {
    let mut stage = stage();
    stage.add(A, true);
    stage.show(A, at(0), picture(216));
    stage.compose(at(0));
    stage.add(A, false);
    assert!(luma(stage.compose(at(33)), 2, 2) < 60);
}

#[test]
fn who_has_no_place_is_told_and_comes_back_without_an_old_picture() {
    let mut stage = stage();
    stage.add(A, true);
    stage.add(B, true);
    stage.show(B, at(0), picture(216));
    stage.compose(at(0));
    let told = stage.take_shown();
    assert!(told.iter().map(|(host, _)| *host).eq([A, B]) && told[0].1 == told[1].1);
    assert!(!told[0].1.is_empty() && told[0].1.width <= 160, "{told:?}");
    set(
        &mut stage,
        r#"{"fade_ms": 0, "layout": {"type": "custom", "regions": [{"x": 0, "y": 0, "width": 320, "height": 180}]}}"#,
    );
    stage.compose(at(33));
    assert_eq!(
        stage.take_shown(),
        [(A, Size::new(320, 180)), (B, Size::new(0, 0))]
    );
    stage.show(B, at(40), picture(216));
    set(&mut stage, r#"{"fade_ms": 0}"#);
    assert!(luma(stage.compose(at(66)), 166, 60) < 60, "the placeholder");
    assert_eq!(stage.take_shown(), told);
    stage.show(B, at(90), picture(216));
    assert_eq!(luma(stage.compose(at(100)), 240, 90), 216);
}

#[test]
fn a_restarted_encoder_keeps_the_last_picture_until_its_first() {
    let mut stage = stage();
    stage.add(A, true);
    stage.show(A, at(1_000), picture(100));
    stage.compose(at(1_000));
    stage.restart(A);
    assert_eq!(luma(stage.compose(at(1_033)), 160, 90), 100);
    // Its capture times may lie before those of the old encoder.
    stage.show(A, at(990), picture(200));
    assert_eq!(luma(stage.compose(at(1_066)), 160, 90), 200);
}

#[test]
fn of_more_than_nine_hosts_the_first_nine_are_shown() {
    let mut stage = stage();
    for host in 0..12 {
        stage.add(HostId(host), true);
        stage.show(HostId(host), at(0), picture(100 + host as u8));
    }
    let frame = stage.compose(at(0));
    assert_eq!((luma(frame, 50, 30), luma(frame, 270, 150)), (100, 108));
}

#[test]
fn a_scene_is_shown_from_the_next_tick_on() {
    let mut stage = stage();
    for (host, name, level) in [(A, "ann", 60), (B, "bob", 200)] {
        stage.name(host, name.to_owned());
        stage.add(host, true);
        stage.show(host, at(0), picture(level));
    }
    assert_eq!(luma(stage.compose(at(0)), 2, 2), 33, "background above the grid");
    set(
        &mut stage,
        r#"{"fade_ms": 0, "layout": {"type": "picture_in_picture", "main": "bob"}}"#,
    );
    let frame = stage.compose(at(33));
    assert_eq!((luma(frame, 2, 2), luma(frame, 290, 160)), (200, 60));
    set(
        &mut stage,
        r#"{"fade_ms": 0, "layout": {"type": "custom", "regions": [{"host": "bob", "x": 0, "y": 0, "width": 100, "height": 180}]}}"#,
    );
    let frame = stage.compose(at(66));
    assert_eq!((luma(frame, 50, 90), luma(frame, 150, 90)), (200, 33));
}

#[test]
fn a_change_fades_all_of_the_picture_at_once_and_ends_on_time() {
    let mut stage = staged(r##"{"fade_ms": 300, "background": "#000000"}"##);
    stage.add(A, true);
    stage.show(A, at(0), picture(216));
    let levels: Vec<u8> = (0..11)
        .map(|tick| luma(stage.compose(at(tick * 33)), 160, 90))
        .collect();
    assert_eq!(levels[0], 33, "the canvas before the first host: {levels:?}");
    assert!(
        levels.is_sorted_by(|one, next| one < next || *one == 216),
        "{levels:?}"
    );
    assert_eq!(levels[10], 216, "after 330 ms: {levels:?}");
    assert!(levels[9] < 216, "after 297 ms: {levels:?}");
}

#[test]
fn a_scene_that_comes_in_the_middle_of_a_fade_begins_with_what_is_seen() {
    let mut stage = staged(r#"{"fade_ms": 300}"#);
    stage.add(A, true);
    stage.show(A, at(0), picture(216));
    stage.compose(at(0));
    let middle = luma(stage.compose(at(150)), 160, 90);
    assert!((100..140).contains(&middle), "{middle}");
    set(&mut stage, r##"{"fade_ms": 300, "background": "#ffffff"}"##);
    assert_eq!(luma(stage.compose(at(183)), 160, 90), middle, "no jump");
    assert_eq!(luma(stage.compose(at(500)), 160, 90), 216);
}

#[test]
fn who_speaks_gets_another_border_without_a_fade() {
    let mut stage = staged(r##"{"fade_ms": 0, "speaker": {"width": 4, "color": "#ffffff"}}"##);
    stage.add(A, true);
    stage.show(A, at(0), picture(60));
    assert_eq!(luma(stage.compose(at(0)), 1, 90), 60);
    stage.speaking(A, true);
    assert_eq!(luma(stage.compose(at(33)), 1, 90), 235);
    stage.speaking(A, false);
    assert_eq!(luma(stage.compose(at(66)), 1, 90), 60);
}

/// A scene as the loader's thread would prepare it.
fn prepared(scene: &str) -> Prepared {
    let scene: Scene = serde_json::from_str(scene).expect("a scene");
    Prepared {
        lettering: Some(Lettering::open(None).expect("the font of `cargo xtask setup`")),
        ..scene.into()
    }
}

fn brightest(frame: &Frame, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Option<u8> {
    rows.flat_map(|y| columns.clone().map(move |x| (x, y)))
        .map(|(x, y)| luma(frame, x, y))
        .max()
}

#[test]
fn a_label_is_at_the_bottom_left_of_its_host_and_goes_with_it() {
    let mut stage = stage();
    stage
        .set_scene(prepared(r#"{"fade_ms": 0, "labels": true}"#))
        .expect("a size");
    stage.name(A, "ann".to_owned());
    stage.name(B, "主播".to_owned());
    for host in [A, B] {
        stage.add(host, true);
        stage.show(host, at(0), picture(60));
    }
    let frame = stage.compose(at(0));
    assert!(brightest(frame, 110..135, 5..40) > Some(180));
    assert!(brightest(frame, 110..135, 166..200) > Some(180));
    assert_eq!(brightest(frame, 60..100, 5..155), Some(60));
    stage.remove(A);
    let frame = stage.compose(at(33));
    assert!(
        brightest(frame, 150..180, 5..60) > Some(180),
        "the other one alone"
    );
    assert_eq!(brightest(frame, 100..140, 5..60), Some(60));
}

#[test]
fn a_clock_shows_another_second_every_second_and_nothing_else_is_painted() {
    let mut stage = stage();
    let scene =
        r#"{"fade_ms": 0, "watermarks": [{"content": {"type": "clock", "size": 20}, "corner": "top_left"}]}"#;
    stage.set_scene(prepared(scene)).expect("a size");
    stage.set_wall_clock(at(0), Duration::from_millis(1_700_000_000_500));
    let mut packed = |millis| stage.compose(at(millis)).view().to_packed();
    let (first, same, next) = (packed(0), packed(499), packed(501));
    assert!(first == same && first != next);
    let below = 60 * 320;
    assert!(first[below..320 * 180] == next[below..320 * 180]);
}

#[test]
fn without_a_font_everything_else_is_shown() {
    let mut stage = staged(
        r#"{"fade_ms": 0, "labels": true, "watermarks": [{"content": {"type": "clock"}}, {"content": {"type": "text", "text": "x"}}]}"#,
    );
    stage.name(A, "ann".to_owned());
    stage.add(A, true);
    stage.show(A, at(0), picture(60));
    assert_eq!(brightest(stage.compose(at(0)), 0..180, 0..320), Some(60));
}

/// A white box over a quarter of the picture.
fn mark(x: f32, y: f32) -> Mark {
    Mark {
        part: [x, y, 0.5, 0.5],
        label: String::new(),
        color: Rgb([255; 3]),
    }
}

#[test]
fn what_was_seen_is_drawn_for_half_a_second_or_until_something_else_is_said() {
    let mut stage = stage();
    stage.add(A, true);
    stage.show(A, at(0), picture(60));
    stage.mark(A, vec![mark(0.25, 0.25)]);
    let corner = |stage: &mut Stage, millis| {
        let frame = stage.compose(at(millis));
        [(80, 46), (160, 90), (238, 132), (0, 0)].map(|(x, y)| luma(frame, x, y))
    };
    assert_eq!(corner(&mut stage, 0), [235, 60, 235, 60]);
    assert_eq!(corner(&mut stage, 499), [235, 60, 235, 60]);
    assert_eq!(corner(&mut stage, 500), [60; 4]);
    stage.mark(A, vec![mark(0.25, 0.25)]);
    assert_eq!(corner(&mut stage, 533), [235, 60, 235, 60]);
    stage.mark(A, vec![mark(0.0, 0.0)]);
    assert_eq!(corner(&mut stage, 566), [60, 60, 60, 235]);
    stage.mark(A, Vec::new());
    assert_eq!(corner(&mut stage, 600), [60; 4]);
}

#[test]
fn what_was_seen_goes_where_its_host_goes_and_away_with_it() {
    let mut stage = stage();
    for host in [A, B] {
        stage.add(host, true);
        stage.show(host, at(0), picture(60));
    }
    stage.mark(A, vec![mark(0.0, 0.0)]);
    stage.mark(B, vec![mark(0.5, 0.5)]);
    // 158 x 88 each, in the middle of the canvas, two apart.
    let frame = stage.compose(at(0));
    assert_eq!(luma(frame, 0, 46), 235);
    assert_eq!(brightest(frame, 90..180, 240..320), Some(235));
    stage.remove(A);
    let frame = stage.compose(at(33));
    assert_eq!((luma(frame, 0, 46), luma(frame, 80, 133)), (60, 60));
    assert_eq!(luma(frame, 160, 90), 235);
    assert_eq!(brightest(frame, 0..89, 0..320), Some(60));
    stage.remove(B);
    assert_eq!(
        brightest(stage.compose(at(66)), 0..180, 0..320),
        brightest(stage.compose(at(99)), 0..1, 0..1)
    );
    stage.mark(HostId(77), vec![mark(0.0, 0.0)]);
    assert_ne!(
        brightest(stage.compose(at(133)), 0..180, 0..320),
        Some(235),
        "nobody of that number"
    );
}

#[test]
fn more_boxes_than_one_picture_has_time_for_come_with_the_next_ones() {
    let mut stage = stage();
    for host in 0..9 {
        stage.add(HostId(host), true);
        stage.show(HostId(host), at(0), picture(60));
        stage.mark(HostId(host), vec![mark(0.25, 0.25); 16]);
    }
    let mut boxed = |millis| {
        let frame = stage.compose(at(millis));
        let samples = frame.view().planes()[0]
            .rows()
            .flatten()
            .filter(|luma| **luma == 235)
            .count();
        samples / 100
    };
    let counts: Vec<usize> = (0..10).map(|tick| boxed(tick * 33)).collect();
    assert!(
        counts.is_sorted() && counts[0] > 0 && counts[0] * 8 < counts[9] && counts[8] == counts[9],
        "{counts:?}"
    );
}

mod golden;
