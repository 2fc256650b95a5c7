//! Frames that are painted on again.

use crate::frame::Frame;
use crate::rect::Size;
use crate::view::FrameError;

/// One of either orientation, and one more.
const CAPACITY: usize = 3;

/// Frames that nobody needs at the moment. Those that came last are kept.
#[derive(Debug, Default)]
pub(super) struct Shelf(Vec<Frame>);

impl Shelf {
    pub(super) fn put(&mut self, frame: Option<Frame>) {
        self.0.extend(frame);
        if self.0.len() > CAPACITY {
            self.0.remove(0);
        }
    }

    /// One of this size, if there is one.
    pub(super) fn take(&mut self, size: Size) -> Option<Frame> {
        let found = self.0.iter().position(|frame| frame.size() == size)?;
        Some(self.0.swap_remove(found))
    }

    /// One of this size, with anything on it.
    pub(super) fn frame(&mut self, size: Size) -> Result<Frame, FrameError> {
        match self.take(size) {
            Some(frame) => Ok(frame),
            None => Frame::new(size),
        }
    }

    /// What `paint` makes of `from` on `to`; it may use both. The other one is put back.
    pub(super) fn swap(
        &mut self,
        mut from: Frame,
        mut to: Frame,
        paint: impl FnOnce(&mut Frame, &mut Frame),
    ) -> Frame {
        paint(&mut from, &mut to);
        self.put(Some(from));
        to
    }
}
