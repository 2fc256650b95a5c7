//! How much of a picture is seen at each of its samples.

use crate::rect::Size;

/// How much of the upper picture is seen at each sample: 0 is nothing, 255 is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    size: Size,
    planes: [Levels; 2],
}

/// One resolution of a mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Levels {
    alphas: Vec<u8>,
    width: usize,
    /// The alpha of rows that have only one.
    even: Vec<Option<u8>>,
}

/// One row of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskRow<'a> {
    /// The same everywhere.
    Even(u8),
    /// One for each sample.
    Varied(&'a [u8]),
}

impl Mask {
    /// A mask from a function of the sample's place, over `size`.
    #[must_use]
    pub fn from_fn(size: Size, alpha: impl Fn(usize, usize) -> u8) -> Self {
        let at = &alpha;
        let luma = (0..size.height)
            .flat_map(|y| (0..size.width).map(move |x| at(x, y)))
            .collect();
        Self::new(size, luma)
    }

    /// A mask from the alphas of its rows, one after the other.
    fn new(size: Size, luma: Vec<u8>) -> Self {
        let chroma = size.chroma();
        let means = (0..chroma.height)
            .flat_map(|y| (0..chroma.width).map(move |x| (x, y)))
            .map(|(x, y)| mean(&luma, size, x, y))
            .collect();
        let planes = [Levels::new(luma, size.width), Levels::new(means, chroma.width)];
        Self { size, planes }
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

    /// What is not seen becomes seen.
    #[must_use]
    pub fn inverted(&self) -> Self {
        Self::new(self.size, self.luma().map(|alpha| 255 - alpha).collect())
    }

    /// All of it times `alpha`, 0 to 256.
    #[must_use]
    pub fn dimmed(&self, alpha: u16) -> Self {
        let alpha = u32::from(alpha.min(256));
        let dim = |level: u8| ((u32::from(level) * alpha + 128) >> 8) as u8;
        Self::new(self.size, self.luma().map(dim).collect())
    }

    /// Its size in luma samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    fn luma(&self) -> impl Iterator<Item = u8> {
        self.planes[0].alphas.iter().copied()
    }

    /// Row `y` of a plane: 0 is Y, 1 is U, 2 is V.
    pub(crate) fn row(&self, plane: usize, y: usize) -> MaskRow<'_> {
        let levels = &self.planes[plane.min(1)];
        match levels.even[y] {
            Some(alpha) => MaskRow::Even(alpha),
            None => MaskRow::Varied(&levels.alphas[y * levels.width..][..levels.width]),
        }
    }
}

impl Levels {
    fn new(alphas: Vec<u8>, width: usize) -> Self {
        let even = alphas
            .chunks_exact(width.max(1))
            .map(|row| row.iter().all(|alpha| *alpha == row[0]).then_some(row[0]))
            .collect();
        Self { alphas, width, even }
    }
}

/// The mean of the luma samples that share a chroma sample.
fn mean(luma: &[u8], size: Size, x: usize, y: usize) -> u8 {
    let right = (2 * x + 1).min(size.width - 1);
    let bottom = (2 * y + 1).min(size.height - 1);
    let at = |x: usize, y: usize| u16::from(luma[y * size.width + x]);
    let sum = at(2 * x, 2 * y) + at(right, 2 * y) + at(2 * x, bottom) + at(right, bottom);
    ((sum + 2) / 4) as u8
}

#[cfg(test)]
mod tests {
    use super::{Mask, MaskRow};
    use crate::rect::Size;

    fn at(mask: &Mask, x: usize, y: usize) -> u8 {
        match mask.row(0, y) {
            MaskRow::Even(alpha) => alpha,
            MaskRow::Varied(row) => row[x],
        }
    }

    #[test]
    fn round_corners_are_empty_and_symmetric_and_the_rest_is_full() {
        let mask = Mask::rounded(Size::new(40, 20), 8);
        let at = |x, y| at(&mask, x, y);
        assert_eq!((at(0, 0), at(39, 0), at(0, 19), at(39, 19)), (0, 0, 0, 0));
        assert_eq!((at(20, 0), at(0, 10), at(8, 8), at(20, 10)), (255, 255, 255, 255));
        let smooth = (0..8).any(|y| (0..8).any(|x| (1..255).contains(&at(x, y))));
        assert!(smooth, "edges without steps");
        assert!((0..20).all(|y| (0..40).all(|x| at(x, y) == at(39 - x, 19 - y))));
    }

    #[test]
    fn rows_between_the_corners_are_known_to_be_even() {
        let mask = Mask::rounded(Size::new(40, 30), 8);
        assert!((8..22).all(|y| mask.row(0, y) == MaskRow::Even(255)));
        assert!((4..11).all(|y| mask.row(1, y) == MaskRow::Even(255)));
        assert!(matches!(mask.row(0, 0), MaskRow::Varied(_)));
    }

    #[test]
    fn the_ends_of_dimming_are_exact_and_inverting_twice_is_nothing() {
        let mask = Mask::rounded(Size::new(20, 20), 6);
        assert_eq!(mask.dimmed(256), mask);
        assert_eq!(at(&mask.dimmed(128), 10, 10), 128);
        assert_eq!(mask.dimmed(0).row(0, 3), MaskRow::Even(0));
        assert_eq!(mask.inverted().inverted(), mask);
        assert_eq!(at(&mask.inverted(), 10, 10), 0);
    }

    #[test]
    fn odd_sizes_have_chroma_for_their_last_samples() {
        let mask = Mask::from_fn(Size::new(5, 3), |x, _| if x == 4 { 200 } else { 0 });
        assert_eq!(mask.row(1, 1), MaskRow::Varied(&[0, 0, 200]));
    }
}
