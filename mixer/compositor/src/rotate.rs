//! Quarter turns, for cameras that are held upright.

use crate::frame::Frame;
use crate::rect::Size;
use crate::view::{FrameError, Plane, PlaneMut, View};

/// By how much a picture has to be turned clockwise to be upright (3GPP TS 26.114 §7.4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rotation {
    /// Not at all.
    #[default]
    None,
    /// 90°.
    Quarter,
    /// 180°.
    Half,
    /// 270°.
    ThreeQuarters,
}

impl Rotation {
    /// From the one byte of the video orientation header extension (3GPP TS 26.114 §7.4.5): its two low bits are
    /// the rotation that the sender's picture has, counter-clockwise, so that as much clockwise undoes it.
    #[must_use]
    pub const fn from_extension(byte: u8) -> Self {
        match byte & 0b11 {
            0 => Self::None,
            1 => Self::Quarter,
            2 => Self::Half,
            _ => Self::ThreeQuarters,
        }
    }

    /// The size of a turned picture.
    #[must_use]
    pub const fn turned(self, size: Size) -> Size {
        match self {
            Self::None | Self::Half => size,
            Self::Quarter | Self::ThreeQuarters => Size::new(size.height, size.width),
        }
    }
}

/// A turned copy. `reuse` is taken for it if it has the right size.
pub fn rotate(view: &View<'_>, rotation: Rotation, reuse: Option<Frame>) -> Result<Frame, FrameError> {
    let size = rotation.turned(view.size());
    let mut frame = match reuse.filter(|frame| frame.size() == size) {
        Some(frame) => frame,
        None => Frame::new(size)?,
    };
    for (from, to) in view.planes().iter().zip(frame.view_mut().planes_mut()) {
        rotate_plane(from, to, rotation);
    }
    Ok(frame)
}

/// So many rows and columns at a time, so that what is read stays in the cache.
const BLOCK: usize = 32;

fn rotate_plane(from: &Plane<'_>, to: &mut PlaneMut<'_>, rotation: Rotation) {
    match rotation {
        Rotation::None => {
            for (y, row) in from.rows().enumerate() {
                to.row_mut(y).copy_from_slice(row);
            }
        }
        Rotation::Half => {
            for (y, row) in from.rows().enumerate() {
                let out = to.row_mut(from.size().height - 1 - y);
                out.copy_from_slice(row);
                out.reverse();
            }
        }
        Rotation::Quarter | Rotation::ThreeQuarters => transpose(from, to, rotation),
    }
}

fn transpose(from: &Plane<'_>, to: &mut PlaneMut<'_>, rotation: Rotation) {
    let Size { width, height } = from.size();
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            for x in left..width.min(left + BLOCK) {
                let row = if rotation == Rotation::Quarter {
                    x
                } else {
                    width - 1 - x
                };
                let out = to.row_mut(row);
                for y in top..height.min(top + BLOCK) {
                    let column = if rotation == Rotation::Quarter {
                        height - 1 - y
                    } else {
                        y
                    };
                    out[column] = from.data()[y * from.stride() + x];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rotation, rotate};
    use crate::frame::Frame;
    use crate::rect::Size;
    use crate::view::View;

    /// Luma `1 2 3 / 4 5 6`.
    fn picture() -> Frame {
        let view = View::new(
            Size::new(3, 2),
            [(&[1, 2, 3, 4, 5, 6], 3), (&[7, 8], 2), (&[9, 10], 2)],
        );
        Frame::copy_of(&view.expect("a view")).expect("a picture")
    }

    fn turned(rotation: Rotation) -> Vec<u8> {
        rotate(&picture().view(), rotation, None)
            .expect("a picture")
            .view()
            .to_packed()
    }

    #[test]
    fn pictures_turn_clockwise() {
        assert_eq!(turned(Rotation::None), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(turned(Rotation::Quarter), [4, 1, 5, 2, 6, 3, 7, 8, 9, 10]);
        assert_eq!(turned(Rotation::Half), [6, 5, 4, 3, 2, 1, 8, 7, 10, 9]);
        assert_eq!(turned(Rotation::ThreeQuarters), [3, 6, 2, 5, 1, 4, 8, 7, 10, 9]);
    }

    #[test]
    fn four_quarter_turns_of_a_large_picture_are_none() {
        let size = Size::new(101, 67);
        let bytes: Vec<u8> = (0..size.width * size.height)
            .map(|n| (n * 7 % 251) as u8)
            .collect();
        let chroma = size.chroma().width;
        let view = View::new(size, [(&bytes, 101), (&bytes, chroma), (&bytes, chroma)]).expect("a view");
        let mut frame = Frame::copy_of(&view).expect("a picture");
        let before = frame.view().to_packed();
        for _ in 0..4 {
            frame = rotate(&frame.view(), Rotation::Quarter, None).expect("a picture");
        }
        assert_eq!(frame.view().to_packed(), before);
    }
}
