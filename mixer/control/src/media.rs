//! The messages of the media socket: a fixed header, then the packet as it was on the wire after decryption.
//!
//! ```text
//!  0      1..4       4..8 (big endian)   8..16 (big endian)            16..
//!  kind   reserved   host                arrival, ns, CLOCK_MONOTONIC  body
//! ```

use serde::{Deserialize, Serialize};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 16;

/// The longest message: a header and a packet of one Ethernet frame, with room for jumbo ones.
pub const MAX_LEN: usize = HEADER_LEN + 9_000;

/// What the daemon calls one host of one mixer; never reused while the mixer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub u32);

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One RTP packet (RFC 3550 §5.1), header extensions and padding as sent.
    Rtp,
    /// One compound RTCP packet of the sender, its sender reports (RFC 3550 §6.4.1) unchanged.
    Rtcp,
    /// The round trip to the host: eight bytes, nanoseconds, big endian.
    RoundTrip,
    /// One RTP packet that had been lost, as it was sent first; it came because it was asked for (RFC 4588).
    Repair,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What the body is.
    pub kind: Kind,
    /// Whose packet it is.
    pub host: HostId,
    /// When the edge received it: nanoseconds of `CLOCK_MONOTONIC`.
    pub arrival_ns: u64,
    /// The packet.
    pub body: &'a [u8],
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Shorter than a header.
    #[error("a media message of {0} bytes; a header alone has {HEADER_LEN}")]
    TooShort(usize),
    /// Not a kind of this version.
    #[error("a media message of the unknown kind {0}")]
    UnknownKind(u8),
}

impl<'a> Message<'a> {
    /// The header that goes before `body`.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[0] = match self.kind {
            Kind::Rtp => 0,
            Kind::Rtcp => 1,
            Kind::RoundTrip => 2,
            Kind::Repair => 3,
        };
        header[4..8].copy_from_slice(&self.host.0.to_be_bytes());
        header[8..16].copy_from_slice(&self.arrival_ns.to_be_bytes());
        header
    }

    /// Reads one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(MessageError::TooShort(bytes.len()));
        };
        let [kind, _, _, _, h0, h1, h2, h3, arrival @ ..] = *header;
        let kind = match kind {
            0 => Kind::Rtp,
            1 => Kind::Rtcp,
            2 => Kind::RoundTrip,
            3 => Kind::Repair,
            other => return Err(MessageError::UnknownKind(other)),
        };
        Ok(Self {
            kind,
            host: HostId(u32::from_be_bytes([h0, h1, h2, h3])),
            arrival_ns: u64::from_be_bytes(arrival),
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_LEN, HostId, Kind, Message, MessageError};

    #[test]
    fn a_message_survives_the_socket() {
        for kind in [Kind::Rtp, Kind::Rtcp, Kind::RoundTrip, Kind::Repair] {
            let message = Message {
                kind,
                host: HostId(9),
                arrival_ns: 1 << 40,
                body: b"packet",
            };
            let bytes = [message.header().as_slice(), message.body].concat();
            assert_eq!(Message::parse(&bytes), Ok(message));
        }
    }

    #[test]
    fn every_short_length_is_refused() {
        for len in 0..HEADER_LEN {
            assert_eq!(
                Message::parse(&[0; HEADER_LEN][..len]),
                Err(MessageError::TooShort(len))
            );
        }
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(
            Message::parse(&[4; HEADER_LEN]),
            Err(MessageError::UnknownKind(4))
        );
    }
}
