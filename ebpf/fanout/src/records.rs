//! What the daemon and the kernel programs tell each other: the layout of every map's records.
//!
//! All records are plain words without padding, so that both sides see the same bytes. A record that changes its
//! meaning or its place changes [`ABI`], which is part of the path where maps are pinned: programs and daemons of
//! different versions never share a map.
//!
//! Packet indices are those of RFC 3711 §3.3.1: 48 bits, the rollover counter above the sequence number.

use crate::ids::PayloadType;
use crate::rewrite::ExtensionMap;

/// The version of everything in this file.
pub const ABI: u32 = 2;

/// Streams at most, one for each SSRC of each publisher.
pub const MAX_STREAMS: u32 = 4_096;

/// Legs of one stream at most; a stream with more is forwarded by the daemon.
pub const MAX_LEGS: u32 = 15;

/// Leg records of one stream: two blocks, so that one can be written while the other is in use.
pub const LEG_BLOCK: u32 = 16;

/// Leg records in all.
pub const LEG_RECORDS: u32 = MAX_STREAMS * LEG_BLOCK * 2;

/// Peers at most, one for each subscriber's 5-tuple.
pub const MAX_PEERS: u32 = 16_384;

/// Rings of pads at most: one for each stream and leg.
pub const MAX_PAD_RINGS: u32 = 32_768;

/// Hash tables at most: one for each key of each direction.
pub const MAX_TABLES: u32 = 16_384;

/// The longest RTP header that the programs touch: CSRCs and extensions included, in bytes.
pub const MAX_HEADER: usize = 96;

/// The longest payload that a pad covers, in bytes: 77 blocks of AES.
pub const MAX_PAYLOAD: usize = 1_232;

/// The tag of AEAD_AES_128_GCM (RFC 7714 §14.2).
pub const TAG: usize = 16;

/// Set in [`Token::state`] and [`Pad::state`] once the index is used up; what is claimed never becomes free again.
pub const CLAIMED: u64 = 1 << 63;

/// Set in [`Token::state`] and [`Pad::state`] while the daemon writes the rest of the record.
pub const UNREADY: u64 = 1 << 62;

/// Whose stream a packet is: the key of the map of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct StreamKey {
    /// The sender's address as IPv6, an IPv4 address mapped into it (RFC 4291 §2.5.5.2).
    pub address: [u8; 16],
    /// Its SSRC, as on the wire.
    pub ssrc: [u8; 4],
    /// Its UDP port, as on the wire.
    pub port: [u8; 2],
    /// Zero.
    pub reserved: [u8; 2],
}

/// One stream, at its number in the array of streams. The daemon writes words of it while packets arrive, so each word is
/// meaningful alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Stream {
    /// Nanoseconds of `CLOCK_MONOTONIC` after which the stream is no longer forwarded here; the daemon renews it.
    pub expires: u64,
    /// The first packet index that some leg has no pad for.
    pub ready_until: u64,
    /// [`Fan`] as one word.
    pub fan: u64,
    /// Which ring of tokens ...
    pub tokens: u32,
    /// ... and its length less one; a power of two less one.
    pub token_mask: u32,
    /// The hash table of the publisher's key.
    pub table: u32,
    /// Zero.
    pub reserved: u32,
    /// Packets that were verified and claimed here, written by the kernel.
    pub packets: u64,
    /// Their bytes, from the RTP header to the tag.
    pub bytes: u64,
}

/// To which legs a stream goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fan {
    /// The first of its leg records.
    pub first: u32,
    /// How many.
    pub legs: u32,
}

impl Fan {
    /// As [`Stream::fan`].
    #[must_use]
    pub const fn to_word(self) -> u64 {
        (self.first as u64) << 32 | self.legs as u64
    }

    /// From [`Stream::fan`].
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self {
            first: (word >> 32) as u32,
            legs: word as u32,
        }
    }
}

/// Permission to take the packet with one index: in the ring of its stream at the index modulo the length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Token {
    /// The packet index, with [`CLAIMED`] or [`UNREADY`].
    pub state: u64,
    /// E(K, Y0) of RFC 7714 §8.1, what the hash is masked with to be the tag; words as in memory.
    pub mask: [u64; 2],
    /// Zero.
    pub reserved: u64,
}

/// Permission to seal the packet with one index for one leg, and what that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Pad {
    /// The publisher's packet index, with [`CLAIMED`] or [`UNREADY`].
    pub state: u64,
    /// When the kernel sealed it, in nanoseconds of `CLOCK_MONOTONIC`; zero before.
    pub sealed_at: u64,
    /// What the tag of the leg is masked with; words as in memory.
    pub mask: [u64; 2],
    /// Bytes of `stream` that are filled in.
    pub len: u32,
    /// What the kernel sealed: [`Sealed`] as one word.
    pub sealed: u32,
    /// Zero.
    pub reserved: u64,
    /// The publisher's key stream XOR that of the leg; words as in memory.
    pub stream: crate::seal::PadStream,
}

/// What the kernel sent to a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Its transport-wide sequence number, if it carries one.
    pub transport_sequence: u16,
    /// Bytes from the RTP header to the tag.
    pub len: u16,
}

impl Sealed {
    /// As [`Pad::sealed`].
    #[must_use]
    pub const fn to_word(self) -> u32 {
        (self.transport_sequence as u32) << 16 | self.len as u32
    }

    /// From [`Pad::sealed`].
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self {
            transport_sequence: (word >> 16) as u16,
            len: word as u16,
        }
    }
}

/// Room for the Ethernet, IPv6 and UDP headers of a leg.
pub const MAX_FRAME_HEADER: usize = 64;

/// One leg of one stream. Written before it is pointed at, and never while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Leg {
    /// Which ring of pads ...
    pub pads: u32,
    /// ... and its length less one.
    pub pad_mask: u32,
    /// The hash table of the leg's key.
    pub table: u32,
    /// Whose transport-wide sequence numbers it takes.
    pub peer: u32,
    /// Its payload type.
    pub payload_type: PayloadType,
    /// 4 or 6.
    pub ip_version: u8,
    /// Length of the Ethernet, IP and UDP headers: 42 or 62.
    pub frame_header_len: u16,
    /// The one's complement sum of the IPv4 header (with zero in its length, identification and checksum) in the upper
    /// half, and of the UDP pseudo-header and ports in the lower one; lengths are not in either.
    pub sums: [u16; 2],
    /// Its extension ids.
    pub extensions: ExtensionMap,
    /// Zero.
    pub reserved: [u8; 7],
    /// The headers, all but lengths and checksums.
    pub frame_header: [u8; MAX_FRAME_HEADER],
}

/// One subscriber's 5-tuple.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Peer {
    /// The next transport-wide sequence number in the low 16 bits; kernel and daemon both count it up.
    pub transport_sequence: u64,
}

/// What stands before a packet in the ring buffer: a verified packet, still sealed, on its way to the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Copy {
    /// When it arrived, in nanoseconds of `CLOCK_MONOTONIC`.
    pub arrival: u64,
    /// Its packet index.
    pub index: u64,
    /// The fan that it went to, as one word.
    pub fan: u64,
    /// Which stream.
    pub stream: u32,
    /// Length of the RTP header, which has [`MAX_HEADER`] bytes of room after this record.
    pub header_len: u16,
    /// Length of the payload, which follows that room, without the tag.
    pub payload_len: u16,
}

/// What ingress tells egress, in the frame's metadata: copies of a frame have it too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Meta {
    /// The packet index.
    pub index: u64,
    /// Another for every packet of one CPU: copies with the same one are the legs of one packet, in order.
    pub cookie: u32,
    /// The first leg record.
    pub first_leg: u32,
    /// Where the RTP header starts in the frame.
    pub rtp_at: u16,
    /// Length of the RTP header.
    pub header_len: u16,
    /// Length of the payload without the tag.
    pub payload_len: u16,
    /// How many legs.
    pub legs: u16,
}

/// What became of a packet that a program saw. Each has a counter for each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Outcome {
    /// Ingress: not for the media port.
    NotOurs,
    /// Ingress: a fragment, an IP option or extension header, a VLAN tag; the daemon's socket gets it.
    Unusual,
    /// Ingress: STUN, DTLS or RTCP for the daemon.
    Control,
    /// Ingress: RTP of no stream in the map; the daemon looks at it.
    UnknownStream,
    /// Ingress: the stream's record has expired; the daemon looks at it, if there is one.
    Expired,
    /// Ingress: a header or payload longer than the programs take, or an empty one; the daemon forwards it.
    Oversized,
    /// Ingress: no token or no pad for its index; the daemon forwards it.
    NoPad,
    /// Ingress: the tag is wrong. Dropped.
    Forged,
    /// Ingress: the index was taken before. Dropped.
    Replayed,
    /// Ingress: verified and claimed.
    Accepted,
    /// Ingress: the ring buffer was full, so the daemon misses a copy.
    CopyLost,
    /// Ingress: the frame has no room for metadata. Dropped after it was claimed; the daemon forwards its copy.
    NoHeadroom,
    /// Egress: sealed and sent.
    Sealed,
    /// Egress: the pad is not there or was claimed by the daemon. Dropped; the daemon forwards its copy.
    PadTaken,
    /// Egress: no metadata, a record that does not fit, or a frame that cannot be changed. Dropped.
    Refused,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::NotOurs,
        Self::Unusual,
        Self::Control,
        Self::UnknownStream,
        Self::Expired,
        Self::Oversized,
        Self::NoPad,
        Self::Forged,
        Self::Replayed,
        Self::Accepted,
        Self::CopyLost,
        Self::NoHeadroom,
        Self::Sealed,
        Self::PadTaken,
        Self::Refused,
    ];

    /// As metrics have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Unusual => "unusual",
            Self::Control => "control",
            Self::UnknownStream => "unknown_stream",
            Self::Expired => "expired",
            Self::Oversized => "oversized",
            Self::NoPad => "no_pad",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Accepted => "accepted",
            Self::CopyLost => "copy_lost",
            Self::NoHeadroom => "no_headroom",
            Self::Sealed => "sealed",
            Self::PadTaken => "pad_taken",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Copy, Fan, Leg, MAX_HEADER, MAX_PAYLOAD, Meta, Outcome, Pad, Peer, Sealed, Stream, StreamKey, Token,
    };

    #[test]
    fn records_have_the_sizes_that_the_maps_are_made_with() {
        assert_eq!(size_of::<StreamKey>(), 24);
        assert_eq!(size_of::<Stream>(), 56);
        assert_eq!(size_of::<Token>(), 32);
        assert_eq!(size_of::<Pad>(), 1_280);
        assert_eq!(size_of::<Leg>(), 112);
        assert_eq!(size_of::<Peer>(), 8);
        assert_eq!(size_of::<Copy>(), 32);
        assert_eq!(
            size_of::<Meta>(),
            24,
            "metadata is a multiple of four and at most 32 bytes"
        );
    }

    #[test]
    fn payloads_and_headers_are_whole_blocks() {
        assert_eq!((MAX_PAYLOAD % 16, MAX_HEADER % 16), (0, 0));
    }

    #[test]
    fn outcomes_are_numbered_in_their_order() {
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, number);
        }
    }

    #[test]
    fn words_hold_what_was_put_into_them() {
        let fan = Fan {
            first: 0xdead_beef,
            legs: 15,
        };
        assert_eq!(Fan::from_word(fan.to_word()), fan);
        let sealed = Sealed {
            transport_sequence: 0xfffe,
            len: 1_316,
        };
        assert_eq!(Sealed::from_word(sealed.to_word()), sealed);
    }
}
