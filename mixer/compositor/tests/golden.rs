//! One picture of a whole mix, compared with the one that was looked at and found good.
//!
//! After a change that is meant to be seen, run with `LIANMAI_GOLDEN=write`, look at `tests/golden.pgm`, and commit it.

use lianmai_compositor::{
    Color, Composition, Fit, Frame, Kernels, Layer, Look, Picture, Rect, Size, Tile, TileKey, View, layout,
};
use std::path::PathBuf;

const CANVAS: Size = Size::new(320, 180);

/// A host's picture: a diagonal ramp with a ring on it, and a colour of its own.
fn synthetic(size: Size, host: u8) -> Frame {
    let centre = (size.width as f32 / 2.0, size.height as f32 / 2.0);
    let luma: Vec<u8> = (0..size.height)
        .flat_map(|y| (0..size.width).map(move |x| (x, y)))
        .map(|(x, y)| {
            let distance = (x as f32 - centre.0).hypot(y as f32 - centre.1) / size.height as f32;
            if (0.25..0.35).contains(&distance) {
                235
            } else {
                30 + ((x + y) * 150 / (size.width + size.height)) as u8
            }
        })
        .collect();
    let chroma = size.chroma();
    let u = vec![90 + 20 * host; chroma.width * chroma.height];
    let v = vec![170 - 20 * host; chroma.width * chroma.height];
    let planes = [
        (&luma[..], size.width),
        (&u[..], chroma.width),
        (&v[..], chroma.width),
    ];
    Frame::copy_of(&View::new(size, planes).expect("a view")).expect("a picture")
}

/// Four hosts: 16:9 reduced, 4:3 with bars, upright and cut, and one without video.
fn mix(kernels: Kernels) -> Vec<u8> {
    let frames = [
        synthetic(Size::new(640, 360), 0),
        synthetic(Size::new(320, 240), 1),
        synthetic(Size::new(91, 161), 2),
    ];
    let rects = layout::grid(4, CANVAS);
    let fits = [Fit::Contain, Fit::Contain, Fit::Cover, Fit::Contain];
    let tiles: Vec<Layer<'_>> = rects
        .iter()
        .zip(fits)
        .enumerate()
        .map(|(index, (rect, fit))| {
            let picture = frames
                .get(index)
                .map_or(Picture::Placeholder, |frame| Picture::Frame {
                    view: frame.view(),
                    id: 1,
                });
            Layer::Tile(Tile {
                key: TileKey(index as u64),
                rect: *rect,
                fit,
                look: Look::PLAIN,
                picture,
            })
        })
        .collect();
    let mut composition = Composition::new(CANVAS, Color::BLACK, kernels).expect("a canvas");
    composition.compose(&tiles).frame.view().to_packed()
}

/// All planes below one another in one grey picture, the chroma planes side by side.
fn to_pgm(packed: &[u8]) -> Vec<u8> {
    let Size { width, height } = CANVAS;
    let (luma, chroma) = packed.split_at(width * height);
    let (u, v) = chroma.split_at(chroma.len() / 2);
    let mut pgm = format!("P5\n{width} {}\n255\n", height * 3 / 2).into_bytes();
    pgm.extend_from_slice(luma);
    for (u, v) in u.chunks_exact(width / 2).zip(v.chunks_exact(width / 2)) {
        pgm.extend_from_slice(u);
        pgm.extend_from_slice(v);
    }
    pgm
}

#[test]
fn the_mix_of_four_hosts_looks_as_it_did() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden.pgm");
    let now = to_pgm(&mix(Kernels::detect()));
    if std::env::var_os("LIANMAI_GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, &now).expect("tests/ can be written");
    }
    let golden = std::fs::read(&path).expect("tests/golden.pgm is part of the sources");
    assert_eq!(now.len(), golden.len());
    let worst = now
        .iter()
        .zip(&golden)
        .map(|(now, golden)| now.abs_diff(*golden))
        .max();
    // The ring is drawn in floating point, whose last bit is the platform's.
    assert!(worst <= Some(2), "samples differ by up to {worst:?}");
}

#[test]
fn both_kernels_compose_the_same_mix() {
    assert!(mix(Kernels::detect()) == mix(Kernels::scalar()));
}

#[test]
fn a_rectangle_of_the_grid_is_where_its_host_is() {
    let packed = mix(Kernels::detect());
    let Rect { x, y, width, height } = layout::grid(4, CANVAS)[0];
    let centre = packed[(y + height / 2) * CANVAS.width + x + width / 2];
    assert!(
        (90..=120).contains(&centre),
        "the middle of a ramp from 30 to 180: {centre}"
    );
}
