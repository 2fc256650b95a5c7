//! What the tracks of a file are.

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal};
use lianmai_rtmp::flv::{AvcConfig, AvcConfigError, annexb};
use mp4_atom::{Atom, Avcc};
use std::fmt;

/// ISO/IEC 14496-3 table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// As a rate index: the rate itself follows in 24 bits (ISO/IEC 14496-3 §1.6.2.1).
const EXPLICIT_RATE: u8 = 15;

/// NAL unit types without which a picture is the same (H.264 table 7-1): delimiters, ends and fillers.
const NEEDLESS: std::ops::RangeInclusive<u8> = 9..=12;

/// Why a track cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// Not what a decoder of H.264 needs.
    #[error("the H.264 parameters: {0}")]
    Avc(String),
    /// Not what a decoder of AAC needs.
    #[error("an AAC configuration of {0} bytes that names no rate or no channels")]
    Aac(usize),
    /// Not what a decoder of Opus needs.
    #[error("an Opus head of {0} bytes that is none")]
    Opus(usize),
    /// A codec that is not written to MP4 here.
    #[error("{0} is not written to MP4: H.264, AAC and Opus are")]
    Codec(String),
}

impl From<AvcConfigError> for TrackError {
    fn from(error: AvcConfigError) -> Self {
        Self::Avc(error.to_string())
    }
}

/// The pictures of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// What they are coded with.
    pub avc: Avc,
    /// Quarter turns clockwise that a player shows them by.
    pub turns: u8,
}

/// H.264 (ISO/IEC 14496-15 §5).
#[derive(Clone, PartialEq, Eq)]
pub struct Avc {
    /// The decoder configuration record, without the box around it.
    record: Bytes,
    /// Pixels.
    width: u16,
    /// Pixels.
    height: u16,
    /// Parameter sets may also stand before pictures, and change there: `avc3` instead of `avc1`.
    in_band: bool,
}

impl fmt::Debug for Avc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Avc({}x{})", self.width, self.height)
    }
}

impl Avc {
    /// From an `AVCDecoderConfigurationRecord`, as FLV has it.
    ///
    /// # Errors
    /// When it is none, or its sizes are no pictures.
    pub fn from_record(record: &[u8]) -> Result<Self, TrackError> {
        let malformed = |error: mp4_atom::Error| TrackError::Avc(error.to_string());
        let avcc = Avcc::decode_body(&mut &*record).map_err(malformed)?;
        let sps = avcc.sequence_parameter_sets.first();
        let sps = sps.ok_or_else(|| TrackError::Avc("no sequence parameter set".to_owned()))?;
        let (width, height) = size(sps)?;
        Ok(Self {
            record: Bytes::copy_from_slice(record),
            width,
            height,
            in_band: false,
        })
    }

    /// Of a sender that may change its parameter sets at any key frame: what [`Self::sample`] gives keeps them.
    ///
    /// # Errors
    /// When the parameter sets are none.
    pub fn in_band(config: &AvcConfig) -> Result<Self, TrackError> {
        Ok(Self {
            in_band: true,
            ..Self::from_record(&config.record()?)?
        })
    }

    /// A picture in the form of MP4 (each NAL unit behind its length in four bytes), with its parameter sets, from the byte
    /// stream of ISO/IEC 14496-10 annex B.
    #[must_use]
    pub fn sample(annexb: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(annexb.len() + 16);
        for nal in annexb::nal_units(annexb).filter(|nal| !NEEDLESS.contains(&(nal[0] & 0x1f))) {
            if let Ok(length) = u32::try_from(nal.len()) {
                out.put_u32(length);
                out.put_slice(nal);
            }
        }
        out.freeze()
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    pub(crate) fn is_in_band(&self) -> bool {
        self.in_band
    }

    pub(crate) fn avcc(&self) -> Result<Avcc, mp4_atom::Error> {
        Avcc::decode_body(&mut &*self.record)
    }
}

/// Width and height as they are shown: cropped.
fn size(sps: &[u8]) -> Result<(u16, u16), TrackError> {
    let nal = RefNal::new(sps, &[], true);
    let sps = SeqParameterSet::from_bits(nal.rbsp_bits());
    let sps = sps.map_err(|error| TrackError::Avc(format!("{error:?}")))?;
    let (width, height) = sps
        .pixel_dimensions()
        .map_err(|error| TrackError::Avc(format!("{error:?}")))?;
    let side = |side: u32| {
        u16::try_from(side)
            .ok()
            .filter(|side| *side > 0)
            .ok_or_else(|| TrackError::Avc(format!("pictures of {width}x{height}")))
    };
    Ok((side(width)?, side(height)?))
}

/// The sound of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// What it is coded with.
    pub codec: AudioCodec,
    /// Hertz: the track's unit of time.
    pub rate: u32,
    /// As a player needs to know.
    pub channels: u8,
}

/// What sound may be coded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioCodec {
    /// AAC by its AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
    Aac(Bytes),
    /// Opus; so many samples at 48 kHz at its beginning are not to be heard.
    Opus {
        /// Samples.
        pre_skip: u16,
    },
}

impl Audio {
    /// AAC by its AudioSpecificConfig.
    ///
    /// # Errors
    /// When it names no rate or no channels.
    pub fn aac(config: &[u8]) -> Result<Self, TrackError> {
        let malformed = || TrackError::Aac(config.len());
        let [first, second, ..] = *config else {
            return Err(malformed());
        };
        let index = first << 1 & 0x0e | second >> 7;
        let rate = SAMPLE_RATES.get(usize::from(index)).copied();
        let rate = rate.filter(|_| index != EXPLICIT_RATE).ok_or_else(malformed)?;
        let channels = match second >> 3 & 0x0f {
            7 => 8,
            channels @ 1..=6 => channels,
            _ => return Err(malformed()),
        };
        Ok(Self {
            codec: AudioCodec::Aac(Bytes::copy_from_slice(config)),
            rate,
            channels,
        })
    }

    /// Opus as WebRTC sends it: whoever plays it may hear it from the first packet on.
    #[must_use]
    pub const fn opus() -> Self {
        Self {
            codec: AudioCodec::Opus { pre_skip: 0 },
            rate: crate::opus::RATE,
            channels: 2,
        }
    }

    /// Opus by its identification header (RFC 7845 §5.1).
    ///
    /// # Errors
    /// When it is none, or of more than two channels.
    pub fn opus_by_head(head: &[u8]) -> Result<Self, TrackError> {
        match *head {
            [
                b'O',
                b'p',
                b'u',
                b's',
                b'H',
                b'e',
                b'a',
                b'd',
                1,
                channels @ 1..=2,
                low,
                high,
                ..,
            ] => Ok(Self {
                codec: AudioCodec::Opus {
                    pre_skip: u16::from_le_bytes([low, high]),
                },
                rate: crate::opus::RATE,
                channels,
            }),
            _ => Err(TrackError::Opus(head.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Audio, Avc, TrackError};
    use bytes::Bytes;
    use lianmai_rtmp::flv::AvcConfig;
    use proptest::prelude::{any, prop, proptest};

    /// By x264 for 320 x 180: cropped from 320 x 192.
    const SPS: &[u8] = &[
        0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00,
        0x00, 0x0f, 0x03, 0xc5, 0x0a, 0xa8,
    ];

    fn config() -> AvcConfig {
        AvcConfig {
            sps: Bytes::from_static(SPS),
            pps: Bytes::from_static(&[0x68, 0xce, 0x0f, 0xc8]),
        }
    }

    #[test]
    fn the_size_is_that_of_the_picture_that_is_shown() {
        let avc = Avc::in_band(&config()).expect("parameter sets");
        assert_eq!(avc.size(), (320, 180));
    }

    #[test]
    fn a_sample_keeps_its_parameter_sets_and_loses_delimiters() {
        let stream = b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67ab\0\0\x01\x68c\0\0\x01\x65de";
        assert_eq!(
            Avc::sample(stream)[..],
            *b"\0\0\0\x03\x67ab\0\0\0\x02\x68c\0\0\0\x03\x65de"
        );
    }

    #[test]
    fn sound_is_told_by_its_configuration() {
        let aac = Audio::aac(&[0x11, 0x90]).expect("48 kHz stereo");
        assert_eq!((aac.rate, aac.channels), (48_000, 2));
        let opus = Audio::opus_by_head(b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0").expect("a head");
        assert_eq!((opus.rate, opus.channels), (48_000, 1));
    }

    #[test]
    fn what_describes_no_track_is_refused_at_every_length() {
        let record = config().record().expect("parameter sets");
        for length in 0..8 {
            assert!(Avc::from_record(&record[..length]).is_err(), "{length}");
        }
        assert!(matches!(Audio::aac(&[0x17]), Err(TrackError::Aac(1))));
        assert!(Audio::aac(&[0x17, 0x80]).is_err(), "an explicit rate");
        assert!(Audio::aac(&[0x11, 0x80]).is_err(), "no channels");
        assert!(
            Audio::opus_by_head(b"OpusHead\x01\x03\0\0").is_err(),
            "three channels"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Avc::from_record(&bytes);
            let _ = Audio::aac(&bytes);
            let _ = Audio::opus_by_head(&bytes);
            let _ = Avc::sample(&bytes);
            let sps = [SPS[..4].to_vec(), bytes].concat();
            let _ = Avc::in_band(&AvcConfig { sps: sps.into(), ..config() });
        }
    }
}
