//! Reads a ring at a rate a little off the nominal one.

use super::ring::Ring;
use super::{BLOCK, CHANNELS};
use rubato::audioadapter_buffers::SizeError;
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, ResampleError, Resampler as _, ResamplerConstructionError,
    SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// The rate may change by this factor at most; corrections stay far below it.
const MAX_RATIO: f64 = 1.02;

/// Length of the interpolating filter: flat to 18 kHz, two thirds of a millisecond of delay.
const FILTER: usize = 64;

/// Why a block could not be resampled; none of these happens with the sizes in here.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The resampler could not be made.
    #[error("no resampler: {0}")]
    Construction(#[from] ResamplerConstructionError),
    /// It refused a block.
    #[error("the resampler refused a block: {0}")]
    Block(#[from] ResampleError),
    /// A buffer was too small for a block.
    #[error("a buffer for the resampler: {0}")]
    Size(#[from] SizeError),
}

/// Reads blocks of [`BLOCK`] frames out of a ring.
pub(super) struct Resampler {
    inner: Async<f32>,
    input: Vec<f32>,
    /// Position of the first frame that the next block feeds in.
    feed: i64,
}

impl Resampler {
    /// A resampler whose first block begins at `position`.
    pub(super) fn new(ring: &Ring, position: i64) -> Result<Self, Error> {
        let filter = SincInterpolationParameters::new(FILTER, WindowFunction::BlackmanHarris2)
            .interpolation(SincInterpolationType::Linear);
        let inner = Async::new_sinc(1.0, MAX_RATIO, &filter, BLOCK, CHANNELS, FixedAsync::Output)?;
        let input = vec![0.0; inner.input_frames_max() * CHANNELS];
        let mut resampler = Self {
            inner,
            input,
            feed: 0,
        };
        resampler.seek(ring, position)?;
        Ok(resampler)
    }

    /// The position of the frame that the next block begins with.
    #[must_use]
    pub(super) fn position(&self) -> i64 {
        self.feed.saturating_sub(self.delay())
    }

    /// Goes on elsewhere. The filter is filled with what lies before, so that the block starts without a click.
    pub(super) fn seek(&mut self, ring: &Ring, position: i64) -> Result<(), Error> {
        self.inner.reset();
        let feed = position.saturating_add(self.delay());
        self.feed = feed.saturating_sub(self.inner.input_frames_next() as i64);
        self.read(ring, 1.0, &mut [0.0; BLOCK * CHANNELS])?;
        self.feed = feed;
        Ok(())
    }

    /// Fills one block at `ratio` frames out per frame in.
    pub(super) fn read(&mut self, ring: &Ring, ratio: f64, out: &mut [f32]) -> Result<(), Error> {
        if let Some(adjustable) = self.inner.as_adjustable() {
            adjustable.set_resample_ratio(ratio.clamp(1.0 / MAX_RATIO, MAX_RATIO), true)?;
        }
        let frames = self.inner.input_frames_next();
        let input = &mut self.input[..frames * CHANNELS];
        ring.read(self.feed, input);
        let input = InterleavedSlice::new(input, CHANNELS, frames)?;
        let mut out = InterleavedSlice::new_mut(out, CHANNELS, BLOCK)?;
        let (used, _) = self.inner.process_into_buffer(&input, &mut out, None)?;
        self.feed = self.feed.saturating_add(used as i64);
        Ok(())
    }

    fn delay(&self) -> i64 {
        self.inner.output_delay() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::Resampler;
    use crate::audio::ring::Ring;
    use crate::audio::{BLOCK, CHANNELS};
    use std::f32::consts::TAU;

    const TONE: f32 = 997.0;

    fn tone(position: f64) -> f32 {
        0.5 * (TAU * TONE * (position as f32) / 48_000.0).sin()
    }

    fn ring() -> Ring {
        let mut ring = Ring::default();
        let sound: Vec<f32> = (0..48_000 * CHANNELS)
            .map(|sample| tone((sample / CHANNELS) as f64))
            .collect();
        ring.write(0, &sound);
        ring
    }

    fn block(resampler: &mut Resampler, ring: &Ring, ratio: f64) -> Vec<f32> {
        let mut out = vec![0.0; BLOCK * CHANNELS];
        resampler.read(ring, ratio, &mut out).expect("sizes fit");
        out.into_iter().step_by(CHANNELS).collect()
    }

    fn worst(block: &[f32], wanted: impl Fn(usize) -> f64) -> f32 {
        block
            .iter()
            .enumerate()
            .map(|(i, sample)| (sample - tone(wanted(i))).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn at_the_nominal_rate_each_frame_comes_out_where_it_was_put() {
        let ring = ring();
        let mut resampler = Resampler::new(&ring, 5_000).expect("made");
        for number in 0..8 {
            let start = 5_000 + number * BLOCK;
            assert_eq!(resampler.position(), start as i64);
            let block = block(&mut resampler, &ring, 1.0);
            let worst = worst(&block, |i| (start + i) as f64);
            assert!(worst < 2e-3, "block {number}: off by {worst}");
        }
    }

    #[test]
    fn a_slower_rate_reads_fewer_frames_and_bends_nothing_else() {
        let ring = ring();
        let mut resampler = Resampler::new(&ring, 2_000).expect("made");
        for _ in 0..20 {
            block(&mut resampler, &ring, 1.005);
        }
        let read = (resampler.position() - 2_000) as f64;
        let wanted = 20.0 * BLOCK as f64 / 1.005;
        assert!((read - wanted).abs() < 4.0, "{read} of {wanted}");
    }

    #[test]
    fn after_a_seek_the_first_frame_is_already_right() {
        let ring = ring();
        let mut resampler = Resampler::new(&ring, 0).expect("made");
        block(&mut resampler, &ring, 0.995);
        resampler.seek(&ring, 20_000).expect("sizes fit");
        assert_eq!(resampler.position(), 20_000);
        let block = block(&mut resampler, &ring, 1.0);
        let worst = worst(&block, |i| (20_000 + i) as f64);
        assert!(worst < 2e-3, "off by {worst}");
    }
}
