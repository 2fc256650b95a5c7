//! H.264 and AAC of the mix.

mod h264;

#[cfg(feature = "aac")]
#[path = "aac.rs"]
mod sound;
#[cfg(not(feature = "aac"))]
#[path = "no_aac.rs"]
mod sound;

pub(crate) use h264::{EncodedPicture, VideoEncoder, VideoEncoderError};
pub(crate) use sound::{AudioEncoder, AudioEncoderError};
