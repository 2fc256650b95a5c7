//! Sizes and rectangles in luma samples.

/// Width and height in luma samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A rectangle of the canvas whose edges are even, so that it covers whole chroma samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rect {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// What to do where source and destination differ in shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// All of the picture, with bars.
    #[default]
    Contain,
    /// All of the rectangle; what does not fit is cut off evenly.
    Cover,
    /// All of both, distorted.
    Stretch,
}

impl Size {
    /// A size.
    #[must_use]
    pub const fn new(width: usize, height: usize) -> Self {
        Self { width, height }
    }

    /// The size of the chroma planes: half, rounded up.
    #[must_use]
    pub const fn chroma(self) -> Self {
        Self {
            width: self.width.div_ceil(2),
            height: self.height.div_ceil(2),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The largest size of this shape that fits into `room`, even and at least 2 x 2.
    pub(crate) fn scaled_into(self, room: Self) -> Self {
        let by_width = room.width * self.height;
        let by_height = room.height * self.width;
        if by_width <= by_height {
            Self::new(
                room.width,
                nearest_even(by_width, self.width).clamp(2, room.height.max(2)),
            )
        } else {
            Self::new(
                nearest_even(by_height, self.height).clamp(2, room.width.max(2)),
                room.height,
            )
        }
    }
}

impl Rect {
    /// The largest even rectangle inside the given one.
    #[must_use]
    pub const fn even(x: usize, y: usize, width: usize, height: usize) -> Self {
        let (left, top) = (x + x % 2, y + y % 2);
        let (right, bottom) = (x + width, y + height);
        let (right, bottom) = (right - right % 2, bottom - bottom % 2);
        Self {
            x: left,
            y: top,
            width: right.saturating_sub(left),
            height: bottom.saturating_sub(top),
        }
    }

    /// All of a canvas.
    #[must_use]
    pub const fn of(size: Size) -> Self {
        Self::even(0, 0, size.width, size.height)
    }

    /// Its size.
    #[must_use]
    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.size().is_empty()
    }

    /// What both have in common.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = (self.x + self.width).min(other.x + other.width);
        let bottom = (self.y + self.height).min(other.y + other.height);
        Self {
            x,
            y,
            width: right.saturating_sub(x),
            height: bottom.saturating_sub(y),
        }
    }

    /// Whether both have something in common.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    /// The smallest that holds both.
    pub(crate) fn union(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self {
            x,
            y,
            width: right - x,
            height: bottom - y,
        }
    }

    /// Without `margin` on each side.
    #[must_use]
    pub fn inset(self, margin: usize) -> Self {
        let margin = margin + margin % 2;
        Self {
            x: self.x + margin,
            y: self.y + margin,
            width: self.width.saturating_sub(2 * margin),
            height: self.height.saturating_sub(2 * margin),
        }
    }

    /// A rectangle of `size` in the middle of this one, on even coordinates.
    pub(crate) fn centred(self, size: Size) -> Self {
        let (width, height) = (size.width.min(self.width), size.height.min(self.height));
        let x = self.x + (self.width - width) / 4 * 2;
        let y = self.y + (self.height - height) / 4 * 2;
        Self { x, y, width, height }
    }

    /// The same area on a chroma plane.
    pub(crate) const fn chroma(self) -> Self {
        Self {
            x: self.x / 2,
            y: self.y / 2,
            width: self.width.div_ceil(2),
            height: self.height.div_ceil(2),
        }
    }
}

/// The even number nearest to `numerator / denominator`.
fn nearest_even(numerator: usize, denominator: usize) -> usize {
    (numerator + denominator) / (2 * denominator) * 2
}

#[cfg(test)]
mod tests {
    use super::{Rect, Size};

    #[test]
    fn edges_become_even_inwards() {
        assert_eq!(
            Rect::even(1, 3, 10, 9),
            Rect {
                x: 2,
                y: 4,
                width: 8,
                height: 8
            }
        );
        assert!(Rect::even(1, 1, 1, 1).is_empty());
    }

    #[test]
    fn a_shape_is_kept_as_well_as_even_numbers_allow() {
        assert_eq!(
            Size::new(640, 480).scaled_into(Size::new(1280, 720)),
            Size::new(960, 720)
        );
        assert_eq!(
            Size::new(360, 640).scaled_into(Size::new(636, 358)),
            Size::new(202, 358)
        );
        assert_eq!(
            Size::new(8000, 1).scaled_into(Size::new(100, 100)),
            Size::new(100, 2)
        );
    }

    #[test]
    fn disjoint_rectangles_have_nothing_in_common() {
        let left = Rect::even(0, 0, 10, 10);
        assert!(left.intersection(Rect::even(10, 0, 10, 10)).is_empty());
        assert_eq!(
            left.intersection(Rect::even(8, 8, 10, 10)),
            Rect::even(8, 8, 2, 2)
        );
    }
}
