//! AVC in FLV: `AVCVIDEOPACKET` (E.4.3.2) and the configuration record (ISO/IEC 14496-15 §5.3.3.1).

use super::{Tag, TagKind};
use bytes::{BufMut, Bytes, BytesMut};

/// What a decoder needs before the first picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfig {
    /// Sequence parameter set: the NAL unit without start code.
    pub sps: Bytes,
    /// Picture parameter set: the NAL unit without start code.
    pub pps: Bytes,
}

/// Why parameter sets make no configuration record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvcConfigError {
    /// Too short, of another NAL type or too long for its 16-bit length.
    #[error("a {name} of {length} bytes that begins with {first:#04x}: not one")]
    NotParameterSet {
        /// SPS or PPS.
        name: &'static str,
        /// Its length.
        length: usize,
        /// Its first byte, zero when empty.
        first: u8,
    },
}

impl AvcConfig {
    /// `AVCDecoderConfigurationRecord` with one SPS and one PPS.
    ///
    /// # Errors
    /// When either is not what it should be.
    pub fn record(&self) -> Result<Bytes, AvcConfigError> {
        let sps_length = check("SPS", 7, 4, &self.sps)?;
        let pps_length = check("PPS", 8, 2, &self.pps)?;
        let mut out = BytesMut::with_capacity(16 + self.sps.len() + self.pps.len());
        out.put_slice(&[1, self.sps[1], self.sps[2], self.sps[3]]);
        // Six reserved bits, NAL lengths of four bytes; three reserved bits, one SPS.
        out.put_slice(&[0xff, 0xe1]);
        out.put_u16(sps_length);
        out.put_slice(&self.sps);
        out.put_u8(1);
        out.put_u16(pps_length);
        out.put_slice(&self.pps);
        if let Some([chroma, luma_depth, chroma_depth]) = high_profile_fields(&self.sps) {
            out.put_slice(&[0xfc | chroma, 0xf8 | luma_depth, 0xf8 | chroma_depth, 0]);
        }
        Ok(out.freeze())
    }
}

impl Tag {
    /// The sequence header for `config`.
    ///
    /// # Errors
    /// When the parameter sets are not what they should be.
    pub fn avc_sequence_header(timestamp_ms: u32, config: &AvcConfig) -> Result<Self, AvcConfigError> {
        let record = config.record()?;
        Ok(Self {
            kind: TagKind::Video,
            timestamp_ms,
            body: avc_body(true, 0, 0, &record),
        })
    }

    /// One picture: NAL units, each behind its length in four bytes (see [`super::annexb`]). There are no B-frames, so
    /// it is shown when it is decoded: composition time zero.
    #[must_use]
    pub fn avc_frame(timestamp_ms: u32, key: bool, avcc: &[u8]) -> Self {
        Self {
            kind: TagKind::Video,
            timestamp_ms,
            body: avc_body(key, 1, 0, avcc),
        }
    }
}

fn avc_body(key: bool, packet_type: u8, composition_ms: u32, data: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(5 + data.len());
    body.put_u8(if key { 0x17 } else { 0x27 });
    body.put_u8(packet_type);
    body.put_uint(u64::from(composition_ms), 3);
    body.put_slice(data);
    body.freeze()
}

fn check(name: &'static str, nal_type: u8, least: usize, nal: &[u8]) -> Result<u16, AvcConfigError> {
    let first = nal.first().copied().unwrap_or_default();
    let length = u16::try_from(nal.len())
        .ok()
        .filter(|_| nal.len() >= least && first & 0x1f == nal_type);
    length.ok_or(AvcConfigError::NotParameterSet {
        name,
        length: nal.len(),
        first,
    })
}

/// Chroma format and bit depths minus eight, which the record repeats for the high profiles.
fn high_profile_fields(sps: &[u8]) -> Option<[u8; 3]> {
    if !matches!(sps.get(1), Some(100 | 110 | 122 | 144)) {
        return None;
    }
    let mut bits = Bits {
        bytes: without_emulation_prevention(sps.get(4..)?),
        position: 0,
    };
    bits.exp_golomb()?;
    let chroma = bits.exp_golomb()?;
    if chroma == 3 {
        bits.bit()?;
    }
    let (luma, chroma_depth) = (bits.exp_golomb()?, bits.exp_golomb()?);
    let small = |value: u32, most: u8| u8::try_from(value).ok().filter(|value| *value <= most);
    Some([small(chroma, 3)?, small(luma, 7)?, small(chroma_depth, 7)?])
}

/// ISO/IEC 14496-10 §7.4.1: a 3 after two zeros is not data. Only the head of the SPS is wanted here.
fn without_emulation_prevention(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    for &byte in bytes.iter().take(32) {
        if byte != 3 || !out.ends_with(&[0, 0]) {
            out.push(byte);
        }
    }
    out
}

struct Bits {
    bytes: Vec<u8>,
    position: usize,
}

impl Bits {
    fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.position / 8)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Some(u32::from(bit))
    }

    /// ISO/IEC 14496-10 §9.1; values of more than 16 bits do not occur here.
    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 16 {
                return None;
            }
        }
        let mut value = 1_u32;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{AvcConfig, AvcConfigError};
    use crate::Tag;
    use bytes::Bytes;

    fn config(sps: &'static [u8]) -> AvcConfig {
        AvcConfig {
            sps: Bytes::from_static(sps),
            pps: Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80]),
        }
    }

    #[test]
    fn the_baseline_record_repeats_profile_and_level() {
        let record = config(&[0x67, 0x42, 0xc0, 0x1e, 0xd9])
            .record()
            .expect("parameter sets");
        assert_eq!(record[..8], [1, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0, 5]);
        assert_eq!(
            record[8..],
            [0x67, 0x42, 0xc0, 0x1e, 0xd9, 1, 0, 4, 0x68, 0xce, 0x3c, 0x80]
        );
    }

    /// ISO/IEC 14496-15 §5.3.3.1.2: for profiles 100, 110, 122 and 144 the record goes on with chroma format and depths.
    #[test]
    fn the_high_record_says_4_2_0_in_8_bits() {
        let record = config(&[0x67, 100, 0, 0x1f, 0xac, 0xd9])
            .record()
            .expect("parameter sets");
        assert!(record.ends_with(&[0xfd, 0xf8, 0xf8, 0]));
    }

    #[test]
    fn what_is_no_parameter_set_is_refused_at_every_length() {
        let sps: &'static [u8] = &[0x67, 0x42, 0xc0, 0x1e];
        for length in 0..4 {
            assert!(config(&sps[..length]).record().is_err());
        }
        let swapped = AvcConfig {
            sps: config(sps).pps,
            pps: config(sps).sps,
        };
        assert!(matches!(
            swapped.record(),
            Err(AvcConfigError::NotParameterSet { name: "SPS", .. })
        ));
    }

    #[test]
    fn a_frame_is_flagged_key_or_inter_with_composition_time_zero() {
        assert_eq!(Tag::avc_frame(7, true, b"xy").body[..], *b"\x17\x01\0\0\0xy");
        assert_eq!(Tag::avc_frame(7, false, b"xy").body[..], *b"\x27\x01\0\0\0xy");
        assert!(
            Tag::avc_sequence_header(0, &config(&[0x67, 66, 0, 30]))
                .expect("valid")
                .is_sequence_header()
        );
    }
}
