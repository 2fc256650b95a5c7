//! Sequence numbers without their wraps.

/// Extends 16-bit numbers by serial number arithmetic (RFC 1982) from the newest one seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unwrapper {
    newest: Option<i64>,
}

impl Unwrapper {
    /// The extended form of `value`: at most 2^15 away from the newest, which it becomes when it is ahead.
    pub(crate) fn unwrap(&mut self, value: u16) -> i64 {
        let extended = self.peek(value);
        self.newest = Some(self.newest.map_or(extended, |newest| newest.max(extended)));
        extended
    }

    /// As `unwrap`, but without moving.
    pub(crate) fn peek(&self, value: u16) -> i64 {
        let Some(newest) = self.newest else {
            return i64::from(value);
        };
        newest + i64::from(value.wrapping_sub(low_bits(newest)).cast_signed())
    }
}

/// The 16 bits that go on the wire.
pub(crate) const fn low_bits(extended: i64) -> u16 {
    (extended & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::{Unwrapper, low_bits};

    #[test]
    fn a_wrap_goes_on_upwards_and_an_old_number_stays_below() {
        let mut numbers = Unwrapper::default();
        assert_eq!(numbers.unwrap(65_534), 65_534);
        assert_eq!(numbers.unwrap(1), 65_537);
        assert_eq!(numbers.unwrap(65_535), 65_535);
        assert_eq!(numbers.unwrap(2), 65_538);
        assert_eq!(low_bits(65_538), 2);
    }

    #[test]
    fn a_number_from_before_the_first_is_negative_not_a_panic() {
        let mut numbers = Unwrapper::default();
        numbers.unwrap(3);
        assert_eq!(numbers.peek(65_535), -1);
        assert_eq!(low_bits(-1), 65_535);
    }
}
