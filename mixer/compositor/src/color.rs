//! Colours.

/// A colour in limited-range YCbCr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Luma, 16 to 235.
    pub y: u8,
    /// Blue difference, 128 is none.
    pub u: u8,
    /// Red difference, 128 is none.
    pub v: u8,
}

impl Color {
    /// Black.
    pub const BLACK: Self = Self {
        y: 16,
        u: 128,
        v: 128,
    };

    /// The BT.601 colour (ITU-R BT.601-7 §2.5) of full-range red, green and blue: the matrix of the hosts' pictures and of the stream.
    #[must_use]
    pub const fn from_rgb(red: u8, green: u8, blue: u8) -> Self {
        let (r, g, b) = (red as i32, green as i32, blue as i32);
        // The coefficients times 2^16, times 219/255 for luma and 224/255 for chroma.
        let y = 16 + ((16_829 * r + 33_039 * g + 6_416 * b + 32_768) >> 16);
        let u = 128 + ((-9_714 * r - 19_070 * g + 28_784 * b + 32_768) >> 16);
        let v = 128 + ((28_784 * r - 24_103 * g - 4_681 * b + 32_768) >> 16);
        Self {
            y: y as u8,
            u: u as u8,
            v: v as u8,
        }
    }

    pub(crate) const fn planes(self) -> [u8; 3] {
        [self.y, self.u, self.v]
    }
}

#[cfg(test)]
mod tests {
    use super::Color;

    #[test]
    fn colours_follow_bt_601() {
        assert_eq!(Color::from_rgb(0, 0, 0), Color::BLACK);
        assert_eq!(
            Color::from_rgb(255, 255, 255),
            Color {
                y: 235,
                u: 128,
                v: 128
            }
        );
        assert_eq!(Color::from_rgb(255, 0, 0), Color { y: 81, u: 90, v: 240 });
    }
}
