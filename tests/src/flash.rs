//! Hosts that turn white and beep at the start of every second, and when a viewer of the mix sees and hears it.

use crate::probe;
use crate::tone::amplitude;
use anyhow::{Context, Result};
use std::path::Path;

/// Windows in which a tone is listened for; tones that are apart by a multiple of their rate do not disturb one another.
const WINDOW: usize = probe::SAMPLE_RATE as usize / 100;
const HOP: usize = WINDOW / 5;

/// A flash and a beep further apart than this belong to different seconds, in seconds.
const SAME: f64 = 0.5;

/// What one file shows.
#[derive(Debug)]
pub struct Recording {
    times: Vec<f64>,
    pictures: Vec<probe::Picture>,
    sound: Vec<f32>,
    sound_from: f64,
}

/// How far apart things are that belong together, in seconds, in order of size.
#[derive(Clone, Debug, PartialEq)]
pub struct Distances(Vec<f64>);

impl Recording {
    /// Decodes a file.
    pub fn open(file: &Path) -> Result<Self> {
        let packets = probe::packets(file)?;
        let first_sound = packets.iter().find(|packet| !packet.video);
        Ok(Self {
            times: packets
                .iter()
                .filter(|packet| packet.video)
                .map(|packet| packet.pts)
                .collect(),
            pictures: probe::pictures(file, 64, 36)?,
            sound: probe::sound(file)?,
            sound_from: first_sound.context("a recording without sound")?.pts,
        })
    }

    /// When the host turned white whose place begins at `left`, a fraction of the width.
    pub fn flashes(&self, left: f64) -> Vec<f64> {
        let light = |picture: &probe::Picture| picture.mean([left, 0.35, 0.3, 0.3])[1];
        let pairs = self.pictures.windows(2).zip(self.times.windows(2));
        pairs
            .filter(|(pictures, _)| light(&pictures[0]) < 100.0 && light(&pictures[1]) >= 100.0)
            .map(|(_, times)| times[1])
            .collect()
    }

    /// When a tone began: where it fills half of a window.
    pub fn beeps(&self, hertz: u32) -> Vec<f64> {
        let loudness: Vec<f64> = self
            .sound
            .windows(WINDOW)
            .step_by(HOP)
            .map(|window| amplitude(window, probe::SAMPLE_RATE, hertz))
            .collect();
        let half = loudness.iter().copied().fold(0.0, f64::max) / 2.0;
        let rises = loudness.windows(2).enumerate();
        let rises = rises.filter(|(_, pair)| pair[0] < half && pair[1] >= half);
        rises
            .map(|(index, pair)| {
                let hops = index as f64 + (half - pair[0]) / (pair[1] - pair[0]);
                let samples = hops * HOP as f64 + WINDOW as f64 / 2.0;
                self.sound_from + samples / f64::from(probe::SAMPLE_RATE)
            })
            .collect()
    }
}

impl Distances {
    /// From each of `from` to the nearest of `to`, where there is one. The first and the last are left out: they may have lost
    /// their other half to the ends of the file.
    pub fn between(from: &[f64], to: &[f64]) -> Self {
        let inner = from.get(1..from.len().saturating_sub(1)).unwrap_or_default();
        let nearest = |time: &f64| {
            let all = to.iter().map(|other| other - time);
            all.min_by(|a, b| a.abs().total_cmp(&b.abs()))
        };
        let mut found: Vec<f64> = inner
            .iter()
            .map(|time| nearest(time).filter(|distance| distance.abs() < SAME))
            // What has no other half is as bad as it gets.
            .map(|distance| distance.unwrap_or(SAME))
            .collect();
        found.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        Self(found)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The size that so many of a hundred stay within.
    pub fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get(last * percent / 100)
            .map_or(f64::INFINITY, |distance| distance.abs())
    }

    /// The mean, with its sign.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// In milliseconds, for people.
    pub fn describe(&self) -> String {
        let ms = 1000.0;
        format!(
            "{} of them: mean {:+.1} ms, p50 {:.0} ms, p95 {:.0} ms, largest {:.0} ms",
            self.len(),
            self.mean() * ms,
            self.percentile(50) * ms,
            self.percentile(95) * ms,
            self.percentile(100) * ms
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Distances, Recording};
    use std::f64::consts::TAU;

    #[test]
    fn distances_are_to_the_nearest_and_what_is_missing_counts() {
        let found = Distances::between(&[0.0, 1.0, 2.0, 3.0, 4.0], &[0.0, 1.01, 1.97, 4.0]);
        assert_eq!(found.len(), 3);
        assert!((found.percentile(0) - 0.01).abs() < 1e-9);
        assert!((found.percentile(50) - 0.03).abs() < 1e-9);
        assert!((found.percentile(100) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_beep_is_heard_where_it_begins_whatever_else_sounds() {
        let sound = (0..96_000)
            .map(|sample: i32| {
                let tone = |hertz: f64| ((f64::from(sample) * hertz * TAU / 48_000.0).sin() / 4.0) as f32;
                let beep = if (40_000..44_800).contains(&sample) {
                    tone(500.0)
                } else {
                    0.0
                };
                beep + tone(1500.0)
            })
            .collect();
        let recording = Recording {
            times: Vec::new(),
            pictures: Vec::new(),
            sound,
            sound_from: 10.0,
        };
        let beeps = recording.beeps(500);
        assert_eq!(beeps.len(), 1);
        let wanted = 10.0 + 40_000.0 / 48_000.0;
        assert!((beeps[0] - wanted).abs() < 0.002, "{beeps:?}, not {wanted}");
    }
}
