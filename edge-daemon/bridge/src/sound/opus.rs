//! Opus (RFC 6716) at 48 kHz stereo.

use super::SAMPLE_RATE;
use opus::{Application, Bitrate, Channels};

/// Bits per second: transparent for most music in stereo.
const BITRATE: i32 = 96_000;

/// The longest packet of one frame (RFC 6716 §3.4).
const MAX_PACKET: usize = 1275;

pub(super) struct Encoder {
    inner: opus::Encoder,
    delay: i64,
}

impl Encoder {
    pub(super) fn new() -> Result<Self, opus::Error> {
        let mut inner = opus::Encoder::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        inner.set_bitrate(Bitrate::Bits(BITRATE))?;
        let delay = i64::from(inner.get_lookahead()?);
        Ok(Self { inner, delay })
    }

    /// How many samples later than it went in a sound comes out of a decoder.
    pub(super) const fn delay(&self) -> i64 {
        self.delay
    }

    /// One packet of 20 ms.
    pub(super) fn encode(&mut self, frame: &[f32]) -> Option<Vec<u8>> {
        self.inner.encode_vec_float(frame, MAX_PACKET).ok()
    }
}
