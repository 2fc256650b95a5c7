//! Where on the canvas a part of a picture is seen.

use crate::layer::Look;
use crate::rect::{Fit, Rect, Size};
use crate::scale::geometry;

/// A picture in its tile: which part of it is seen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    source: Size,
    crop: Rect,
    target: Rect,
}

impl Window {
    /// Of a picture of the size `source` in a tile that is drawn so.
    #[must_use]
    pub fn new(source: Size, rect: Rect, fit: Fit, look: Look) -> Self {
        let inner = look.border.map_or(rect, |(width, _)| rect.inset(width));
        let rect = if inner.is_empty() { rect } else { inner };
        let (crop, target) = geometry(source, rect, fit);
        Self { source, crop, target }
    }

    /// All of what is painted.
    #[must_use]
    pub fn target(&self) -> Rect {
        self.target
    }

    /// Where a part of the picture is seen, given by its left and top edge, width and height in fractions of the picture. What
    /// is cut off is not in it; nothing, if nothing is left.
    #[must_use]
    pub fn place(&self, [x, y, width, height]: [f32; 4]) -> Option<Rect> {
        let Self { source, crop, target } = *self;
        let (left, right) = span(
            [x, x + width],
            source.width,
            (crop.x, crop.width),
            (target.x, target.width),
        );
        let (top, bottom) = span(
            [y, y + height],
            source.height,
            (crop.y, crop.height),
            (target.y, target.height),
        );
        let seen = Rect::even(left, top, right - left, bottom - top);
        (!seen.is_empty()).then_some(seen)
    }
}

/// Where an interval of one side is seen. The end is never before the beginning.
fn span(
    ends: [f32; 2],
    source: usize,
    (crop, cropped): (usize, usize),
    (target, len): (usize, usize),
) -> (usize, usize) {
    let [begin, end] = ends.map(|end| {
        let within = (end * source as f32 - crop as f32) / cropped.max(1) as f32;
        // A float becomes the nearest integer that is in range, and what is no number becomes 0.
        target + (within.clamp(0.0, 1.0) * len as f32).round() as usize
    });
    (begin, end.max(begin))
}

#[cfg(test)]
mod tests {
    use super::Window;
    use crate::color::Color;
    use crate::composition::Composition;
    use crate::frame::Frame;
    use crate::kernels::Kernels;
    use crate::layer::{Layer, Look, Picture, Tile, TileKey};
    use crate::rect::{Fit, Rect, Size};
    use proptest::prelude::{Strategy, any, prop, proptest};

    const PICTURE: Size = Size::new(400, 200);
    const PLACE: Rect = Rect {
        x: 100,
        y: 50,
        width: 200,
        height: 200,
    };

    fn placed(fit: Fit, look: Look, part: [f32; 4]) -> Option<Rect> {
        Window::new(PICTURE, PLACE, fit, look).place(part)
    }

    #[test]
    fn a_part_follows_its_picture_through_every_fit() {
        let middle = [0.25, 0.25, 0.5, 0.5];
        assert_eq!(
            placed(Fit::Contain, Look::PLAIN, middle),
            Some(Rect::even(150, 125, 100, 50))
        );
        assert_eq!(
            placed(Fit::Stretch, Look::PLAIN, middle),
            Some(Rect::even(150, 100, 100, 100))
        );
        // Half of the picture is seen, so its middle half has all of the width.
        assert_eq!(
            placed(Fit::Cover, Look::PLAIN, middle),
            Some(Rect::even(100, 100, 200, 100))
        );
    }

    #[test]
    fn what_is_cut_off_is_not_seen() {
        assert_eq!(placed(Fit::Cover, Look::PLAIN, [0.0, 0.0, 0.2, 1.0]), None);
        assert_eq!(
            placed(Fit::Cover, Look::PLAIN, [0.0, 0.0, 0.5, 1.0]),
            Some(Rect::even(100, 50, 100, 200))
        );
        assert_eq!(placed(Fit::Stretch, Look::PLAIN, [f32::NAN; 4]), None);
    }

    #[test]
    fn a_border_moves_the_picture_inwards() {
        let look = Look {
            border: Some((10, Color::BLACK)),
            ..Look::PLAIN
        };
        assert_eq!(
            placed(Fit::Stretch, look, [0.0, 0.0, 1.0, 1.0]),
            Some(Rect::even(110, 60, 180, 180))
        );
    }

    /// A picture that is black but for a white part, as the composition shows it.
    fn shown(size: Size, part: Rect, fit: Fit, look: Look) -> Frame {
        let mut picture = Frame::new(size).expect("a picture");
        picture.fill_rect(part, Color::from_rgb(255, 255, 255));
        let canvas = Size::new(400, 300);
        let mut composition = Composition::new(canvas, Color::BLACK, Kernels::detect()).expect("a canvas");
        let tile = Tile {
            key: TileKey(1),
            rect: PLACE,
            fit,
            look,
            picture: Picture::Frame {
                view: picture.view(),
                id: 1,
            },
        };
        let composed = composition.compose(&[Layer::Tile(tile)]).frame;
        Frame::copy_of(&composed.view()).expect("a picture")
    }

    fn sides() -> impl Strategy<Value = Size> {
        (20usize..500, 20usize..500).prop_map(|(width, height)| Size::new(width * 2, height * 2))
    }

    proptest! {
        /// Whatever the composition does with a picture, its parts are found where they are.
        #[test]
        fn parts_are_where_they_are_painted(
            size in sides(), border in any::<bool>(), at in (0.0f32..0.8, 0.0f32..0.8),
            fit in prop::sample::select(vec![Fit::Contain, Fit::Cover, Fit::Stretch]),
        ) {
            let look = Look { border: border.then_some((6, Color::BLACK)), ..Look::PLAIN };
            let (width, height) = (size.width as f32, size.height as f32);
            let part = Rect::even(
                (at.0 * width) as usize, (at.1 * height) as usize, size.width / 5, size.height / 5,
            );
            let fractions = [
                part.x as f32 / width, part.y as f32 / height, part.width as f32 / width, part.height as f32 / height,
            ];
            let canvas = shown(size, part, fit, look);
            let view = canvas.view();
            let bright: Vec<(usize, usize)> = view.planes()[0].rows().enumerate()
                .flat_map(|(y, row)| row.iter().enumerate().filter(|(_, luma)| **luma > 126).map(move |(x, _)| (x, y)))
                .collect();
            let ends = |values: &mut dyn Iterator<Item = usize>| {
                values.fold((usize::MAX, 0), |(least, most), value| (least.min(value), most.max(value + 1)))
            };
            let (left, right) = ends(&mut bright.iter().map(|(x, _)| *x));
            let (top, bottom) = ends(&mut bright.iter().map(|(_, y)| *y));
            match Window::new(size, PLACE, fit, look).place(fractions) {
                Some(rect) => {
                    let found = [rect.x, rect.y, rect.x + rect.width, rect.y + rect.height];
                    let near = [left, top, right, bottom].iter().zip(found).all(|(a, b)| a.abs_diff(b) <= 3);
                    assert!(near || bright.len() < 30, "{:?} and {found:?}", [left, top, right, bottom]);
                }
                None => assert!(bright.len() < 2000, "{} samples", bright.len()),
            }
        }
    }
}
