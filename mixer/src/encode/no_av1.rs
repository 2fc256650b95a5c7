//! A mixer that was built without AV1.

use super::video::CodedPicture;
use lianmai_compositor::Frame;
use lianmai_mixer_control::Settings;

/// Never constructed.
pub(crate) struct Av1Encoder(std::convert::Infallible);

/// What was asked for is not there.
#[derive(Debug, thiserror::Error)]
#[error("this mixer was built without the feature `av1`: build it with it, or take h264 as the video codec")]
pub struct Av1Error;

impl Av1Encoder {
    /// There is none.
    pub(crate) fn new(_settings: &Settings) -> Result<Self, Av1Error> {
        Err(Av1Error)
    }

    /// Unreachable.
    pub(crate) fn push(&mut self, _canvas: &Frame, _time_ms: u32, _key: bool) -> Result<bool, Av1Error> {
        match self.0 {}
    }

    /// Unreachable.
    pub(crate) fn poll(&mut self) -> Result<Option<CodedPicture>, Av1Error> {
        match self.0 {}
    }
}
