//! The co-host's sound: AAC decoded, brought to 48 kHz stereo, cut into 20 ms and encoded as Opus.

#[cfg(feature = "aac")]
mod aac;
#[cfg(not(feature = "aac"))]
#[path = "no_aac.rs"]
mod aac;
mod opus;
mod pace;
mod resampler;

use crate::refusal::Refusal;
use aac::Decoder;
use bytes::Bytes;
use lianmai_rtmp::flv::{CodecName, Packet as Body, PacketKind};
use lianmai_rtmp::{Tag, Unwrap};
use opus::Encoder;
use pace::{Pace, Place};
use resampler::Resampler;

/// Samples a second of each channel, in and out of the encoder.
pub(crate) const SAMPLE_RATE: u32 = 48_000;

/// Stereo, whatever the publisher sends.
pub(crate) const CHANNELS: usize = 2;

/// 20 ms.
const FRAMES: usize = 960;

/// One packet of sound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sound {
    /// Its first sample on the sound's own clock, which is that of RTP.
    pub(crate) position: i64,
    /// The same on the stream's clock.
    pub(crate) at_us: i64,
    /// Opus.
    pub(crate) opus: Vec<u8>,
    /// How loud it is, in dBov: 0 the loudest, -127 silence (RFC 6464).
    pub(crate) level: i8,
}

/// Takes audio tags. No clock in here.
pub(crate) struct Sounds {
    decoder: Option<Decoder>,
    /// What it was made for: publishers repeat their headers, and a decoder that goes on makes no click.
    config: Bytes,
    resampler: Option<Resampler>,
    encoder: Encoder,
    unwrap: Unwrap,
    pace: Pace,
    /// Samples that make no whole packet yet.
    rest: Vec<f32>,
    pub(crate) passed: u64,
    pub(crate) bad: u64,
}

impl Sounds {
    /// # Errors
    /// When there is no encoder.
    pub(crate) fn new() -> Result<Self, ::opus::Error> {
        Ok(Self {
            decoder: None,
            config: Bytes::new(),
            resampler: None,
            encoder: Encoder::new()?,
            unwrap: Unwrap::default(),
            pace: Pace::default(),
            rest: Vec::new(),
            passed: 0,
            bad: 0,
        })
    }

    /// Holes in the sound so far.
    pub(crate) const fn gaps(&self) -> u64 {
        self.pace.gaps
    }

    /// When a tag's sound is heard, on the stream's clock, and the packets that are whole with it.
    ///
    /// # Errors
    /// When the stream cannot be passed on.
    pub(crate) fn push(&mut self, tag: &Tag) -> Result<Option<(i64, Vec<Sound>)>, Refusal> {
        let Some(body) = Body::of(tag) else {
            return Ok(None);
        };
        if !matches!(
            body.codec,
            CodecName::Legacy(10) | CodecName::FourCc([b'm', b'p', b'4', b'a'])
        ) {
            return Err(Refusal::AudioCodec(body.codec));
        }
        let data = tag.body.slice(body.header.min(tag.body.len())..);
        match body.kind {
            PacketKind::SequenceStart => {
                if self.decoder.is_none() || self.config != data {
                    self.decoder = Some(Decoder::new(&data).map_err(Refusal::AudioConfig)?);
                    self.config = data;
                }
                Ok(None)
            }
            PacketKind::Frame => {
                let at_ms = self.unwrap.extend(tag.timestamp_ms);
                Ok(Some((at_ms, self.frame(at_ms, &data))))
            }
            PacketKind::Other => Ok(None),
        }
    }

    fn frame(&mut self, at_ms: i64, data: &[u8]) -> Vec<Sound> {
        let Some(decoder) = &mut self.decoder else {
            self.bad += 1;
            return Vec::new();
        };
        let Some(decoded) = decoder.decode(data) else {
            self.bad += 1;
            return Vec::new();
        };
        self.bad += u64::from(decoded.concealed);
        let sound = match Resampler::fitting(&mut self.resampler, decoded.rate, decoded.pcm.len() / CHANNELS)
        {
            Some(resampler) => resampler.run(&decoded.pcm),
            None => decoded.pcm,
        };
        let resampling = self.resampler.as_ref().map_or(0, Resampler::delay);
        let delay = i64::from(SAMPLE_RATE) * i64::from(decoded.delay) / i64::from(decoded.rate.max(1))
            + resampling
            + self.encoder.delay();
        let due = (at_ms.saturating_mul(i64::from(SAMPLE_RATE)) / 1000).saturating_sub(delay);
        let waiting = self.rest.len() / CHANNELS;
        match self.pace.place(due, waiting) {
            Place::Next => {}
            Place::AfterGap => self.rest.clear(),
        }
        self.rest.extend_from_slice(&sound);
        self.cut()
    }

    fn cut(&mut self) -> Vec<Sound> {
        let mut sounds = Vec::new();
        while self.rest.len() >= FRAMES * CHANNELS {
            let frame: Vec<f32> = self.rest.drain(..FRAMES * CHANNELS).collect();
            let (position, at_us) = self.pace.advance(FRAMES);
            let Some(opus) = self.encoder.encode(&frame) else {
                self.bad += 1;
                continue;
            };
            self.passed += 1;
            sounds.push(Sound {
                position,
                at_us,
                opus,
                level: level(&frame),
            });
        }
        sounds
    }
}

/// RFC 6464 §3: the RMS of the samples against full scale.
fn level(samples: &[f32]) -> i8 {
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
    let level = (10.0 * power.max(1e-13).log10()).round().clamp(-127.0, 0.0) as i8;
    level
}

#[cfg(all(test, feature = "aac"))]
mod tests;
