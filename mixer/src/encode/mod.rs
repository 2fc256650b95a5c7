//! What the mix is coded with: H.264 or AV1, AAC or Opus.

mod audio;
mod h264;
mod opus;
mod video;

#[cfg(feature = "aac")]
mod aac;
#[cfg(not(feature = "aac"))]
#[path = "no_aac.rs"]
mod aac;
#[cfg(feature = "av1")]
mod av1;
#[cfg(not(feature = "av1"))]
#[path = "no_av1.rs"]
mod av1;

pub(crate) use audio::{AudioEncoder, AudioEncoderError, CodedSound};
pub(crate) use video::{VideoEncoder, VideoEncoderError};

#[cfg(test)]
pub(crate) use h264::{EncodedPicture, H264Encoder};
