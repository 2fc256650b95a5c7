//! The limiter of the mix: what is below its ceiling passes bit for bit, what would exceed it is turned down in time.
//!
//! Sound is looked at in chunks, two chunks before it leaves. The gain moves along lines between the chunks' edges,
//! below what both neighbours need, so that it is down when a peak comes and nothing is ever bent. Peaks are those
//! between the samples (true peaks, ITU-R BS.1770-4 annex 2), which players and encoders would clip.

use super::{CHANNELS, SAMPLE_RATE};
use ebur128::{EbuR128, Mode};
use std::collections::VecDeque;

/// The highest true peak, -1 dB of full scale: what EBU R 128 allows, and room for what AAC adds.
pub(super) const CEILING: f32 = 0.891_25;

/// Frames that share one look: 2.7 ms. The gain never moves faster than from one edge of a chunk to the other.
const CHUNK: usize = 128;

/// How much later sound leaves, in frames.
pub(super) const LOOK_AHEAD: usize = 2 * CHUNK;

/// How fast the gain comes back, by chunk: 20 dB a second.
const RELEASE: f32 = 1.006_16;

/// Stereo; both channels are turned down alike, so that nothing moves sideways.
pub(super) struct Limiter {
    meter: EbuR128,
    /// The two chunks that were looked at and have not left.
    held: VecDeque<f32>,
    /// The gain where the older of them begins.
    gain: f32,
    /// What the older one may have at most.
    need: f32,
    /// The peak of the newer one, as far as it was seen: the meter sees peaks some samples late.
    peak: f32,
}

impl Limiter {
    pub(super) fn new() -> Result<Self, ebur128::Error> {
        Ok(Self {
            meter: EbuR128::new(CHANNELS as u32, SAMPLE_RATE, Mode::TRUE_PEAK)?,
            held: VecDeque::from(vec![0.0; LOOK_AHEAD * CHANNELS]),
            gain: 1.0,
            need: 1.0,
            peak: 0.0,
        })
    }

    /// Takes a block of whole chunks and gives what was taken [`LOOK_AHEAD`] frames before, limited.
    pub(super) fn process(&mut self, block: &mut [f32]) -> Result<(), ebur128::Error> {
        for chunk in block.chunks_exact_mut(CHUNK * CHANNELS) {
            let peak = self.peak_of(chunk)?;
            // What the newer of the held chunks may have; its last peaks may have come with this chunk.
            let need = (CEILING / self.peak.max(peak)).min(1.0);
            let end = self.need.min(need).min(self.gain * RELEASE);
            self.exchange(chunk);
            ramp(chunk, self.gain, end);
            (self.gain, self.need, self.peak) = (end, need, peak);
        }
        Ok(())
    }

    fn peak_of(&mut self, chunk: &[f32]) -> Result<f32, ebur128::Error> {
        self.meter.add_frames_f32(chunk)?;
        let mut peak = 0.0;
        for channel in 0..CHANNELS as u32 {
            peak = f64::max(peak, self.meter.prev_true_peak(channel)?);
        }
        Ok(peak as f32)
    }

    /// Puts the chunk behind what is held, and what was held longest into its place.
    fn exchange(&mut self, chunk: &mut [f32]) {
        self.held.extend(chunk.iter().copied());
        for (sample, oldest) in chunk.iter_mut().zip(self.held.drain(..CHUNK * CHANNELS)) {
            *sample = oldest;
        }
    }
}

fn ramp(chunk: &mut [f32], from: f32, to: f32) {
    if from == 1.0 && to == 1.0 {
        return;
    }
    let step = (to - from) / CHUNK as f32;
    for (index, frame) in chunk.chunks_exact_mut(CHANNELS).enumerate() {
        let gain = from + step * index as f32;
        for sample in frame {
            *sample *= gain;
        }
    }
}

/// 16-bit samples of limited ones.
pub(super) fn to_i16(samples: &[f32], out: &mut [i16]) {
    for (sample, out) in samples.iter().zip(out) {
        *out = (sample * f32::from(i16::MAX)).round() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::{CEILING, CHANNELS, LOOK_AHEAD, Limiter, to_i16};
    use crate::audio::BLOCK;
    use std::f64::consts::TAU;

    /// Limits left and right channels made of formulas, and gives back the left one, in place.
    fn limited(seconds: f32, sound: impl Fn(usize) -> [f32; 2]) -> Vec<f32> {
        let mut limiter = Limiter::new().expect("valid parameters");
        let blocks = (seconds * 48_000.0) as usize / BLOCK;
        let mut out = Vec::new();
        for block in 0..blocks {
            let frames = block * BLOCK..(block + 1) * BLOCK;
            let mut samples: Vec<f32> = frames.flat_map(&sound).collect();
            limiter.process(&mut samples).expect("sizes fit");
            out.extend(samples.into_iter().step_by(CHANNELS));
        }
        out.split_off(LOOK_AHEAD)
    }

    fn sine(hertz: f64, amplitude: f32, frame: usize) -> f32 {
        amplitude * (TAU * hertz * frame as f64 / 48_000.0).sin() as f32
    }

    fn peak(sound: &[f32]) -> f32 {
        sound.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
    }

    #[test]
    fn below_the_ceiling_every_bit_stays() {
        let sound = |frame| [sine(440.0, 0.5, frame) + sine(3_000.0, 0.35, frame); 2];
        let after = limited(1.0, sound);
        assert!(
            after
                .iter()
                .enumerate()
                .all(|(frame, sample)| sample.to_bits() == sound(frame)[0].to_bits())
        );
    }

    #[test]
    fn whatever_comes_stays_below_the_ceiling() {
        let noise = |frame: usize| (frame as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5;
        let nine_voices = |frame: usize| sine(100.0, 9.0, frame);
        let bursts = |frame: usize| if frame % 9_000 < 40 { 6.0_f32 } else { 0.1 };
        let bursts_of_noise = |frame: usize| noise(frame) * if frame % 7_000 < 900 { 9.0 } else { 0.5 };
        let one_sample = |frame: usize| {
            if frame.is_multiple_of(5_003) {
                16.0_f32
            } else {
                0.0
            }
        };
        let sounds: [&dyn Fn(usize) -> f32; 4] = [&nine_voices, &bursts, &bursts_of_noise, &one_sample];
        for (sound, name) in sounds
            .into_iter()
            .zip(["voices", "bursts", "noise", "one sample"])
        {
            let peak = peak(&limited(3.0, |frame| [sound(frame); 2]));
            assert!(peak <= CEILING + 1e-4 && peak > 0.5, "{name}: {peak}");
        }
    }

    #[test]
    fn peaks_between_the_samples_count() {
        // A quarter of the sample rate at 45 degrees: samples of 1.0 lie on a wave of 1.41.
        let sound = |frame: usize| [if frame % 4 < 2 { 0.85 } else { -0.85 }; 2];
        let after = limited(1.0, sound);
        let peak = peak(&after[9_600..]) * 2_f32.sqrt();
        assert!((0.8..0.93).contains(&peak), "{peak}");
    }

    #[test]
    fn a_steady_tone_that_is_too_loud_is_turned_down_and_not_bent() {
        for hertz in [50.0, 997.0] {
            let after = limited(3.0, |frame| [sine(hertz, 2.0, frame); 2]);
            let tail = &after[96_000..];
            let amplitude = peak(tail);
            let start = after.len() - tail.len();
            let bent: f32 = tail
                .iter()
                .enumerate()
                .map(|(index, sample)| (sample - sine(hertz, amplitude, start + index)).powi(2))
                .sum();
            let whole: f32 = tail.iter().map(|sample| sample * sample).sum();
            let distortion = 10.0 * (bent / whole).log10();
            assert!(distortion < -30.0, "{hertz} Hz: {distortion} dB");
        }
    }

    #[test]
    fn the_gain_is_down_when_the_peak_comes_and_back_soon_after() {
        let loud = 24_000..26_000;
        let after = limited(2.0, |frame| {
            [sine(997.0, if loud.contains(&frame) { 2.0 } else { 0.5 }, frame); 2]
        });
        assert!(peak(&after[..23_000]) > 0.499, "nothing before it is touched");
        assert!(peak(&after[24_000..26_000]) <= CEILING + 1e-4);
        assert!(peak(&after[60_000..61_000]) > 0.495, "it comes back");
    }

    #[test]
    fn both_channels_are_turned_down_alike() {
        let mut limiter = Limiter::new().expect("valid parameters");
        let mut block: Vec<f32> = (0..BLOCK * 4).flat_map(|_| [1.8, 0.2]).collect();
        limiter.process(&mut block).expect("sizes fit");
        for frame in block[LOOK_AHEAD * CHANNELS..].chunks_exact(CHANNELS) {
            assert!((frame[0] / frame[1] - 9.0).abs() < 1e-3);
        }
    }

    #[test]
    fn full_scale_is_full_scale() {
        let mut pcm = [0; 3];
        to_i16(&[-1.0, 0.0, 1.0], &mut pcm);
        assert_eq!(pcm, [-i16::MAX, 0, i16::MAX]);
    }
}
