//! AAC-LC (ISO/IEC 14496-3) by the Fraunhofer encoder.

use crate::audio::SAMPLE_RATE;
use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};

/// Bounds of what the encoder takes for 48 kHz stereo.
const BITRATES: std::ops::RangeInclusive<u32> = 16_000..=512_000;

/// Encodes blocks of [`crate::audio::BLOCK`] stereo frames.
pub(crate) struct AacEncoder {
    encoder: Encoder,
    config: Vec<u8>,
    delay: u32,
    out: Vec<u8>,
}

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum AacError {
    /// The encoder refused.
    #[error("the AAC encoder: {0}")]
    Encoder(fdk_aac::enc::EncoderError),
    /// What the encoder says of itself cannot be true.
    #[error("the AAC encoder names a configuration of {0} bytes")]
    Config(u32),
}

impl From<fdk_aac::enc::EncoderError> for AacError {
    fn from(error: fdk_aac::enc::EncoderError) -> Self {
        Self::Encoder(error)
    }
}

impl AacEncoder {
    /// An encoder of this many bits per second.
    pub(crate) fn new(bitrate: u32) -> Result<Option<Self>, AacError> {
        let encoder = Encoder::new(EncoderParams {
            bit_rate: BitRate::Cbr(bitrate.clamp(*BITRATES.start(), *BITRATES.end())),
            sample_rate: SAMPLE_RATE,
            transport: Transport::Raw,
            channels: ChannelMode::Stereo,
            audio_object_type: AudioObjectType::Mpeg4LowComplexity,
        })?;
        let info = encoder.info()?;
        let config = info
            .confBuf
            .get(..info.confSize as usize)
            .ok_or(AacError::Config(info.confSize))?;
        let (config, delay) = (config.to_vec(), info.nDelay);
        Ok(Some(Self {
            encoder,
            config,
            delay,
            out: vec![0; info.maxOutBufBytes as usize],
        }))
    }

    /// The AudioSpecificConfig.
    #[must_use]
    pub(crate) fn config(&self) -> &[u8] {
        &self.config
    }

    /// How many frames of silence a decoder gives before the first frame that went in.
    #[must_use]
    pub(crate) fn delay(&self) -> u32 {
        self.delay
    }

    /// Encodes one block; `None` while the encoder fills its buffer.
    pub(crate) fn encode(&mut self, pcm: &[i16]) -> Result<Option<&[u8]>, AacError> {
        let coded = self.encoder.encode(pcm, &mut self.out)?;
        Ok(self
            .out
            .get(..coded.output_size)
            .filter(|frame| !frame.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::AacEncoder;
    use crate::audio::{BLOCK, CHANNELS};
    use lianmai_rtmp::Tag;
    use lianmai_rtmp::flv::file_header;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn encoder() -> AacEncoder {
        AacEncoder::new(128_000).expect("an encoder").expect("built in")
    }

    /// Left samples, as ffmpeg decodes them out of FLV.
    fn decode(tags: &[Tag]) -> Vec<i16> {
        let mut flv = file_header(true, false).to_vec();
        tags.iter().for_each(|tag| flv.extend_from_slice(&tag.to_flv()));
        let mut ffmpeg = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-f",
                "flv",
                "-i",
                "-",
                "-af",
                "pan=mono|c0=c0",
                "-f",
                "s16le",
                "-",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ffmpeg is installed");
        ffmpeg
            .stdin
            .take()
            .expect("piped")
            .write_all(&flv)
            .expect("ffmpeg reads");
        let decoded = ffmpeg.wait_with_output().expect("ffmpeg ends").stdout;
        decoded
            .chunks_exact(2)
            .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]))
            .collect()
    }

    #[test]
    fn the_configuration_is_aac_lc_at_48_khz_stereo() {
        assert_eq!(encoder().config(), [0x11, 0x90]);
    }

    /// The stamps of the output rely on this number, so it is measured and not believed.
    #[test]
    fn a_step_comes_out_of_a_decoder_exactly_one_delay_later() {
        const STEP_AT: usize = 10 * BLOCK + 100;
        let square = |frame: usize| match frame {
            0..STEP_AT => 0,
            _ if (frame / 24).is_multiple_of(2) => 12_000,
            _ => -12_000,
        };
        let mut encoder = encoder();
        let mut tags = vec![Tag::aac_sequence_header(0, encoder.config())];
        for block in 0..40 {
            let pcm: Vec<i16> = (0..BLOCK * CHANNELS)
                .map(|i| square(block * BLOCK + i / CHANNELS))
                .collect();
            let frame = encoder.encode(&pcm).expect("encodes");
            tags.extend(frame.map(|frame| Tag::aac_frame((tags.len() * BLOCK / 48) as u32, frame)));
        }
        let decoded = decode(&tags);
        let onset = decoded
            .iter()
            .position(|sample| sample.abs() > 6_000)
            .expect("the tone");
        let wanted = STEP_AT + encoder.delay() as usize;
        assert!(onset.abs_diff(wanted) < 24, "at {onset}, wanted {wanted}");
    }

    #[test]
    fn every_bitrate_makes_an_encoder() {
        for bitrate in [0, 64_000, 320_000, u32::MAX] {
            assert!(AacEncoder::new(bitrate).is_ok());
        }
    }
}
