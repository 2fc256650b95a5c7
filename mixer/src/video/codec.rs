//! The decoders of all codecs behind one interface.

use super::sps;
use lianmai_compositor::{FrameError, Size, View};
use lianmai_mixer_control::Codec;
use openh264::decoder::DecodedYUV;
use openh264::formats::YUVSource;

/// The largest picture that is mixed: 1080p in either orientation.
const MAX_PIXELS: usize = 1920 * 1088;

/// Decodes one stream, in order. Each works on the thread that calls it.
pub(super) enum PictureDecoder {
    /// OpenH264.
    H264(Box<openh264::decoder::Decoder>),
    /// libvpx.
    Vp8(lianmai_vpx::Decoder),
}

/// Why a coded picture gave none.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error(transparent)]
    H264(#[from] openh264::Error),
    #[error(transparent)]
    Sps(#[from] sps::Malformed),
    #[error(transparent)]
    Vp8(#[from] lianmai_vpx::DecodeError),
    #[error("a picture of {0} x {1}; more than 1920 x 1088 is not mixed")]
    TooLarge(usize, usize),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl PictureDecoder {
    /// A decoder that waits for a key frame.
    pub(super) fn new(codec: Codec) -> Result<Self, DecodeError> {
        Ok(match codec {
            Codec::H264 => Self::H264(Box::new(openh264::decoder::Decoder::new()?)),
            Codec::Vp8 => Self::Vp8(lianmai_vpx::Decoder::new(MAX_PIXELS)?),
        })
    }

    /// What it decodes.
    #[must_use]
    pub(super) fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::Vp8(_) => Codec::Vp8,
        }
    }

    /// Decodes the next picture and hands it to `take`, which copies it; `None` if there is nothing to show.
    pub(super) fn decode<T>(
        &mut self,
        data: &[u8],
        take: impl FnOnce(&View<'_>) -> Result<T, FrameError>,
    ) -> Result<Option<T>, DecodeError> {
        let taken = match self {
            Self::H264(decoder) => {
                for size in sps::sizes(data) {
                    check(size?)?;
                }
                let Some(picture) = decoder.decode(data)? else {
                    return Ok(None);
                };
                take(&h264_view(&picture)?)
            }
            Self::Vp8(decoder) => {
                let Some(picture) = decoder.decode(data)? else {
                    return Ok(None);
                };
                take(&View::new(
                    Size::new(picture.width, picture.height),
                    picture.planes,
                )?)
            }
        };
        Ok(Some(taken?))
    }
}

fn h264_view<'a>(picture: &'a DecodedYUV<'_>) -> Result<View<'a>, DecodeError> {
    let (width, height) = picture.dimensions();
    let (y, u, v) = picture.strides();
    let planes = [(picture.y(), y), (picture.u(), u), (picture.v(), v)];
    Ok(View::new(Size::new(width, height), planes)?)
}

fn check(size: Size) -> Result<(), DecodeError> {
    if size.width.saturating_mul(size.height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge(size.width, size.height));
    }
    Ok(())
}
