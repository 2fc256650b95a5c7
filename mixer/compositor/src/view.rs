//! Borrowed pictures.

use crate::rect::Size;

/// No side of a picture is longer.
pub const MAX_SIDE: usize = 8192;

/// Why bytes are not a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A side of zero, or longer than [`MAX_SIDE`].
    #[error("a picture of {0} x {1}; each side must be from 1 to {MAX_SIDE}")]
    Size(usize, usize),
    /// The rows overlap.
    #[error("plane {plane}: a stride of {stride} for rows of {width}")]
    Stride {
        /// 0 is Y, 1 is U, 2 is V.
        plane: usize,
        /// Bytes from row to row.
        stride: usize,
        /// Bytes in a row.
        width: usize,
    },
    /// The plane ends before its last row does.
    #[error("plane {plane}: {len} bytes; {needed} are needed")]
    TooShort {
        /// 0 is Y, 1 is U, 2 is V.
        plane: usize,
        /// Bytes given.
        len: usize,
        /// Bytes needed.
        needed: usize,
    },
}

/// One plane of a borrowed picture.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) stride: usize,
    pub(crate) size: Size,
}

/// One plane of a picture that may be painted on.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    pub(crate) data: &'a mut [u8],
    pub(crate) stride: usize,
    pub(crate) size: Size,
}

/// A borrowed picture.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) size: Size,
    pub(crate) planes: [Plane<'a>; 3],
}

/// A borrowed picture that may be painted on.
#[derive(Debug)]
pub struct ViewMut<'a> {
    pub(crate) size: Size,
    pub(crate) planes: [PlaneMut<'a>; 3],
}

impl<'a> View<'a> {
    /// A picture over the planes Y, U and V, each with its stride. Chroma planes have half the size, rounded up.
    pub fn new(size: Size, planes: [(&'a [u8], usize); 3]) -> Result<Self, FrameError> {
        check_size(size)?;
        let [y, u, v] = planes;
        let planes = [
            Plane::new(0, y, size)?,
            Plane::new(1, u, size.chroma())?,
            Plane::new(2, v, size.chroma())?,
        ];
        Ok(Self { size, planes })
    }

    /// Its size in luma samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Y, U and V.
    #[must_use]
    pub fn planes(&self) -> &[Plane<'a>; 3] {
        &self.planes
    }

    /// All rows without padding: Y, then U, then V, as in a raw file.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        self.planes
            .iter()
            .flat_map(Plane::rows)
            .flatten()
            .copied()
            .collect()
    }
}

impl<'a> Plane<'a> {
    fn new(plane: usize, (data, stride): (&'a [u8], usize), size: Size) -> Result<Self, FrameError> {
        if stride < size.width {
            return Err(FrameError::Stride {
                plane,
                stride,
                width: size.width,
            });
        }
        // The last row needs no padding after it.
        let needed = stride.saturating_mul(size.height - 1).saturating_add(size.width);
        if data.len() < needed {
            return Err(FrameError::TooShort {
                plane,
                len: data.len(),
                needed,
            });
        }
        Ok(Self { data, stride, size })
    }

    /// Its size in samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Bytes from row to row.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The bytes from the first row on.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// One row.
    ///
    /// # Panics
    ///
    /// If there is no row `y`.
    #[must_use]
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.size.width]
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let plane = *self;
        (0..plane.size.height).map(move |y| plane.row(y))
    }
}

impl<'a> ViewMut<'a> {
    /// Its size in luma samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Y, U and V.
    pub fn planes_mut(&mut self) -> &mut [PlaneMut<'a>; 3] {
        &mut self.planes
    }
}

impl PlaneMut<'_> {
    /// Its size in samples.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// One row.
    ///
    /// # Panics
    ///
    /// If there is no row `y`.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.stride..][..self.size.width]
    }

    /// Reads it.
    pub(crate) fn as_plane(&self) -> Plane<'_> {
        Plane {
            data: self.data,
            stride: self.stride,
            size: self.size,
        }
    }

    /// `width` samples of row `y` from `x` on.
    ///
    /// # Panics
    ///
    /// If the row does not have them.
    pub fn span_mut(&mut self, x: usize, y: usize, width: usize) -> &mut [u8] {
        &mut self.row_mut(y)[x..][..width]
    }
}

pub(crate) fn check_size(size: Size) -> Result<(), FrameError> {
    if size.is_empty() || size.width > MAX_SIDE || size.height > MAX_SIDE {
        return Err(FrameError::Size(size.width, size.height));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FrameError, View};
    use crate::rect::Size;

    #[test]
    fn planes_that_are_too_short_are_refused_at_every_length() {
        let size = Size::new(5, 3);
        let chroma = [0; 6];
        let bytes = [0; 8 * 2 + 5];
        for len in 0..bytes.len() {
            let error = View::new(size, [(&bytes[..len], 8), (&chroma, 3), (&chroma, 3)]).expect_err("short");
            assert_eq!(
                error,
                FrameError::TooShort {
                    plane: 0,
                    len,
                    needed: bytes.len()
                }
            );
        }
        assert!(View::new(size, [(&bytes, 8), (&chroma, 3), (&chroma, 3)]).is_ok());
    }

    #[test]
    fn impossible_strides_are_refused() {
        let bytes = [0; 64];
        let stride = View::new(Size::new(8, 2), [(&bytes, 7), (&bytes, 4), (&bytes, 4)]).expect_err("stride");
        assert_eq!(
            stride,
            FrameError::Stride {
                plane: 0,
                stride: 7,
                width: 8
            }
        );
        assert!(View::new(Size::new(8, 2), [(&bytes, usize::MAX), (&bytes, 4), (&bytes, 4)]).is_err());
    }
}
