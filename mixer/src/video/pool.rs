//! Frames that are used again once nobody shows them.

use lianmai_compositor::filter::FilterChain;
use lianmai_compositor::{Frame, FrameError, Rotation, View};
use std::sync::Arc;

/// Frames that are remembered: what waits to be shown, what is shown, and one to decode into.
const CAPACITY: usize = 24;

/// Copies decoded pictures into frames. A frame comes back by itself when the last handle to it is dropped.
#[derive(Default)]
pub(super) struct FramePool {
    frames: Vec<Arc<Frame>>,
}

impl FramePool {
    /// An upright copy of `view`, filtered.
    pub(super) fn copy(
        &mut self,
        view: &View<'_>,
        rotation: Rotation,
        filters: &mut FilterChain,
    ) -> Result<Arc<Frame>, FrameError> {
        let reuse = self.take(filters.turned(rotation.turned(view.size())));
        let frame = Arc::new(filters.run(view, rotation, reuse)?);
        if self.frames.len() < CAPACITY {
            self.frames.push(Arc::clone(&frame));
        }
        Ok(frame)
    }

    /// A frame of this size that nobody else holds. Free ones of another size are forgotten.
    fn take(&mut self, size: lianmai_compositor::Size) -> Option<Frame> {
        self.frames
            .retain(|frame| Arc::strong_count(frame) > 1 || frame.size() == size);
        let free = self
            .frames
            .iter()
            .position(|frame| Arc::strong_count(frame) == 1)?;
        Arc::into_inner(self.frames.swap_remove(free))
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, FramePool};
    use lianmai_compositor::filter::FilterChain;
    use lianmai_compositor::{Color, Frame, FrameError, Kernels, Rotation, Size};
    use std::sync::Arc;

    fn picture(width: usize, height: usize, luma: u8) -> Frame {
        let mut frame = Frame::new(Size::new(width, height)).expect("a size");
        frame.fill(Color {
            y: luma,
            u: 128,
            v: 128,
        });
        frame
    }

    /// A copy without filters.
    fn copy(pool: &mut FramePool, frame: &Frame, rotation: Rotation) -> Result<Arc<Frame>, FrameError> {
        pool.copy(
            &frame.view(),
            rotation,
            &mut FilterChain::new(&[], Kernels::detect()),
        )
    }

    fn address(frame: &Arc<Frame>) -> *const u8 {
        frame.view().planes()[0].data().as_ptr()
    }

    #[test]
    fn a_frame_is_used_again_only_after_its_last_handle_is_gone() {
        let mut pool = FramePool::default();
        let source = picture(64, 36, 90);
        let first = copy(&mut pool, &source, Rotation::None).expect("copied");
        let second = copy(&mut pool, &source, Rotation::None).expect("copied");
        assert_ne!(address(&first), address(&second));
        let old = address(&first);
        drop(first);
        let third = copy(&mut pool, &source, Rotation::None).expect("copied");
        assert_eq!(address(&third), old);
    }

    #[test]
    fn a_new_size_forgets_the_frames_of_the_old_one() {
        let mut pool = FramePool::default();
        drop(copy(&mut pool, &picture(64, 36, 90), Rotation::None));
        let turned = copy(&mut pool, &picture(64, 36, 90), Rotation::Quarter).expect("copied");
        assert_eq!(turned.size(), Size::new(36, 64));
        assert_eq!(pool.frames.len(), 1);
    }

    #[test]
    fn the_pool_is_bounded_however_many_are_held() {
        let mut pool = FramePool::default();
        let source = picture(16, 16, 90);
        let held: Vec<_> = (0..100)
            .map(|_| copy(&mut pool, &source, Rotation::None))
            .collect();
        assert_eq!((held.len(), pool.frames.len()), (100, CAPACITY));
    }
}
