//! A mixer that was built without AAC: where it is asked for it, its output has no sound.

/// Never constructed.
pub(crate) struct AacEncoder(std::convert::Infallible);

/// Never happens.
#[derive(Debug, thiserror::Error)]
#[error("this mixer was built without the feature `aac`")]
pub struct AacError;

impl AacEncoder {
    /// There is none. The mixer says so when it starts.
    pub(crate) fn new(_bitrate: u32) -> Result<Option<Self>, AacError> {
        Ok(None)
    }

    /// Unreachable.
    #[must_use]
    pub(crate) fn config(&self) -> &[u8] {
        match self.0 {}
    }

    /// Unreachable.
    #[must_use]
    pub(crate) fn delay(&self) -> u32 {
        match self.0 {}
    }

    /// Unreachable.
    pub(crate) fn encode(&mut self, _pcm: &[i16]) -> Result<Option<&[u8]>, AacError> {
        match self.0 {}
    }
}
