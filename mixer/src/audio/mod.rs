//! Sound: Opus of many hosts in, one stereo mix out.

mod fader;
mod leveller;
mod limiter;
mod mixer;
pub(crate) mod opus;
mod resampler;
mod ring;
#[cfg(test)]
pub(crate) mod speech;
mod voice;

pub(crate) use mixer::AudioMixer;

use lianmai_timeline::Span;

/// The one sample rate in here: that of Opus and of the output.
pub(crate) const SAMPLE_RATE: u32 = 48_000;

/// Everything is stereo.
pub(crate) const CHANNELS: usize = 2;

/// Frames in a block of the mix: what AAC-LC codes at once (ISO/IEC 14496-3).
pub(crate) const BLOCK: usize = 1024;

/// What is known of one host's sound in the mix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct VoiceStats {
    /// How far it is from where it belongs; positive is early.
    pub error: Span,
    /// How loud it is as it comes, in LUFS, if that was measured.
    pub loudness: Option<f64>,
    /// What levelling does to it, in dB.
    pub gain_db: f64,
}

/// Decoded sound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pcm {
    /// Where its first frame belongs, on the sender's 48 kHz clock.
    pub position: i64,
    /// Interleaved stereo.
    pub samples: Vec<f32>,
}
