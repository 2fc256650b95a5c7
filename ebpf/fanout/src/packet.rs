//! The RTP header (RFC 3550 §5.1), every length checked.

use crate::extension::Extensions;
use crate::ids::{PayloadType, SequenceNumber, Ssrc};
use core::fmt;
use core::ops::Range;

/// The header without CSRCs and extensions.
pub const FIXED_HEADER_LEN: usize = 12;

const EXTENSION_HEADER_LEN: usize = 4;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The header says that it is longer than the packet.
    Truncated,
    /// Not version 2.
    Version,
    /// The padding length is zero, or more than there is.
    Padding,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the RTP header is longer than the packet",
            Self::Version => "not RTP version 2",
            Self::Padding => "the RTP padding is longer than the payload",
        })
    }
}

impl core::error::Error for Malformed {}

/// What the header says. It is in the clear, so this can be read before a packet is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Whether the payload ends in padding.
    pub has_padding: bool,
    /// The marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub sequence: SequenceNumber,
    /// Timestamp, in units of the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: Ssrc,
    /// Length of the whole header in bytes: CSRCs and extensions included, a multiple of four.
    pub len: usize,
    /// Where the extension header (RFC 3550 §5.3.1) starts, if there is one.
    extension_at: Option<usize>,
}

impl RtpHeader {
    /// Reads a header and checks that all of it is there.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((fixed, _)) = bytes.split_first_chunk::<FIXED_HEADER_LEN>() else {
            return Err(Malformed::Truncated);
        };
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let csrcs_end = FIXED_HEADER_LEN + usize::from(first & 0x0f) * 4;
        let extension_at = (first & 0x10 != 0).then_some(csrcs_end);
        let len = match extension_at {
            Some(at) => extension_end(bytes, at)?,
            None => csrcs_end,
        };
        if len > bytes.len() {
            return Err(Malformed::Truncated);
        }
        Ok(Self {
            has_padding: first & 0x20 != 0,
            marker: second & 0x80 != 0,
            payload_type: PayloadType(second & 0x7f),
            sequence: SequenceNumber(u16::from_be_bytes([s0, s1])),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([c0, c1, c2, c3])),
            len,
            extension_at,
        })
    }

    /// Where the elements of the header extension lie in the packet, without its four-byte header.
    #[must_use]
    pub fn extension_elements(&self) -> Option<Range<usize>> {
        self.extension_at.map(|at| at + EXTENSION_HEADER_LEN..self.len)
    }
}

/// Where a header extension that starts at `at` ends.
fn extension_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let Some(&[_, _, high, low]) = bytes.get(at..at + EXTENSION_HEADER_LEN) else {
        return Err(Malformed::Truncated);
    };
    Ok(at + EXTENSION_HEADER_LEN + usize::from(u16::from_be_bytes([high, low])) * 4)
}

/// A whole packet in the clear.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    /// What its header says.
    pub header: RtpHeader,
    payload_end: usize,
}

impl<'a> RtpPacket<'a> {
    /// Reads a packet in the clear: its last byte counts the padding.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = RtpHeader::parse(bytes)?;
        let padding = if header.has_padding {
            padding_len(bytes)?
        } else {
            0
        };
        let Some(payload_end) = bytes.len().checked_sub(padding).filter(|&end| end >= header.len) else {
            return Err(Malformed::Padding);
        };
        Ok(Self {
            bytes,
            header,
            payload_end,
        })
    }

    /// All of it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the payload lies, without padding.
    #[must_use]
    pub const fn payload_range(&self) -> Range<usize> {
        self.header.len..self.payload_end
    }

    /// The payload, without padding.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(self.payload_range()).unwrap_or_default()
    }

    /// Bytes of padding at the end, their count included.
    #[must_use]
    pub const fn padding(&self) -> usize {
        self.bytes.len().saturating_sub(self.payload_end)
    }

    /// The header extensions in their order (RFC 8285).
    #[must_use]
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions::of(self.bytes, &self.header)
    }

    /// The data of the first extension with this id.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions()
            .find(|extension| extension.id == id)
            .map(|extension| extension.data)
    }
}

/// RFC 3550 §5.1: the last octet counts how many octets to ignore, itself included.
fn padding_len(bytes: &[u8]) -> Result<usize, Malformed> {
    match bytes.last() {
        Some(&count) if count > 0 => Ok(usize::from(count)),
        _ => Err(Malformed::Padding),
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, RtpHeader, RtpPacket};
    use crate::ids::{PayloadType, SequenceNumber, Ssrc};

    /// Two CSRCs, a one-byte extension of one word, five bytes of payload, three of padding.
    fn full() -> Vec<u8> {
        let mut packet = vec![0xb2, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xca, 0xfe, 0xba, 0xbe];
        packet.extend([1; 8]);
        packet.extend([0xbe, 0xde, 0, 1, 0x31, 7, 8, 0]);
        packet.extend(b"hello");
        packet.extend([0, 0, 3]);
        packet
    }

    #[test]
    fn every_field_is_read() {
        let bytes = full();
        let packet = RtpPacket::parse(&bytes).expect("well formed");
        let header = packet.header;
        assert!(header.marker && header.has_padding);
        assert_eq!(header.payload_type, PayloadType(0x60));
        assert_eq!(header.sequence, SequenceNumber(0x1234));
        assert_eq!(header.timestamp, 9);
        assert_eq!(header.ssrc, Ssrc(0xcafe_babe));
        assert_eq!(header.len, 28);
        assert_eq!(header.extension_elements(), Some(24..28));
        assert_eq!((packet.payload(), packet.padding()), (b"hello".as_slice(), 3));
        assert_eq!(packet.extension(3), Some([7, 8].as_slice()));
        assert_eq!(packet.extension(4), None);
    }

    #[test]
    fn a_header_cut_anywhere_is_refused() {
        let bytes = full();
        for len in 0..28 {
            assert_eq!(
                RtpHeader::parse(&bytes[..len]),
                Err(Malformed::Truncated),
                "{len} bytes"
            );
        }
        for len in 28..=bytes.len() {
            assert!(RtpHeader::parse(&bytes[..len]).is_ok(), "{len} bytes");
        }
    }

    #[test]
    fn only_version_2_is_rtp() {
        for version in [0u8, 1, 3] {
            let mut bytes = full();
            bytes[0] = bytes[0] & 0x3f | version << 6;
            assert_eq!(RtpHeader::parse(&bytes), Err(Malformed::Version));
        }
    }

    #[test]
    fn padding_may_take_the_payload_but_not_the_header() {
        let mut bytes = full();
        let last = bytes.len() - 1;
        for (padding, left) in [
            (1, Ok(7)),
            (8, Ok(0)),
            (9, Err(Malformed::Padding)),
            (0, Err(Malformed::Padding)),
        ] {
            bytes[last] = padding;
            assert_eq!(
                RtpPacket::parse(&bytes).map(|packet| packet.payload().len()),
                left,
                "padding {padding}"
            );
        }
    }

    #[test]
    fn a_padded_packet_of_a_bare_header_is_refused() {
        let mut bytes = vec![0xa0, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(matches!(RtpPacket::parse(&bytes), Err(Malformed::Padding)));
        bytes[0] = 0x80;
        assert!(
            RtpPacket::parse(&bytes)
                .expect("empty payload")
                .payload()
                .is_empty()
        );
    }
}
