//! Pictures of the hosts: coded ones in, decoded ones out, on a thread of their own.

mod codec;
mod decoder;
#[cfg(test)]
mod faults;
mod filters;
mod pool;
mod sps;
mod worker;

pub(crate) use filters::FilterBoard;
pub(crate) use worker::{Decoded, DecodedPicture, VideoTask, Worker};

use lianmai_compositor::Rotation;
use lianmai_mixer_control::Codec;
use lianmai_timeline::EdgeTime;

/// One coded picture to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// What it is coded with.
    pub codec: Codec,
    /// H.264: NAL units in Annex B form. VP8: one frame (RFC 6386 §9.1).
    pub data: Vec<u8>,
    /// Whether decoding may start with it.
    pub key: bool,
    /// Whether something before it was lost, so that without a key frame decoding may not go on.
    pub after_loss: bool,
    /// How it has to be turned before it is shown.
    pub rotation: Rotation,
    /// When it was captured.
    pub captured: EdgeTime,
}
