//! Which protocol a datagram of the one media port speaks (RFC 7983, RFC 5761).

/// What a datagram is, told by its first bytes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// First byte 0 to 3.
    Stun,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 128 to 191, and the second is not an RTCP packet type.
    Rtp,
    /// First byte 128 to 191, and the second is an RTCP packet type.
    Rtcp,
    /// ZRTP, TURN channels, nothing at all: not served here.
    Other,
}

/// Classifies a datagram.
#[must_use]
pub fn classify(datagram: &[u8]) -> Protocol {
    let Some(first) = datagram.first() else {
        return Protocol::Other;
    };
    // RFC 7983 §7.
    match first {
        0..=3 => Protocol::Stun,
        20..=63 => Protocol::Dtls,
        128..=191 => rtp_or_rtcp(datagram),
        4..=19 | 64..=127 | 192..=255 => Protocol::Other,
    }
}

/// RFC 5761 §4: packet types 192 to 223 are RTCP, so RTP payload types 64 to 95 are never negotiated.
fn rtp_or_rtcp(datagram: &[u8]) -> Protocol {
    match datagram.get(1) {
        Some(192..=223) => Protocol::Rtcp,
        Some(_) => Protocol::Rtp,
        None => Protocol::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, classify};

    /// RFC 7983 §7, figure 3.
    #[test]
    fn every_first_byte_has_its_protocol() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Protocol::Stun,
                20..=63 => Protocol::Dtls,
                128..=191 => Protocol::Rtp,
                _ => Protocol::Other,
            };
            assert_eq!(classify(&[first, 96]), expected, "first byte {first}");
        }
    }

    /// RFC 5761 §4: "RTP payload types in the range 64-95" collide with RTCP packet types, the marker bit set or not.
    #[test]
    fn every_second_byte_is_rtp_or_rtcp() {
        for second in 0..=255u8 {
            let expected = if (192..=223).contains(&second) {
                Protocol::Rtcp
            } else {
                Protocol::Rtp
            };
            assert_eq!(classify(&[0x80, second]), expected, "second byte {second}");
        }
    }

    #[test]
    fn too_little_to_tell_is_other() {
        assert_eq!(classify(&[]), Protocol::Other);
        assert_eq!(classify(&[0x80]), Protocol::Other);
    }
}
