//! From one picture of the canvas to the next.

use crate::blend::{Alpha, blend};
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::rect::{Rect, Size};
use crate::view::FrameError;

/// Shows the canvas as it was, and the canvas as it is ever more over it.
#[derive(Debug)]
pub struct CrossFade {
    before: Frame,
    shown: Frame,
    kernels: Kernels,
}

impl CrossFade {
    /// For canvases of this size.
    pub fn new(size: Size, kernels: Kernels) -> Result<Self, FrameError> {
        Ok(Self {
            before: Frame::new(size)?,
            shown: Frame::new(size)?,
            kernels,
        })
    }

    /// Remembers the canvas as it is now.
    pub fn begin(&mut self, canvas: &Frame) {
        self.before.copy_from(&canvas.view());
    }

    /// Begins anew with what is shown in the middle of a fade.
    pub fn begin_again(&mut self) {
        std::mem::swap(&mut self.before, &mut self.shown);
    }

    /// The canvas as it was below the canvas as it is; of the latter 0 is nothing and 256 is all.
    pub fn mix(&mut self, canvas: &Frame, alpha: u16) -> &Frame {
        self.shown.copy_from(&self.before.view());
        let rect = Rect::of(canvas.size());
        blend(
            &mut self.shown.view_mut(),
            rect,
            &canvas.view(),
            Alpha::Even(alpha),
            self.kernels,
        );
        &self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::CrossFade;
    use crate::color::Color;
    use crate::frame::Frame;
    use crate::kernels::Kernels;
    use crate::rect::Size;

    const SIZE: Size = Size::new(34, 18);

    fn flat(value: u8) -> Frame {
        let mut frame = Frame::new(SIZE).expect("a picture");
        frame.fill(Color {
            y: value,
            u: value,
            v: value,
        });
        frame
    }

    fn level(frame: &Frame) -> u8 {
        let bytes = frame.view().to_packed();
        assert!(
            bytes.iter().all(|byte| *byte == bytes[0]),
            "no part is ahead of another"
        );
        bytes[0]
    }

    #[test]
    fn the_whole_picture_goes_from_one_to_the_other() {
        let mut fade = CrossFade::new(SIZE, Kernels::detect()).expect("a size");
        fade.begin(&flat(40));
        let next = flat(200);
        let levels = [0, 64, 128, 256].map(|alpha| level(fade.mix(&next, alpha)));
        assert_eq!(levels, [40, 80, 120, 200]);
    }

    #[test]
    fn a_fade_in_a_fade_begins_with_what_is_shown() {
        let mut fade = CrossFade::new(SIZE, Kernels::detect()).expect("a size");
        fade.begin(&flat(40));
        fade.mix(&flat(200), 128);
        fade.begin_again();
        assert_eq!(level(fade.mix(&flat(20), 0)), 120);
        assert_eq!(level(fade.mix(&flat(20), 128)), 70);
    }
}
