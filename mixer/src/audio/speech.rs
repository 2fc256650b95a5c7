//! Something like speech, for tests.

use super::SAMPLE_RATE;
use std::f64::consts::TAU;

/// A frame of a voice: overtones of a pitch in hertz that goes up and down a little, in syllables and words with pauses
/// between them.
pub(crate) fn voice(pitch: f64, amplitude: f32, frame: i64) -> f32 {
    let time = frame as f64 / f64::from(SAMPLE_RATE);
    let syllable = (TAU * 4.1 * time).sin().max(0.0);
    let word = if (time * 0.55 + pitch / 100.0).fract() < 0.7 {
        1.0
    } else {
        0.0
    };
    let phase = pitch * time + 0.8 * (TAU * 1.3 * time).sin();
    let tone: f64 = (1..=12)
        .map(|overtone| (TAU * f64::from(overtone) * phase).sin() / f64::from(overtone))
        .sum();
    amplitude * (tone * syllable * word) as f32
}
