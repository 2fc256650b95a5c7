//! Owned pictures.

use crate::color::Color;
use crate::rect::{Rect, Size};
use crate::view::{FrameError, Plane, PlaneMut, View, ViewMut, check_size};

/// Rows begin at multiples of this many bytes: a cache line, and the widest vector.
const ALIGNMENT: usize = 64;

/// An owned picture with aligned rows.
#[derive(Debug)]
pub struct Frame {
    size: Size,
    data: Vec<u8>,
    /// Where the first aligned byte is.
    origin: usize,
    luma_stride: usize,
    chroma_stride: usize,
}

impl Frame {
    /// A black picture.
    pub fn new(size: Size) -> Result<Self, FrameError> {
        check_size(size)?;
        let luma_stride = size.width.next_multiple_of(ALIGNMENT);
        let chroma_stride = size.chroma().width.next_multiple_of(ALIGNMENT);
        let len = luma_stride * size.height + 2 * chroma_stride * size.chroma().height;
        let data = vec![0; len + ALIGNMENT];
        // `align_offset` may decline; unaligned rows are slower, never wrong.
        let origin = Some(data.as_ptr().align_offset(ALIGNMENT))
            .filter(|at| *at < ALIGNMENT)
            .unwrap_or(0);
        let mut frame = Self {
            size,
            data,
            origin,
            luma_stride,
            chroma_stride,
        };
        frame.fill(Color::BLACK);
        Ok(frame)
    }

    /// An owned copy of a borrowed picture.
    pub fn copy_of(view: &View<'_>) -> Result<Self, FrameError> {
        let mut frame = Self::new(view.size())?;
        frame.copy_from(view);
        Ok(frame)
    }

    /// Its size in luma samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Reads it.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let (luma, chroma) = (self.luma_len(), self.chroma_len());
        let all = &self.data[self.origin..];
        let (y, rest) = all.split_at(luma);
        let (u, v) = rest.split_at(chroma);
        let plane = |data, stride, size| Plane { data, stride, size };
        View {
            size: self.size,
            planes: [
                plane(y, self.luma_stride, self.size),
                plane(u, self.chroma_stride, self.size.chroma()),
                plane(&v[..chroma], self.chroma_stride, self.size.chroma()),
            ],
        }
    }

    /// Paints on it.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let (luma, chroma) = (self.luma_len(), self.chroma_len());
        let (luma_stride, chroma_stride, size) = (self.luma_stride, self.chroma_stride, self.size);
        let (y, rest) = self.data[self.origin..].split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        ViewMut {
            size,
            planes: [
                PlaneMut {
                    data: y,
                    stride: luma_stride,
                    size,
                },
                PlaneMut {
                    data: u,
                    stride: chroma_stride,
                    size: size.chroma(),
                },
                PlaneMut {
                    data: &mut v[..chroma],
                    stride: chroma_stride,
                    size: size.chroma(),
                },
            ],
        }
    }

    /// Paints all of it, the padding included.
    pub fn fill(&mut self, color: Color) {
        let (luma, chroma) = (self.luma_len(), self.chroma_len());
        let (y, rest) = self.data[self.origin..].split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        y.fill(color.y);
        u.fill(color.u);
        v.fill(color.v);
    }

    /// Paints a rectangle; what is outside of the picture is ignored.
    pub fn fill_rect(&mut self, rect: Rect, color: Color) {
        let rect = rect.intersection(Rect::of(self.size));
        for (index, (plane, value)) in self.view_mut().planes.iter_mut().zip(color.planes()).enumerate() {
            let rect = if index == 0 { rect } else { rect.chroma() };
            for y in rect.y..rect.y + rect.height {
                plane.span_mut(rect.x, y, rect.width).fill(value);
            }
        }
    }

    /// Copies the top left part that both have.
    pub fn copy_from(&mut self, view: &View<'_>) {
        for (to, from) in self.view_mut().planes.iter_mut().zip(view.planes()) {
            let width = to.size.width.min(from.size.width);
            for y in 0..to.size.height.min(from.size.height) {
                to.span_mut(0, y, width).copy_from_slice(&from.row(y)[..width]);
            }
        }
    }

    fn luma_len(&self) -> usize {
        self.luma_stride * self.size.height
    }

    fn chroma_len(&self) -> usize {
        self.chroma_stride * self.size.chroma().height
    }
}

#[cfg(test)]
mod tests {
    use super::Frame;
    use crate::color::Color;
    use crate::rect::{Rect, Size};
    use crate::view::MAX_SIDE;

    #[test]
    fn rows_of_a_frame_are_aligned_and_chroma_is_rounded_up() {
        let frame = Frame::new(Size::new(35, 17)).expect("a picture");
        let view = frame.view();
        let [y, u, v] = view.planes();
        assert_eq!(
            (y.size(), u.size(), v.size()),
            (Size::new(35, 17), Size::new(18, 9), Size::new(18, 9))
        );
        assert!([y, u, v].iter().all(|plane| plane.stride() % 64 == 0));
        assert_eq!(view.to_packed().len(), 35 * 17 + 2 * 18 * 9);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Frame::new(Size::new(0, 4)).is_err());
        assert!(Frame::new(Size::new(MAX_SIDE + 1, 4)).is_err());
    }

    #[test]
    fn a_rectangle_is_painted_on_all_planes_and_clipped() {
        let mut frame = Frame::new(Size::new(8, 6)).expect("a picture");
        frame.fill_rect(Rect::even(4, 2, 100, 2), Color { y: 90, u: 91, v: 92 });
        let view = frame.view();
        let [y, u, v] = view.planes();
        assert_eq!(y.row(2), [16, 16, 16, 16, 90, 90, 90, 90]);
        assert_eq!(y.row(4), [16; 8]);
        assert_eq!(
            (u.row(1), v.row(1)),
            (&[128, 128, 91, 91][..], &[128, 128, 92, 92][..])
        );
    }
}
