//! Blocks of sound in, tags out.

use super::aac::{AacEncoder, AacError};
use super::opus::OpusEncoder;
use crate::audio::{BLOCK, SAMPLE_RATE};
use lianmai_mixer_control::{AudioCodec, Settings};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::CodecName;
use std::collections::VecDeque;

/// The sound of a mix, coded.
pub(crate) enum AudioEncoder {
    /// Gives back a block of sound for each that it took, some later.
    Aac {
        /// What codes it.
        encoder: AacEncoder,
        /// Blocks that it has taken and not yet given back.
        coding: VecDeque<u64>,
    },
    /// Cuts the sound anew, into packets of its own.
    Opus(OpusEncoder),
}

/// One coded piece of sound.
pub(crate) struct CodedSound {
    /// The sound.
    pub tag: Tag,
    /// When the next piece begins, in milliseconds.
    pub next_ms: u32,
}

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum AudioEncoderError {
    /// AAC.
    #[error(transparent)]
    Aac(#[from] AacError),
    /// Opus.
    #[error("the Opus encoder: {0}")]
    Opus(#[from] opus::Error),
}

impl AudioEncoder {
    /// As the settings say; `None` if this program was built without AAC, and is asked for it.
    pub(crate) fn new(settings: &Settings) -> Result<Option<Self>, AudioEncoderError> {
        match settings.coding.audio {
            AudioCodec::Aac => Ok(AacEncoder::new(settings.audio_bitrate)?.map(|encoder| Self::Aac {
                encoder,
                coding: VecDeque::new(),
            })),
            AudioCodec::Opus => Ok(Some(Self::Opus(OpusEncoder::new(settings.audio_bitrate)?))),
        }
    }

    /// How its codec is named.
    #[must_use]
    pub(crate) fn codec(&self) -> CodecName {
        match self {
            Self::Aac { .. } => CodecName::AAC,
            Self::Opus(_) => CodecName::OPUS,
        }
    }

    /// What a decoder needs first.
    #[must_use]
    pub(crate) fn header(&self) -> Tag {
        match self {
            Self::Aac { encoder, .. } => Tag::aac_sequence_header(0, encoder.config()),
            Self::Opus(encoder) => encoder.header(),
        }
    }

    /// How many frames of silence a decoder gives before the first frame that went in.
    #[must_use]
    pub(crate) fn delay(&self) -> u32 {
        match self {
            Self::Aac { encoder, .. } => encoder.delay(),
            Self::Opus(encoder) => encoder.delay(),
        }
    }

    /// Takes block number `block` of the mix, and hands out what is coded by now.
    pub(crate) fn encode(
        &mut self,
        block: u64,
        pcm: &[i16],
        mut take: impl FnMut(CodedSound),
    ) -> Result<(), AudioEncoderError> {
        match self {
            Self::Aac { encoder, coding } => {
                coding.push_back(block);
                let Some(frame) = encoder.encode(pcm)? else {
                    return Ok(());
                };
                let Some(block) = coding.pop_front() else {
                    return Ok(());
                };
                take(CodedSound {
                    tag: Tag::aac_frame(millis(block * BLOCK as u64), frame),
                    next_ms: millis((block + 1) * BLOCK as u64),
                });
            }
            Self::Opus(encoder) => encoder.encode(block * BLOCK as u64, pcm, take)?,
        }
        Ok(())
    }
}

/// When a sample of the mix is heard, as RTMP counts: it wraps at 32 bits, after 49 days.
pub(super) fn millis(sample: u64) -> u32 {
    ((sample * 1000 / u64::from(SAMPLE_RATE)) & u64::from(u32::MAX)) as u32
}
