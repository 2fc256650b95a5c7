//! A gain that changes without a click.

use super::CHANNELS;

/// How long a change takes, in frames: 10 ms.
const RAMP: usize = 480;

/// Silent at first.
#[derive(Debug, Default)]
pub(super) struct Fader {
    gain: f32,
}

impl Fader {
    /// One that has arrived there.
    #[cfg(test)]
    pub(super) fn at(gain: f32) -> Self {
        Self { gain }
    }

    /// Multiplies a block of at least [`RAMP`] frames with the gain, which goes to `target` along a line.
    pub(super) fn apply(&mut self, target: f32, block: &mut [f32]) {
        let step = (target - self.gain) / RAMP as f32;
        let (ramp, rest) = block.split_at_mut(block.len().min(RAMP * CHANNELS));
        if step != 0.0 {
            for frame in ramp.chunks_exact_mut(CHANNELS) {
                self.gain += step;
                scale(frame, self.gain);
            }
            self.gain = target;
        } else if target != 1.0 {
            scale(ramp, target);
        }
        if target != 1.0 {
            scale(rest, target);
        }
    }
}

fn scale(samples: &mut [f32], gain: f32) {
    for sample in samples {
        *sample *= gain;
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANNELS, Fader, RAMP};
    use crate::audio::BLOCK;

    fn faded(fader: &mut Fader, target: f32) -> Vec<f32> {
        let mut block = vec![0.5; BLOCK * CHANNELS];
        fader.apply(target, &mut block);
        block.into_iter().step_by(CHANNELS).collect()
    }

    #[test]
    fn every_change_is_a_line_of_10_ms() {
        let mut fader = Fader::default();
        let mut before = 0.0;
        for target in [1.0, 2.0, 0.35, 2.0, 0.0, 1.0] {
            let block = faded(&mut fader, target);
            let steps = std::iter::once(&before).chain(&block);
            let worst = steps.zip(&block).map(|(a, b)| (b - a).abs()).fold(0.0, f32::max);
            assert!(worst <= 2.0 * 0.5 / RAMP as f32 + 1e-6, "to {target}: {worst}");
            assert!(
                block[RAMP..]
                    .iter()
                    .all(|sample| (sample - 0.5 * target).abs() < 1e-6)
            );
            before = block[BLOCK - 1];
        }
    }

    #[test]
    fn at_one_every_bit_stays() {
        let block = faded(&mut Fader::at(1.0), 1.0);
        assert!(block.iter().all(|sample| sample.to_bits() == 0.5_f32.to_bits()));
    }
}
