//! AAC in FLV: `AACAUDIODATA` (E.4.2.2) and AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).

use super::{Tag, TagKind};
use bytes::{BufMut, Bytes, BytesMut};

/// ISO/IEC 14496-3 table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// E.4.2.1: AAC is always marked as 44 kHz, 16 bit, stereo; the config says what it is.
const AAC_FLAGS: u8 = 0xaf;

/// AAC-LC of this rate and number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// Hertz; one of the thirteen standard rates.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

/// No AudioSpecificConfig of ours describes this sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AAC-LC at {sample_rate} Hz with {channels} channels: take a standard rate and one or two channels")]
pub struct UnsupportedAudio {
    /// Hertz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
}

impl AudioConfig {
    /// The two bytes of AudioSpecificConfig.
    ///
    /// # Errors
    /// For rates outside the table and for more than two channels.
    pub fn bytes(self) -> Result<[u8; 2], UnsupportedAudio> {
        let Self {
            sample_rate,
            channels,
        } = self;
        let index = SAMPLE_RATES
            .iter()
            .position(|rate| *rate == sample_rate)
            .filter(|_| matches!(channels, 1 | 2));
        let index = index
            .and_then(|index| u16::try_from(index).ok())
            .ok_or(UnsupportedAudio {
                sample_rate,
                channels,
            })?;
        // Five bits object type 2 (AAC-LC), four bits rate, four bits channels, three bits zero.
        Ok((2 << 11 | index << 7 | u16::from(channels) << 3).to_be_bytes())
    }
}

impl Tag {
    /// The sequence header of an AAC track: `config` is an AudioSpecificConfig, from the encoder or
    /// from [`AudioConfig::bytes`].
    #[must_use]
    pub fn aac_sequence_header(timestamp_ms: u32, config: &[u8]) -> Self {
        Self {
            kind: TagKind::Audio,
            timestamp_ms,
            body: aac_body(0, config),
        }
    }

    /// One raw AAC frame, without ADTS header.
    #[must_use]
    pub fn aac_frame(timestamp_ms: u32, raw: &[u8]) -> Self {
        Self {
            kind: TagKind::Audio,
            timestamp_ms,
            body: aac_body(1, raw),
        }
    }
}

fn aac_body(packet_type: u8, data: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(2 + data.len());
    body.put_slice(&[AAC_FLAGS, packet_type]);
    body.put_slice(data);
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::AudioConfig;
    use crate::Tag;

    #[test]
    fn the_config_of_48_khz_stereo_is_the_well_known_one() {
        assert_eq!(
            AudioConfig {
                sample_rate: 48_000,
                channels: 2
            }
            .bytes(),
            Ok([0x11, 0x90])
        );
        assert_eq!(
            AudioConfig {
                sample_rate: 44_100,
                channels: 2
            }
            .bytes(),
            Ok([0x12, 0x10])
        );
    }

    #[test]
    fn odd_rates_and_surround_are_refused_by_value() {
        let error = AudioConfig {
            sample_rate: 47_999,
            channels: 2,
        }
        .bytes()
        .expect_err("no such rate");
        assert!(error.to_string().contains("47999"), "{error}");
        assert!(
            AudioConfig {
                sample_rate: 48_000,
                channels: 6
            }
            .bytes()
            .is_err()
        );
    }

    #[test]
    fn header_and_frame_differ_in_the_packet_type() {
        assert_eq!(
            Tag::aac_sequence_header(0, &[0x11, 0x90]).body[..],
            [0xaf, 0, 0x11, 0x90]
        );
        assert_eq!(Tag::aac_frame(0, &[0x21]).body[..], [0xaf, 1, 0x21]);
    }
}
