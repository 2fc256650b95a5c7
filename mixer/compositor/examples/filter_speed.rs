//! How long each filter takes for one picture of 1280 x 720, with the vector kernels and the scalar ones, in alternation, because
//! processors change their speed.
//!
//! `cargo run --release -p lianmai-compositor --example filter_speed`

use lianmai_compositor::filter::{Axis, Filter, FilterChain};
use lianmai_compositor::{Frame, Kernels, Rotation, Size};
use std::time::Instant;

const PICTURE: Size = Size::new(1280, 720);
const ROUNDS: usize = 100;

fn main() {
    println!(
        "{:>24} {:>8} {:>12} {:>12}",
        "filter", "kernels", "median ms", "least ms"
    );
    measure("copy alone", &[]);
    for filter in [
        Filter::Brightness(0.1),
        Filter::Contrast(1.2),
        Filter::Saturation(1.3),
        Filter::Sharpen(0.7),
        Filter::Denoise(0.5),
        Filter::Blur(2),
        Filter::Blur(8),
        Filter::Blur(32),
        Filter::Rotate(Rotation::Quarter),
        Filter::Rotate(Rotation::Half),
        Filter::Mirror(Axis::Horizontal),
        Filter::Mirror(Axis::Vertical),
    ] {
        measure(&format!("{filter:?}"), &[filter]);
    }
}

/// The copy from the decoder's picture is part of every chain.
fn measure(name: &str, filters: &[Filter]) {
    let pictures: Vec<Frame> = (0..4).map(picture).collect();
    let mut runs = [Kernels::detect(), Kernels::scalar()].map(|kernels| {
        let chain = FilterChain::new(filters, kernels);
        (kernels.name(), chain, None, Vec::new())
    });
    for round in 0..ROUNDS {
        for (_, chain, reuse, times) in &mut runs {
            let start = Instant::now();
            let frame = chain.run(&pictures[round % 4].view(), Rotation::None, reuse.take());
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            *reuse = frame.ok();
        }
    }
    for (kernels, _, _, mut times) in runs {
        times.sort_by(f64::total_cmp);
        println!(
            "{name:>24} {kernels:>8} {:>12.3} {:>12.3}",
            times[times.len() / 2],
            times[0]
        );
    }
}

fn picture(seed: usize) -> Frame {
    let mut frame = Frame::new(PICTURE).expect("a picture");
    for plane in frame.view_mut().planes_mut() {
        for y in 0..plane.size().height {
            for (x, sample) in plane.row_mut(y).iter_mut().enumerate() {
                *sample = (x * 3 + y * 5) as u8 ^ ((x * y + seed) % 7) as u8;
            }
        }
    }
    frame
}
