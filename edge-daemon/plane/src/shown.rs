//! The size at which a mixer shows a stream, and what that is worth.

use lianmai_feedback::FLOOR;

/// Bits that a pixel of H.264 is worth, in a thousand: 720p at 30 pictures a second looks good at 2.8 Mbit/s.
const MILLIBITS_PER_PIXEL: u64 = 100;
const PICTURES_PER_SECOND: u64 = 30;

/// What comes with the pictures: sound and retransmissions.
const BESIDE: u64 = 100_000;

/// A place in a mix. Zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl Shown {
    /// Whether the stream is not shown at all.
    #[must_use]
    pub const fn is_hidden(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Bits per second beyond which a publisher sends more than can be seen.
    #[must_use]
    pub fn worth(self) -> u64 {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let pictures = pixels.saturating_mul(MILLIBITS_PER_PIXEL * PICTURES_PER_SECOND) / 1_000;
        pictures.saturating_add(BESIDE).max(FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use lianmai_feedback::FLOOR;

    fn worth(width: u32, height: u32) -> u64 {
        Shown { width, height }.worth()
    }

    #[test]
    fn a_place_is_worth_its_pixels_and_the_sound() {
        assert_eq!(worth(1280, 720), 2_864_800);
        assert_eq!(worth(320, 180), 272_800);
    }

    #[test]
    fn what_is_not_shown_is_still_worth_the_floor_and_absurd_sizes_overflow_nothing() {
        assert_eq!(worth(0, 720), FLOOR);
        assert!(Shown { width: 0, height: 9 }.is_hidden());
        assert!(worth(u32::MAX, u32::MAX) > worth(1920, 1080));
    }
}
