//! To 48 kHz from whatever rate the publisher has.

use super::{CHANNELS, SAMPLE_RATE};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// Length of the interpolating filter: flat to 18 kHz at 44.1 kHz.
const FILTER: usize = 64;

pub(super) struct Resampler {
    inner: Async<f32>,
    rate: u32,
    /// Samples of one channel that go in at a time.
    length: usize,
    out: Vec<f32>,
}

impl Resampler {
    /// The one for sound of this rate in pieces of this length, made anew if `known` is another. None is needed at 48 kHz.
    pub(super) fn fitting(known: &mut Option<Self>, rate: u32, length: usize) -> Option<&mut Self> {
        if known
            .as_ref()
            .is_none_or(|known| known.rate != rate || known.length != length)
        {
            *known = (rate != SAMPLE_RATE).then(|| Self::new(rate, length)).flatten();
        }
        known.as_mut()
    }

    fn new(rate: u32, length: usize) -> Option<Self> {
        let filter = SincInterpolationParameters::new(FILTER, WindowFunction::BlackmanHarris2)
            .interpolation(SincInterpolationType::Linear);
        let ratio = f64::from(SAMPLE_RATE) / f64::from(rate);
        let inner = Async::new_sinc(ratio, 1.0, &filter, length, CHANNELS, FixedAsync::Input).ok()?;
        let out = vec![0.0; inner.output_frames_max() * CHANNELS];
        Some(Self {
            inner,
            rate,
            length,
            out,
        })
    }

    /// How many samples later than it went in a sound comes out.
    pub(super) fn delay(&self) -> i64 {
        i64::try_from(self.inner.output_delay()).unwrap_or_default()
    }

    /// Silence for what cannot be resampled; the sizes in here fit.
    pub(super) fn run(&mut self, pcm: &[f32]) -> Vec<f32> {
        let frames = self.out.len() / CHANNELS;
        let written = InterleavedSlice::new(pcm, CHANNELS, self.length)
            .ok()
            .zip(InterleavedSlice::new_mut(&mut self.out, CHANNELS, frames).ok())
            .and_then(|(input, mut out)| self.inner.process_into_buffer(&input, &mut out, None).ok());
        let (_, written) = written.unwrap_or_default();
        self.out[..written * CHANNELS].to_vec()
    }
}
