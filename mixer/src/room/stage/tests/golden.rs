//! Every layout and decoration as a picture, compared with the one that was looked at and found good.
//!
//! After a change that is meant to be seen, run with `LIANMAI_GOLDEN=write`, look at the files, and commit them.

use super::at;
use crate::art::{Lettering, Prepared};
use crate::room::stage::Stage;
use crate::vision::Mark;
use lianmai_compositor::{Color, Frame, Kernels, Rect, Size, Sprite};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::{Content, Rgb, Scene};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const CANVAS: Size = Size::new(480, 270);

/// Name of the file, what is set, how many hosts there are.
const SCENES: &[(&str, &str, usize)] = &[
    ("grid-1", "{}", 1),
    ("grid-4", "{}", 4),
    ("grid-5", r#"{"fit": "fill"}"#, 5),
    (
        "host-right",
        r#"{"layout": {"type": "host"}, "corner_radius": 8}"#,
        4,
    ),
    (
        "host-bottom",
        r##"{"layout": {"type": "host", "main": "主播小明", "side": "bottom"}, "border": {"width": 2, "color": "#ffffff"}, "labels": true}"##,
        4,
    ),
    (
        "picture-in-picture",
        r##"{"layout": {"type": "picture_in_picture", "percent": 30}, "corner_radius": 16, "border": {"width": 4, "color": "#ffb000"}}"##,
        2,
    ),
    (
        "side-by-side",
        r#"{"layout": {"type": "side_by_side"}, "labels": true}"#,
        2,
    ),
    ("side-by-side-3", r#"{"layout": {"type": "side_by_side"}}"#, 3),
    ("screen-right", r#"{"layout": {"type": "screen"}}"#, 4),
    (
        "screen-top",
        r#"{"layout": {"type": "screen", "side": "top"}, "labels": true}"#,
        5,
    ),
    (
        "custom",
        r##"{"background": "#203040", "layout": {"type": "custom", "regions": [
            {"x": 20, "y": 20, "width": 300, "height": 200, "fit": "stretch"},
            {"x": 200, "y": 90, "width": 240, "height": 160, "z": 2, "alpha": 0.5, "corner_radius": 40},
            {"x": 340, "y": 20, "width": 121, "height": 121, "z": 1, "fit": "fill", "corner_radius": 200,
             "border": {"width": 6, "color": "#40c0ff"}}]}}"##,
        3,
    ),
    (
        "speaker",
        r##"{"border": {"width": 2, "color": "#404040"}, "speaker": {"width": 6, "color": "#30e060"}, "corner_radius": 12, "labels": true}"##,
        4,
    ),
    (
        "watermarks",
        r##"{"labels": true, "watermarks": [
            {"content": {"type": "image", "file": "logo.png"}, "corner": "top_left", "alpha": 0.8},
            {"content": {"type": "text", "text": "连麦 Lianmai", "size": 22, "color": "#ffe060"}, "corner": "top_right"},
            {"content": {"type": "clock", "utc_offset_minutes": 480}, "corner": "bottom_right", "alpha": 0.7}]}"##,
        1,
    ),
    (
        "images",
        r##"{"background_image": "stage.png", "placeholder": "away.png", "corner_radius": 20}"##,
        4,
    ),
    ("boxes", r#"{"labels": true}"#, 2),
    (
        "boxes-fits",
        r##"{"layout": {"type": "custom", "regions": [
            {"x": 0, "y": 0, "width": 240, "height": 134, "fit": "fill"},
            {"x": 240, "y": 0, "width": 240, "height": 134, "border": {"width": 8, "color": "#ffb000"}},
            {"x": 0, "y": 134, "width": 480, "height": 136, "fit": "fill"}]}}"##,
        3,
    ),
];

const NAMES: [&str; 5] = [
    "ann",
    "Žofie Ångström",
    "主播小明",
    "한국어 テスト",
    "a very long name that has to be cut",
];

/// A diagonal ramp in a colour of its own with a ring in the middle, in another shape for each.
fn picture(host: usize) -> Arc<Frame> {
    let sizes = [(320, 180), (240, 180), (90, 160), (160, 160), (320, 180)];
    let size = Size::new(sizes[host].0, sizes[host].1);
    let mut frame = Frame::new(size).expect("a size");
    for (index, plane) in frame.view_mut().planes_mut().iter_mut().enumerate() {
        let step = if index == 0 { 1 } else { 2 };
        for y in 0..plane.size().height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                let (x, y) = (x * step, y * step);
                let (dx, dy) = (
                    2 * x as i64 - size.width as i64,
                    2 * y as i64 - size.height as i64,
                );
                let ring = (dx * dx + dy * dy) * 100 / (size.height * size.height) as i64;
                *sample = match index {
                    0 if (25..36).contains(&ring) => 225,
                    0 => 50 + ((x + y) * 110 / (size.width + size.height)) as u8,
                    1 => [90, 150, 110, 170, 128][host],
                    _ => [150, 90, 170, 120, 100][host],
                };
            }
        }
    }
    Arc::new(frame)
}

/// What a vision program would say of such a picture: the ring's outer edge is three tenths of the height from the middle.
fn around_the_ring(host: usize) -> Mark {
    let Size { width, height } = picture(host).size();
    let half = 0.3 * height as f32 / width as f32;
    Mark {
        part: [0.5 - half, 0.2, 2.0 * half, 0.6],
        label: ["ring", "环 ring", ""][host].to_owned(),
        color: [Rgb([0x30, 0xe0, 0x60]), Rgb([0x20, 0x20, 0xa0]), Rgb([255; 3])][host],
    }
}

/// A disc of one colour in a square that is not seen.
fn disc(side: usize, [red, green, blue]: [u8; 3], alpha: u16) -> Sprite {
    let pixels: Vec<[u8; 4]> = (0..side * side)
        .map(|index| {
            let (dx, dy) = (
                2 * (index % side) as i64 - side as i64,
                2 * (index / side) as i64 - side as i64,
            );
            let inside = dx * dx + dy * dy < (side * side) as i64;
            [red, green, blue, if inside { 255 } else { 0 }]
        })
        .collect();
    Sprite::from_rgba(Size::new(side, side), &pixels, alpha).expect("a size")
}

fn stripes() -> Frame {
    let mut frame = Frame::new(Size::new(240, 200)).expect("a size");
    frame.fill(Color::from_rgb(60, 20, 60));
    for x in (0..240).step_by(40) {
        frame.fill_rect(Rect::even(x, 0, 20, 200), Color::from_rgb(20, 50, 70));
    }
    frame
}

fn prepared(json: &str) -> Prepared {
    let mut scene: Scene = serde_json::from_str(json).expect("a scene");
    scene.fade_ms = 0;
    let mark =
        |content: &Content| matches!(content, Content::Image { .. }).then(|| disc(40, [230, 40, 60], 205));
    Prepared {
        background: scene.background_image.as_ref().map(|_| stripes()),
        placeholder: scene
            .placeholder
            .as_ref()
            .map(|_| disc(100, [240, 200, 40], 256).over(Color::from_rgb(10, 60, 40), Kernels::detect())),
        marks: scene.watermarks.iter().map(|one| mark(&one.content)).collect(),
        lettering: Some(Lettering::open(None).expect("the font of `cargo xtask setup`")),
        scene: Box::new(scene),
    }
}

/// The picture of a scene as red, green and blue.
fn shown(scene: &str, json: &str, hosts: usize) -> Vec<u8> {
    let mut stage = Stage::new(CANVAS).expect("a size");
    stage.set_wall_clock(at(0), Duration::from_secs(1_700_000_000));
    stage.set_scene(prepared(json)).expect("a size");
    for (host, name) in NAMES.iter().enumerate().take(hosts) {
        let id = HostId(host as u32);
        stage.name(id, (*name).to_owned());
        // The last one of four has no picture.
        stage.add(id, true);
        if host != 3 {
            stage.show(id, at(0), picture(host));
        }
        stage.speaking(id, host == 1);
        if scene.starts_with("boxes") {
            stage.mark(id, vec![around_the_ring(host)]);
        }
    }
    rgb(stage.compose(at(0)))
}

/// ITU-R BT.601-7 §2.5, limited range, chroma as it is.
fn rgb(frame: &Frame) -> Vec<u8> {
    let view = frame.view();
    let [luma, blue, red] = view.planes();
    let mut out = Vec::with_capacity(CANVAS.width * CANVAS.height * 3);
    for y in 0..CANVAS.height {
        for x in 0..CANVAS.width {
            let l = (f32::from(luma.row(y)[x]) - 16.0) * 255.0 / 219.0;
            let centred = |sample: u8| (f32::from(sample) - 128.0) * 255.0 / 224.0;
            let (b, r) = (centred(blue.row(y / 2)[x / 2]), centred(red.row(y / 2)[x / 2]));
            let all = [l + 1.402 * r, l - 0.3441 * b - 0.7141 * r, l + 1.772 * b];
            out.extend(all.map(|value| value.round().clamp(0.0, 255.0) as u8));
        }
    }
    out
}

fn path(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/room/stage/tests/golden");
    folder.join(format!("{name}.png"))
}

fn write(name: &str, pixels: &[u8]) {
    let file = File::create(path(name)).expect("the folder can be written");
    let mut encoder = png::Encoder::new(file, CANVAS.width as u32, CANVAS.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Best);
    encoder
        .write_header()
        .expect("written")
        .write_image_data(pixels)
        .expect("written");
}

fn read(name: &str) -> Vec<u8> {
    let file = File::open(path(name)).expect("the golden pictures are part of the sources");
    let mut reader = png::Decoder::new(BufReader::new(file))
        .read_info()
        .expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size()];
    reader.next_frame(&mut pixels).expect("a PNG");
    pixels
}

#[test]
fn every_scene_looks_as_it_did() {
    let mut different = Vec::new();
    for (name, json, hosts) in SCENES {
        let now = shown(name, json, *hosts);
        if std::env::var_os("LIANMAI_GOLDEN").is_some_and(|mode| mode == "write") {
            write(name, &now);
        }
        let golden = read(name);
        assert_eq!(now.len(), golden.len(), "{name}");
        // Round shapes are drawn in floating point, whose last bit is the platform's, and chroma weighs up to 1.86.
        let far = now
            .iter()
            .zip(&golden)
            .filter(|(now, golden)| now.abs_diff(**golden) > 6)
            .count();
        if far > 0 {
            different.push((name, far));
        }
    }
    assert!(
        different.is_empty(),
        "samples that differ by more than 6: {different:?}"
    );
}
