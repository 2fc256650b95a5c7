//! Another scene in the middle of a stream, looked at in the pictures that leave.

use super::{A, Mix, at, frames, mix, run};
use lianmai_compositor::{Color, Frame, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::Scene;
use lianmai_rtmp::{Tag, TagKind};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use std::sync::Arc;

const B: HostId = HostId(2);
const LUMA: [(HostId, u8); 2] = [(A, 60), (B, 200)];

fn flat(luma: u8) -> Arc<Frame> {
    let mut frame = Frame::new(Size::new(160, 90)).expect("a size");
    frame.fill(Color {
        y: luma,
        u: 128,
        v: 128,
    });
    Arc::new(frame)
}

fn set(mix: &mut Mix, scene: &str) {
    let scene: Scene = serde_json::from_str(scene).expect("a scene");
    mix.set_scene(scene.into()).expect("a size");
}

/// Both hosts send a picture every 33 ms.
fn run_with_hosts(mix: &mut Mix, millis: std::ops::Range<i64>) -> Vec<Tag> {
    let mut tags = Vec::new();
    for begin in millis.clone().step_by(100) {
        let end = (begin + 100).min(millis.end);
        for captured in (begin..end).step_by(33) {
            for (host, luma) in LUMA {
                mix.picture(host, at(captured), flat(luma));
            }
        }
        tags.extend(run(mix, begin..end));
    }
    tags
}

/// The coded picture of a tag with start codes (ITU-T H.264 annex B), its parameter sets included.
fn annexb(tag: &Tag) -> Vec<u8> {
    let mut out = Vec::new();
    let mut nal = |nal: &[u8]| out.extend([&[0, 0, 0, 1], nal].concat());
    let body = &tag.body[5..];
    if tag.is_frame() {
        let mut rest = body;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            nal(unit);
            rest = after;
        }
    } else {
        // ISO/IEC 14496-15 §5.3.3.1: one sequence parameter set, one picture parameter set.
        let length = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
        let sps = length(6);
        nal(&body[8..8 + sps]);
        nal(&body[8 + sps + 3..][..length(8 + sps + 1)]);
    }
    out
}

/// What a viewer sees: for each picture, the mean luma of 8 x 8 samples at each of these places.
fn seen(tags: &[Tag], places: &[(usize, usize)]) -> Vec<Vec<f32>> {
    let mut decoder = Decoder::new().expect("a decoder");
    let video = tags.iter().filter(|tag| tag.kind == TagKind::Video);
    video
        .filter_map(|tag| {
            let decoded = decoder.decode(&annexb(tag)).expect("it decodes");
            let picture = decoded.filter(|_| tag.is_frame())?;
            let mean = |(x, y): &(usize, usize)| {
                let samples = (0..64).map(|i| picture.y()[(y + i / 8) * picture.strides().0 + x + i % 8]);
                samples.map(f32::from).sum::<f32>() / 64.0
            };
            Some(places.iter().map(mean).collect())
        })
        .collect()
}

/// How far each place is on its way from one luma to another.
fn ways(picture: &[f32], from_to: &[(f32, f32)]) -> Vec<f32> {
    let way = |(luma, (from, to)): (&f32, &(f32, f32))| (luma - from) / (to - from);
    picture.iter().zip(from_to).map(way).collect()
}

#[test]
fn a_change_of_layout_has_no_gap_no_jump_and_no_torn_picture() {
    let mut mix = mix();
    set(&mut mix, r##"{"background": "#000000"}"##);
    for (host, _) in LUMA {
        mix.add(host, true);
    }
    let mut tags = run_with_hosts(&mut mix, 0..1_500);
    set(
        &mut mix,
        r##"{"background": "#000000", "layout": {"type": "picture_in_picture", "percent": 40}}"##,
    );
    tags.extend(run_with_hosts(&mut mix, 1_500..3_000));

    let times = frames(&tags, TagKind::Video);
    assert!(
        times.windows(2).all(|pair| matches!(pair[1] - pair[0], 33 | 34)),
        "{times:?}"
    );
    assert_eq!(mix.counters().1, 0, "no tick was skipped");

    // The corner of the canvas, the other host's half of the grid, the small picture.
    let places = [(4, 4), (116, 28), (120, 74)];
    let from_to = [(16.0, 60.0), (200.0, 60.0), (16.0, 200.0)];
    let pictures = seen(&tags, &places);
    assert_eq!(pictures.len(), times.len(), "every tag is a picture");
    let from = pictures.len() - 60;
    let mut fading = 0;
    let mut before = 0.0;
    for picture in &pictures[from..] {
        let ways = ways(picture, &from_to);
        let mean = ways.iter().sum::<f32>() / 3.0;
        assert!(
            ways.iter().all(|way| (way - mean).abs() < 0.08),
            "one part is ahead of another: {ways:?}"
        );
        assert!(mean > before - 0.05, "back from {before} to {mean}");
        fading += usize::from((0.06..0.94).contains(&mean));
        before = mean;
    }
    assert!((7..=10).contains(&fading), "300 ms are 9 pictures: {fading}");
    let ways_of = |index: usize| ways(&pictures[index], &from_to);
    assert!(
        ways_of(from).iter().all(|way| way.abs() < 0.05),
        "{:?}",
        ways_of(from)
    );
    let last = pictures.len() - 1;
    assert!(
        ways_of(last).iter().all(|way| (way - 1.0).abs() < 0.05),
        "{:?}",
        ways_of(last)
    );
}

#[test]
fn a_new_layout_every_tick_does_not_touch_the_timing() {
    let mut mix = mix();
    let mut tags = Vec::new();
    for (host, _) in LUMA {
        mix.add(host, true);
    }
    let layouts = ["grid", "host", "picture_in_picture", "side_by_side", "screen"];
    for tick in 0..90 {
        let layout = layouts[tick as usize % layouts.len()];
        set(&mut mix, &format!(r#"{{"layout": {{"type": "{layout}"}}}}"#));
        tags.extend(run_with_hosts(&mut mix, tick * 33..(tick + 1) * 33));
    }
    for (kind, steps) in [(TagKind::Video, 33..=34), (TagKind::Audio, 21..=22)] {
        let times = frames(&tags, kind);
        assert!(times.windows(2).all(|pair| steps.contains(&(pair[1] - pair[0]))));
    }
}
