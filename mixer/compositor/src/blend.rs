//! One picture over another.

use crate::color::Color;
use crate::kernels::Kernels;
use crate::mask::{Mask, MaskRow};
use crate::rect::{Rect, Size};
use crate::view::{View, ViewMut};

/// How much of the upper picture is seen.
#[derive(Clone, Copy, Debug)]
pub enum Alpha<'a> {
    /// The same everywhere, 0 to 256, where 256 hides what is below.
    Even(u16),
    /// What a mask says, which lies on the upper picture.
    Mask(&'a Mask),
}

impl Alpha<'_> {
    /// Nothing is seen of what is below.
    pub const OPAQUE: Self = Self::Even(256);
}

/// Puts `over` on the canvas with its top left corner at that of `rect`, as far as both and the mask reach.
pub fn blend(canvas: &mut ViewMut<'_>, rect: Rect, over: &View<'_>, alpha: Alpha<'_>, kernels: Kernels) {
    let all = Rect::of(canvas.size());
    blend_part(canvas, all, rect, over, alpha, kernels);
}

/// The same, and nothing outside of `clip` is touched.
pub fn blend_part(
    canvas: &mut ViewMut<'_>,
    clip: Rect,
    rect: Rect,
    over: &View<'_>,
    alpha: Alpha<'_>,
    kernels: Kernels,
) {
    let Some(part) = reach(canvas.size(), clip, rect, over.size(), alpha) else {
        return;
    };
    for (index, (under, over)) in canvas.planes_mut().iter_mut().zip(over.planes()).enumerate() {
        let (part, rect) = plane_of(index, part, rect);
        for y in part.y..part.y + part.height {
            let (left, top) = (part.x - rect.x, y - rect.y);
            let under = under.span_mut(part.x, y, part.width);
            blend_row(
                under,
                &over.row(top)[left..][..part.width],
                alpha,
                (index, left, top),
                kernels,
            );
        }
    }
}

/// The same with a colour for a picture.
pub fn blend_color(canvas: &mut ViewMut<'_>, rect: Rect, color: Color, alpha: Alpha<'_>, kernels: Kernels) {
    let Some(part) = reach(canvas.size(), rect, rect, rect.size(), alpha) else {
        return;
    };
    for (index, (under, value)) in canvas.planes_mut().iter_mut().zip(color.planes()).enumerate() {
        let (part, rect) = plane_of(index, part, rect);
        let over = vec![value; part.width];
        for y in part.y..part.y + part.height {
            let under = under.span_mut(part.x, y, part.width);
            blend_row(under, &over, alpha, (index, part.x - rect.x, y - rect.y), kernels);
        }
    }
}

/// `place` is the plane, and where in the mask the row begins.
fn blend_row(
    under: &mut [u8],
    over: &[u8],
    alpha: Alpha<'_>,
    (plane, x, y): (usize, usize, usize),
    kernels: Kernels,
) {
    let even = match alpha {
        Alpha::Even(alpha) => alpha.min(256),
        Alpha::Mask(mask) => match mask.row(plane, y) {
            MaskRow::Even(alpha) => u16::from(alpha) + u16::from(alpha >> 7),
            MaskRow::Varied(row) => return kernels.blend_mask(under, over, &row[x..]),
        },
    };
    match even {
        0 => {}
        256 => under.copy_from_slice(over),
        alpha => kernels.blend(under, over, alpha),
    }
}

/// What of the canvas is touched, if anything.
fn reach(canvas: Size, clip: Rect, rect: Rect, over: Size, alpha: Alpha<'_>) -> Option<Rect> {
    let placed = |size: Size| Rect::even(rect.x, rect.y, size.width, size.height);
    let masked = match alpha {
        Alpha::Even(_) => over,
        Alpha::Mask(mask) => mask.size(),
    };
    let part = [Rect::of(canvas), clip, placed(over), placed(masked)]
        .into_iter()
        .fold(rect, Rect::intersection);
    (!part.is_empty()).then_some(part)
}

fn plane_of(index: usize, part: Rect, rect: Rect) -> (Rect, Rect) {
    match index {
        0 => (part, rect),
        _ => (part.chroma(), rect.chroma()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Alpha, blend, blend_color, blend_part};
    use crate::color::Color;
    use crate::frame::Frame;
    use crate::kernels::Kernels;
    use crate::mask::Mask;
    use crate::rect::{Rect, Size};
    use crate::view::View;
    use proptest::prelude::{any, prop, proptest};

    fn color(value: u8) -> Color {
        Color {
            y: value,
            u: value,
            v: value,
        }
    }

    fn flat(size: Size, value: u8) -> Frame {
        let mut frame = Frame::new(size).expect("a picture");
        frame.fill(color(value));
        frame
    }

    fn blended(under: u8, over: u8, alpha: u16) -> u8 {
        let mut canvas = flat(Size::new(66, 2), under);
        let over = flat(Size::new(66, 2), over);
        let rect = Rect::of(over.size());
        blend(
            &mut canvas.view_mut(),
            rect,
            &over.view(),
            Alpha::Even(alpha),
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
    fn a_mask_decides_sample_by_sample_and_what_is_outside_is_clipped() {
        let mut canvas = flat(Size::new(8, 8), 10);
        let over = flat(Size::new(6, 6), 200);
        let mask = Mask::from_fn(Size::new(6, 6), |x, _| if x < 2 { 255 } else { 0 });
        blend(
            &mut canvas.view_mut(),
            Rect::even(4, 6, 6, 6),
            &over.view(),
            Alpha::Mask(&mask),
            Kernels::detect(),
        );
        let view = canvas.view();
        assert_eq!(view.planes()[0].row(5), [10; 8]);
        assert_eq!(view.planes()[0].row(6), [10, 10, 10, 10, 200, 200, 10, 10]);
        assert_eq!(view.planes()[1].row(3), [10, 10, 200, 10]);
    }

    #[test]
    fn a_colour_is_blended_like_a_picture_of_it() {
        let size = Size::new(34, 18);
        let mask = Mask::rounded(size, 7).dimmed(200);
        let rect = Rect::even(2, 4, size.width, size.height);
        let run = |paint: &dyn Fn(&mut Frame)| {
            let mut canvas = flat(Size::new(40, 24), 30);
            paint(&mut canvas);
            canvas.view().to_packed()
        };
        let picture = run(&|canvas| {
            let over = flat(size, 180);
            blend(
                &mut canvas.view_mut(),
                rect,
                &over.view(),
                Alpha::Mask(&mask),
                Kernels::detect(),
            );
        });
        let paint = run(&|canvas| {
            blend_color(
                &mut canvas.view_mut(),
                rect,
                color(180),
                Alpha::Mask(&mask),
                Kernels::detect(),
            );
        });
        assert!(picture == paint);
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

        /// Odd sizes, a stride of its own, an odd address.
        #[test]
        fn a_part_is_what_the_whole_has_there(
            width in 1usize..70, height in 1usize..40, spare in 0usize..9, radius in 0usize..20,
            alpha in 0u16..=256, at in (0usize..30, 0usize..20), clip in (0usize..40, 0usize..30, 0usize..60, 0usize..40),
            seed in any::<u32>(),
        ) {
            let size = Size::new(width, height);
            let mut state = seed | 1;
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .take((width + spare) * height + 1)
            .collect();
            let over = View::new(size, [(&bytes[1..], width + spare); 3]).expect("a view");
            let mask = Mask::rounded(size, radius).dimmed(alpha);
            let rect = Rect::even(2 * at.0, 2 * at.1, width, height);
            let clip = Rect::even(clip.0, clip.1, clip.2, clip.3);
            for how in [Alpha::Even(alpha), Alpha::Mask(&mask)] {
                let run = |clip: Rect, kernels: Kernels| {
                    let mut canvas = flat(Size::new(96, 64), 77);
                    blend_part(&mut canvas.view_mut(), clip, rect, &over, how, kernels);
                    canvas
                };
                let all = Rect::of(Size::new(96, 64));
                let whole = run(all, Kernels::detect());
                assert!(whole.view().to_packed() == run(all, Kernels::scalar()).view().to_packed());
                let part = run(clip, Kernels::detect());
                let view = part.view();
                for (index, plane) in view.planes().iter().enumerate() {
                    let inside = if index == 0 { clip } else { clip.chroma() };
                    for y in 0..plane.size().height {
                        for x in 0..plane.size().width {
                            let within = (inside.x..inside.x + inside.width).contains(&x)
                                && (inside.y..inside.y + inside.height).contains(&y);
                            let expected = if within { whole.view().planes()[index].row(y)[x] } else { 77 };
                            assert_eq!(plane.row(y)[x], expected, "plane {index} at {x},{y}");
                        }
                    }
                }
            }
        }
    }
}
