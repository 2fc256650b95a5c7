//! Hearing a tone among others.

use std::f64::consts::TAU;

/// The amplitude of one frequency in samples between -1 and 1 (Goertzel's algorithm).
pub fn amplitude(samples: &[f32], sample_rate: u32, hertz: u32) -> f64 {
    let coefficient = 2.0 * (TAU * f64::from(hertz) / f64::from(sample_rate)).cos();
    let (mut older, mut newer) = (0.0, 0.0);
    for sample in samples {
        (older, newer) = (newer, f64::from(*sample) + coefficient * newer - older);
    }
    let power = newer * newer + older * older - coefficient * newer * older;
    2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f64
}

/// How far a tone stands above the frequencies beside it, in decibels.
pub fn prominence(samples: &[f32], sample_rate: u32, hertz: u32) -> f64 {
    let beside =
        [hertz - 60, hertz - 35, hertz + 35, hertz + 60].map(|hertz| amplitude(samples, sample_rate, hertz));
    let floor = beside.iter().sum::<f64>() / beside.len() as f64;
    20.0 * (amplitude(samples, sample_rate, hertz) / floor.max(1e-9)).log10()
}
