//! One picture over another.

use crate::kernels::Kernels;
use crate::rect::{Rect, Size};
use crate::view::{View, ViewMut};

/// How much of the upper picture is seen at each sample: 0 is nothing, 255 is all.
#[derive(Clone, Debug)]
pub struct Mask {
    size: Size,
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

impl Mask {
    /// A mask from a function of the sample's place, over `size`.
    #[must_use]
    pub fn from_fn(size: Size, alpha: impl Fn(usize, usize) -> u8) -> Self {
        let at = &alpha;
        let luma = (0..size.height)
            .flat_map(|y| (0..size.width).map(move |x| at(x, y)))
            .collect();
        let mut mask = Self {
            size,
            luma,
            chroma: Vec::new(),
        };
        let chroma = size.chroma();
        mask.chroma = (0..chroma.height)
            .flat_map(|y| (0..chroma.width).map(move |x| (x, y)))
            .map(|(x, y)| mask.mean(x, y))
            .collect();
        mask
    }

    /// A rectangle with round corners, their edges smooth.
    #[must_use]
    pub fn rounded(size: Size, radius: usize) -> Self {
        let radius = radius.min(size.width / 2).min(size.height / 2);
        Self::from_fn(size, |x, y| {
            let depth = |at: usize, len: usize| radius.saturating_sub(at.min(len - 1 - at)) as f32 - 0.5;
            let (dx, dy) = (depth(x, size.width), depth(y, size.height));
            if dx < 0.0 || dy < 0.0 {
                return 255;
            }
            let inside = radius as f32 - dx.hypot(dy) + 0.5;
            (inside.clamp(0.0, 1.0) * 255.0).round() as u8
        })
    }

    /// Its size in luma samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The mean of the luma samples that share a chroma sample.
    fn mean(&self, x: usize, y: usize) -> u8 {
        let right = (2 * x + 1).min(self.size.width - 1);
        let bottom = (2 * y + 1).min(self.size.height - 1);
        let at = |x: usize, y: usize| u16::from(self.luma[y * self.size.width + x]);
        let sum = at(2 * x, 2 * y) + at(right, 2 * y) + at(2 * x, bottom) + at(right, bottom);
        ((sum + 2) / 4) as u8
    }
}

/// Puts `over` on the canvas with its top left corner at that of `rect`, as far as both reach. `alpha` is 0 to
/// 256, where 256 hides what is below.
pub fn blend(canvas: &mut ViewMut<'_>, rect: Rect, over: &View<'_>, alpha: u16, kernels: Kernels) {
    let rect = reach(canvas.size(), rect, over.size());
    for_rows(canvas, rect, over, |_, _, under, over| {
        kernels.blend(under, over, alpha.min(256));
    });
}

/// The same with an alpha for each sample; the mask lies on the upper picture.
pub fn blend_mask(canvas: &mut ViewMut<'_>, rect: Rect, over: &View<'_>, mask: &Mask, kernels: Kernels) {
    let reach = reach(canvas.size(), rect, over.size());
    let rect = reach.intersection(Rect::even(rect.x, rect.y, mask.size.width, mask.size.height));
    for_rows(canvas, rect, over, |plane, y, under, over| {
        let (alphas, stride) = match plane {
            0 => (&mask.luma, mask.size.width),
            _ => (&mask.chroma, mask.size.chroma().width),
        };
        kernels.blend_mask(under, over, &alphas[y * stride..]);
    });
}

fn reach(canvas: Size, rect: Rect, over: Size) -> Rect {
    rect.intersection(Rect::of(canvas))
        .intersection(Rect::even(rect.x, rect.y, over.width, over.height))
}

fn for_rows(
    canvas: &mut ViewMut<'_>,
    rect: Rect,
    over: &View<'_>,
    mut row: impl FnMut(usize, usize, &mut [u8], &[u8]),
) {
    for (index, (under, over)) in canvas.planes_mut().iter_mut().zip(over.planes()).enumerate() {
        let rect = if index == 0 { rect } else { rect.chroma() };
        for y in 0..rect.height {
            row(
                index,
                y,
                under.span_mut(rect.x, rect.y + y, rect.width),
                &over.row(y)[..rect.width],
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mask, blend, blend_mask};
    use crate::color::Color;
    use crate::frame::Frame;
    use crate::kernels::Kernels;
    use crate::rect::{Rect, Size};
    use proptest::prelude::{any, prop, proptest};

    fn flat(size: Size, value: u8) -> Frame {
        let mut frame = Frame::new(size).expect("a picture");
        frame.fill(Color {
            y: value,
            u: value,
            v: value,
        });
        frame
    }

    fn blended(under: u8, over: u8, alpha: u16) -> u8 {
        let mut canvas = flat(Size::new(66, 2), under);
        let over = flat(Size::new(66, 2), over);
        blend(
            &mut canvas.view_mut(),
            Rect::of(over.size()),
            &over.view(),
            alpha,
            Kernels::detect(),
        );
        let bytes = canvas.view().to_packed();
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        bytes[0]
    }

    #[test]
    fn the_ends_of_alpha_are_exact() {
        for (under, over) in [(0, 255), (255, 0), (17, 203)] {
            assert_eq!(
                (blended(under, over, 0), blended(under, over, 256)),
                (under, over)
            );
        }
        assert_eq!(blended(0, 200, 128), 100);
        assert_eq!(blended(255, 255, 77), 255);
    }

    #[test]
    fn round_corners_are_empty_and_symmetric_and_the_rest_is_full() {
        let mask = Mask::rounded(Size::new(40, 20), 8);
        let at = |x: usize, y: usize| mask.luma[y * 40 + x];
        assert_eq!((at(0, 0), at(39, 0), at(0, 19), at(39, 19)), (0, 0, 0, 0));
        assert_eq!((at(20, 0), at(0, 10), at(8, 8), at(20, 10)), (255, 255, 255, 255));
        assert!(
            mask.luma.iter().any(|alpha| (1..255).contains(alpha)),
            "smooth edges"
        );
        assert!((0..20).all(|y| (0..40).all(|x| at(x, y) == at(39 - x, 19 - y))));
    }

    #[test]
    fn a_mask_decides_sample_by_sample_and_what_is_outside_is_clipped() {
        let mut canvas = flat(Size::new(8, 8), 10);
        let over = flat(Size::new(6, 6), 200);
        let mask = Mask::from_fn(Size::new(6, 6), |x, _| if x < 2 { 255 } else { 0 });
        blend_mask(
            &mut canvas.view_mut(),
            Rect::even(4, 6, 6, 6),
            &over.view(),
            &mask,
            Kernels::detect(),
        );
        let view = canvas.view();
        assert_eq!(view.planes()[0].row(5), [10; 8]);
        assert_eq!(view.planes()[0].row(6), [10, 10, 10, 10, 200, 200, 10, 10]);
        assert_eq!(view.planes()[1].row(3), [10, 10, 200, 10]);
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_same_bytes(
            rows in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..200), alpha in 0u16..=256,
        ) {
            let under: Vec<u8> = rows.iter().map(|row| row.0).collect();
            let over: Vec<u8> = rows.iter().map(|row| row.1).collect();
            let mask: Vec<u8> = rows.iter().map(|row| row.2).collect();
            let run = |kernels: Kernels| {
                let (mut constant, mut masked) = (under.clone(), under.clone());
                kernels.blend(&mut constant, &over, alpha);
                kernels.blend_mask(&mut masked, &over, &mask);
                (constant, masked)
            };
            assert_eq!(run(Kernels::detect()), run(Kernels::scalar()));
        }
    }
}
