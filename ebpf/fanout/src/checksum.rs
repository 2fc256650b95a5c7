//! The Internet checksum (RFC 1071): one's complement sums, kept as they come from memory until the end.
//!
//! RFC 1071 §2(B): the sum does not depend on byte order, but for a swap of the result. So words are added as this machine
//! reads them, and nothing is swapped: a folded sum lies in memory as the header wants it.

/// Adds up `bytes`; an odd last byte counts as if a zero followed.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> u16 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs = pairs.iter().map(|pair| u64::from(u16::from_ne_bytes(*pair)));
    let rest = rest.iter().map(|byte| u64::from(u16::from_ne_bytes([*byte, 0])));
    fold(pairs.chain(rest).sum())
}

/// A sum of 16- or 32-bit words as 16 bits.
#[inline(always)]
#[must_use]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// What goes into a header for this sum.
#[inline(always)]
#[must_use]
pub const fn complement(sum: u16) -> u16 {
    !sum
}

/// The same for UDP, where zero means that there is none (RFC 768, RFC 8200 §8.1).
#[inline(always)]
#[must_use]
pub const fn udp_complement(sum: u16) -> u16 {
    match !sum {
        0 => 0xffff,
        checksum => checksum,
    }
}

#[cfg(test)]
mod tests {
    use super::{complement, fold, of_bytes, udp_complement};

    /// RFC 1071 §3: the example, whose sum is ddf2.
    #[test]
    fn the_example_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(of_bytes(&bytes), u16::from_ne_bytes([0xdd, 0xf2]));
    }

    #[test]
    fn words_of_any_size_fold_to_the_same_sum() {
        let bytes: Vec<u8> = (0..240).collect();
        let (fours, _) = bytes.as_chunks::<4>();
        let sum: u64 = fours
            .iter()
            .map(|four| u64::from(u32::from_ne_bytes(*four)))
            .sum();
        assert_eq!(fold(sum), of_bytes(&bytes));
        assert_eq!(fold(u64::MAX), 0xffff);
    }

    #[test]
    fn an_odd_byte_is_followed_by_zero() {
        assert_eq!(of_bytes(&[1, 2, 3]), of_bytes(&[1, 2, 3, 0]));
    }

    #[test]
    fn udp_never_says_that_it_has_no_checksum() {
        assert_eq!((complement(0xffff), udp_complement(0xffff)), (0, 0xffff));
        assert_eq!(udp_complement(0x1234), complement(0x1234));
    }
}
