//! Pictures of the hosts: coded ones in, decoded ones out, on a thread of their own.

mod decoder;
mod filters;
mod pool;
mod worker;

pub(crate) use filters::FilterBoard;
pub(crate) use worker::{Decoded, DecodedPicture, VideoTask, Worker};

use lianmai_compositor::Rotation;
use lianmai_timeline::EdgeTime;

/// One coded picture to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    /// NAL units in Annex B form.
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
