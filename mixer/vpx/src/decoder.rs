//! A decoder that trusts no frame.

use crate::header::{FrameHeader, HeaderError, KeyFrame};
use crate::libvpx::{Context, LibvpxError, Picture};

/// Decodes the frames of one stream, in order. It stays on the thread that made it.
pub struct Decoder {
    context: Context,
    most_pixels: usize,
}

/// Why a frame gives no picture. What follows it cannot be decoded before the next key frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It begins no frame.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It is larger than allowed.
    #[error("a VP8 key frame of {width} x {height}; more than {most} pixels are not decoded")]
    TooLarge {
        /// Pixels.
        width: u16,
        /// Pixels.
        height: u16,
        /// What was allowed.
        most: usize,
    },
    /// It ends before its last macroblock does, or goes on from a frame that did.
    #[error("a VP8 frame with parts missing")]
    Damaged,
    /// libvpx refuses it.
    #[error(transparent)]
    Libvpx(#[from] LibvpxError),
}

impl Decoder {
    /// A decoder of pictures of at most so many pixels, that waits for a key frame.
    ///
    /// # Errors
    /// When libvpx makes no decoder.
    pub fn new(most_pixels: usize) -> Result<Self, DecodeError> {
        Ok(Self {
            context: Context::new()?,
            most_pixels,
        })
    }

    /// Decodes one frame as it was put together from its packets; `None` if the frame is not to be shown.
    ///
    /// # Errors
    /// When the frame gives no picture. The decoder is best replaced then.
    pub fn decode(&mut self, frame: &[u8]) -> Result<Option<Picture<'_>>, DecodeError> {
        self.check(FrameHeader::parse(frame)?)?;
        self.context.decode(frame)?;
        if self.context.is_corrupted()? {
            return Err(DecodeError::Damaged);
        }
        Ok(self.context.picture()?)
    }

    fn check(&self, header: FrameHeader) -> Result<(), DecodeError> {
        let FrameHeader::Key(KeyFrame { width, height }) = header else {
            return Ok(());
        };
        if usize::from(width) * usize::from(height) > self.most_pixels {
            return Err(DecodeError::TooLarge {
                width,
                height,
                most: self.most_pixels,
            });
        }
        Ok(())
    }
}
