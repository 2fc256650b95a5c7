//! Small pictures with an alpha for each sample: labels, clocks, images.

use crate::blend::{Alpha, blend_color};
use crate::color::Color;
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::mask::Mask;
use crate::rect::{Rect, Size};
use crate::view::FrameError;

/// A picture and its mask, both of one even size.
#[derive(Debug)]
pub struct Sprite {
    pub(crate) frame: Frame,
    pub(crate) mask: Mask,
}

impl Sprite {
    /// From red, green, blue and alpha of each pixel, alpha not multiplied in. An odd row or column is completed by one
    /// that is not seen. `alpha` dims all of it, 0 to 256.
    pub fn from_rgba(size: Size, pixels: &[[u8; 4]], alpha: u16) -> Result<Self, FrameError> {
        let even = Size::new(size.width.next_multiple_of(2), size.height.next_multiple_of(2));
        let mut frame = Frame::new(even)?;
        let at = |x: usize, y: usize| {
            let inside = x < size.width && y < size.height;
            inside
                .then(|| pixels.get(y * size.width + x))
                .flatten()
                .copied()
                .unwrap_or_default()
        };
        paint(&mut frame, &at);
        let mask = Mask::from_fn(even, |x, y| at(x, y)[3]);
        let mask = if alpha >= 256 { mask } else { mask.dimmed(alpha) };
        Ok(Self { frame, mask })
    }

    /// A plain rectangle, which hides what is below. An odd side becomes even.
    pub fn plain(size: Size, color: Color) -> Result<Self, FrameError> {
        let even = Size::new(size.width.next_multiple_of(2), size.height.next_multiple_of(2));
        let mut frame = Frame::new(even)?;
        frame.fill(color);
        let mask = Mask::from_fn(even, |_, _| 255);
        Ok(Self { frame, mask })
    }

    /// Its size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.frame.size()
    }

    /// Its picture without the mask.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Its picture over a colour.
    #[must_use]
    pub fn over(mut self, color: Color, kernels: Kernels) -> Frame {
        let mask = self.mask.inverted();
        let rect = Rect::of(self.size());
        blend_color(
            &mut self.frame.view_mut(),
            rect,
            color,
            Alpha::Mask(&mask),
            kernels,
        );
        self.frame
    }

    /// Where it is with its top left corner there.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> Rect {
        let Size { width, height } = self.size();
        Rect::even(x - x % 2, y - y % 2, width, height)
    }
}

/// Chroma is the mean of four pixels, each as much as it is seen: what is not seen has no say.
fn paint(frame: &mut Frame, at: &impl Fn(usize, usize) -> [u8; 4]) {
    let color = |[red, green, blue, _]: [u8; 4]| Color::from_rgb(red, green, blue);
    let mut view = frame.view_mut();
    let [luma, blue, red] = view.planes_mut();
    for y in 0..luma.size().height {
        for (x, sample) in luma.row_mut(y).iter_mut().enumerate() {
            *sample = color(at(x, y)).y;
        }
    }
    for y in 0..blue.size().height {
        for x in 0..blue.size().width {
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| at(2 * x + dx, 2 * y + dy));
            let weight: u32 = four.iter().map(|pixel| u32::from(pixel[3])).sum();
            let mean = |part: fn(Color) -> u8| {
                let sum: u32 = four
                    .iter()
                    .map(|pixel| u32::from(part(color(*pixel))) * u32::from(pixel[3]))
                    .sum();
                (sum + weight / 2)
                    .checked_div(weight)
                    .map_or(128, |mean| mean as u8)
            };
            blue.row_mut(y)[x] = mean(|color| color.u);
            red.row_mut(y)[x] = mean(|color| color.v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sprite;
    use crate::color::Color;
    use crate::kernels::Kernels;
    use crate::mask::MaskRow;
    use crate::rect::Size;

    const RED: [u8; 4] = [255, 0, 0, 255];
    const NOTHING: [u8; 4] = [0, 255, 0, 0];

    #[test]
    fn what_is_not_seen_does_not_tint_what_is() {
        let sprite =
            Sprite::from_rgba(Size::new(2, 2), &[RED, NOTHING, NOTHING, NOTHING], 256).expect("a size");
        let red = Color::from_rgb(255, 0, 0);
        let view = sprite.frame().view();
        assert_eq!(
            (view.planes()[1].row(0)[0], view.planes()[2].row(0)[0]),
            (red.u, red.v)
        );
        assert_eq!(sprite.mask.row(1, 0), MaskRow::Even(64));
    }

    #[test]
    fn odd_sizes_are_completed_by_what_is_not_seen() {
        let sprite = Sprite::from_rgba(Size::new(3, 1), &[RED; 3], 256).expect("a size");
        assert_eq!(sprite.size(), Size::new(4, 2));
        assert_eq!(sprite.mask.row(0, 0), MaskRow::Varied(&[255, 255, 255, 0]));
        assert_eq!(sprite.mask.row(0, 1), MaskRow::Even(0));
    }

    #[test]
    fn over_a_colour_nothing_is_left_of_what_is_not_seen() {
        let sprite =
            Sprite::from_rgba(Size::new(4, 2), &[RED, RED, NOTHING, NOTHING, RED, RED], 256).expect("a size");
        let white = Color::from_rgb(255, 255, 255);
        let frame = sprite.over(white, Kernels::detect());
        let view = frame.view();
        let red = Color::from_rgb(255, 0, 0);
        assert_eq!(view.planes()[0].row(0), [red.y, red.y, white.y, white.y]);
        assert_eq!(view.planes()[2].row(0), [red.v, white.v]);
    }

    #[test]
    fn pixels_that_are_missing_are_not_seen() {
        let sprite = Sprite::from_rgba(Size::new(2, 2), &[RED], 128).expect("a size");
        assert_eq!(sprite.mask.row(0, 0), MaskRow::Varied(&[128, 0]));
        assert!(Sprite::from_rgba(Size::new(0, 2), &[], 256).is_err());
    }
}
