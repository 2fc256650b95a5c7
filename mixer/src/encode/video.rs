//! Pictures of the canvas in, tags out.

use super::av1::{Av1Encoder, Av1Error};
use super::h264::{EncodedPicture, H264Encoder, H264Error, Source};
use bytes::Bytes;
use lianmai_compositor::Frame;
use lianmai_mixer_control::{Settings, VideoCodec};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::{AvcConfig, AvcConfigError, CodecName, annexb};

/// The pictures of a mix, coded.
pub(crate) struct VideoEncoder {
    codec: Codec,
    left_out: u64,
}

enum Codec {
    /// Codes a picture while it is given.
    H264 {
        encoder: Box<H264Encoder>,
        parameters: Option<AvcConfig>,
        coded: Option<CodedPicture>,
    },
    /// Codes on a thread of its own.
    Av1(Box<Av1Encoder>),
}

/// One coded picture.
#[derive(Debug)]
pub(crate) struct CodedPicture {
    /// When it is shown.
    pub time_ms: u32,
    /// Whether a decoder can begin with it.
    pub key: bool,
    /// What a decoder needs before it, if that is new.
    pub header: Option<Tag>,
    /// The picture.
    pub data: CodedData,
}

/// What stands in the tag.
#[derive(Debug)]
pub(crate) enum CodedData {
    /// NAL units, each behind its length.
    Avc(Bytes),
    /// OBUs.
    Av1(Bytes),
}

/// Why a picture was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum VideoEncoderError {
    /// H.264.
    #[error(transparent)]
    H264(#[from] H264Error),
    /// Its parameter sets are none.
    #[error("the parameter sets of the H.264 encoder: {0}")]
    Parameters(#[from] AvcConfigError),
    /// AV1.
    #[error(transparent)]
    Av1(#[from] Av1Error),
}

impl VideoEncoder {
    /// As the settings say.
    pub(crate) fn new(settings: &Settings) -> Result<Self, VideoEncoderError> {
        let codec = match settings.coding.video {
            VideoCodec::H264 => Codec::H264 {
                encoder: Box::new(H264Encoder::new(
                    settings.canvas,
                    settings.video_bitrate,
                    settings.coding.profile,
                )?),
                parameters: None,
                coded: None,
            },
            VideoCodec::Av1 => Codec::Av1(Box::new(Av1Encoder::new(settings)?)),
        };
        Ok(Self { codec, left_out: 0 })
    }

    /// How its codec is named.
    #[must_use]
    pub(crate) fn codec(&self) -> CodecName {
        match self.codec {
            Codec::H264 { .. } => CodecName::AVC,
            Codec::Av1(_) => CodecName::AV1,
        }
    }

    /// Takes a picture; false if it is left out. The one before stays on screen then.
    pub(crate) fn push(
        &mut self,
        canvas: &Frame,
        time_ms: u32,
        key: bool,
    ) -> Result<bool, VideoEncoderError> {
        let taken = match &mut self.codec {
            Codec::H264 {
                encoder,
                parameters,
                coded,
            } => {
                let unit = encoder.encode(&Source(canvas), u64::from(time_ms), key)?;
                *coded = avc(unit, time_ms, parameters)?;
                coded.is_some()
            }
            Codec::Av1(encoder) => encoder.push(canvas, time_ms, key)?,
        };
        self.left_out += u64::from(!taken);
        Ok(taken)
    }

    /// The next picture that is coded by now, in the order in which they were taken.
    pub(crate) fn poll(&mut self) -> Result<Option<CodedPicture>, VideoEncoderError> {
        match &mut self.codec {
            Codec::H264 { coded, .. } => Ok(coded.take()),
            Codec::Av1(encoder) => Ok(encoder.poll()?),
        }
    }

    /// How many pictures were left out.
    #[must_use]
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl CodedPicture {
    /// Its tags. `sei` is a NAL unit that goes before the slices of H.264; AV1 has no place for it.
    pub(crate) fn into_tags(self, sei: Option<&[u8]>) -> impl Iterator<Item = Tag> {
        let frame = match (self.data, sei) {
            (CodedData::Avc(avcc), None) => Tag::avc_frame(self.time_ms, self.key, &avcc),
            (CodedData::Avc(avcc), Some(sei)) => {
                Tag::avc_frame(self.time_ms, self.key, &annexb::with_nal_before(sei, &avcc))
            }
            (CodedData::Av1(obus), _) => Tag::av1_frame(self.time_ms, self.key, &obus),
        };
        self.header.into_iter().chain([frame])
    }
}

fn avc(
    unit: EncodedPicture<'_>,
    time_ms: u32,
    parameters: &mut Option<AvcConfig>,
) -> Result<Option<CodedPicture>, AvcConfigError> {
    let EncodedPicture::Frame(unit) = unit else {
        return Ok(None);
    };
    let unit = annexb::access_unit(unit);
    let new = unit.config.filter(|config| parameters.as_ref() != Some(config));
    let header = new
        .as_ref()
        .map(|config| Tag::avc_sequence_header(time_ms, config))
        .transpose()?;
    if new.is_some() {
        *parameters = new;
    }
    Ok(Some(CodedPicture {
        time_ms,
        key: unit.key,
        header,
        data: CodedData::Avc(unit.avcc),
    }))
}
