//! How long one picture of a mix takes: nanoseconds per output sample of luma, chroma included, for the
//! vector kernels and the scalar ones. Both run in alternation, because processors change their speed.
//!
//! `cargo run --release -p lianmai-compositor --example compositor_speed`

use lianmai_compositor::{
    Color, Composition, Fit, Frame, Kernels, Layer, Look, Picture, Size, Tile, TileKey, layout,
};
use std::time::Instant;

const CANVAS: Size = Size::new(1280, 720);
const ROUNDS: u64 = 200;

fn main() {
    println!(
        "{:>12} {:>8} {:>14} {:>14} {:>14}",
        "hosts", "kernels", "median ns/px", "least ns/px", "median ms"
    );
    for size in [
        Size::new(640, 360),
        Size::new(1280, 720),
        Size::new(632, 356),
        Size::new(1920, 1080),
        Size::new(320, 180),
    ] {
        measure(size);
    }
}

/// Four hosts of one size, each with a new picture every time.
fn measure(size: Size) {
    let frames: Vec<Frame> = (0..4).map(|host| picture(size, host)).collect();
    let rects = layout::grid(4, CANVAS);
    let mut runs = [Kernels::detect(), Kernels::scalar()].map(|kernels| {
        let composition = Composition::new(CANVAS, Color::BLACK, kernels).expect("a canvas");
        (kernels.name(), composition, Vec::new())
    });
    for id in 0..ROUNDS {
        for (_, composition, times) in &mut runs {
            let tiles: Vec<Layer<'_>> = (0..4)
                .map(|host| {
                    Layer::Tile(Tile {
                        key: TileKey(host as u64),
                        rect: rects[host],
                        fit: Fit::Contain,
                        look: Look::PLAIN,
                        picture: Picture::Frame {
                            view: frames[host].view(),
                            id,
                        },
                    })
                })
                .collect();
            let start = Instant::now();
            composition.compose(&tiles);
            times.push(start.elapsed().as_nanos() as f64);
        }
    }
    let pixels = (CANVAS.width * CANVAS.height) as f64;
    for (name, _, mut times) in runs {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!(
            "{:>12} {name:>8} {:>14.3} {:>14.3} {:>14.3}",
            format!("4x{}x{}", size.width, size.height),
            median / pixels,
            times[0] / pixels,
            median / 1e6,
        );
    }
}

fn picture(size: Size, host: u8) -> Frame {
    let mut frame = Frame::new(size).expect("a picture");
    for plane in frame.view_mut().planes_mut() {
        for y in 0..plane.size().height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                *sample = (x * 3 + y * 5) as u8 ^ (host * 40);
            }
        }
    }
    frame
}
