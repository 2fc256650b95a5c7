//! What an audio or video body is, told by its first bytes: the legacy header (Adobe FLV 10.1, E.4.2.1 and E.4.3.1) or the one
//! of Enhanced RTMP, which names its codec by FourCC (E-RTMP v2, "Enhanced Audio" and "Enhanced Video").

use super::{Tag, TagKind};

/// How a codec is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecName {
    /// By its four bits of old: 7 is AVC, 10 is AAC.
    Legacy(u8),
    /// By four characters.
    FourCc([u8; 4]),
}

impl CodecName {
    /// H.264 (E.4.3.1).
    pub const AVC: Self = Self::Legacy(7);
    /// AAC (E.4.2.1).
    pub const AAC: Self = Self::Legacy(10);
    /// AV1, which has no number.
    pub const AV1: Self = Self::FourCc(*b"av01");
    /// Opus, which has no number.
    pub const OPUS: Self = Self::FourCc(*b"Opus");
}

/// What a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// What a decoder needs before the first frame.
    SequenceStart,
    /// A picture or a piece of sound.
    Frame,
    /// Anything else: ends of sequences, colour descriptions, what is not known.
    Other,
}

/// The beginning of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The codec.
    pub codec: CodecName,
    /// What it is for.
    pub kind: PacketKind,
    /// Whether a picture needs none before it.
    pub key: bool,
    /// How many bytes the header has; what follows is the codec's.
    pub header: usize,
    /// How much later than decoded a picture is shown (E.4.3.2); not 0 in streams whose pictures are reordered.
    pub composition_ms: i32,
}

/// The first bit of a video body is the mark of the enhanced header.
const EX_VIDEO: u8 = 0x80;

/// As a sound format, this is the mark of the enhanced header.
const EX_AUDIO: u8 = 9;

/// Packet types that are the same for pictures and sound.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;
const MOD_EX: u8 = 7;

/// Modifiers that may stand before the packet's own type; there is one in the specification.
const MAX_MODIFIERS: usize = 4;

impl Packet {
    /// Reads the beginning of a body; `None` for scripts and for what is too short to be anything.
    #[must_use]
    pub fn of(tag: &Tag) -> Option<Self> {
        let (first, rest) = tag.body.split_first()?;
        match tag.kind {
            TagKind::Script => None,
            TagKind::Video if first & EX_VIDEO != 0 => {
                let key = first >> 4 & 7 == 1;
                // A command instead of a picture has no codec.
                let is_command = first >> 4 & 7 == 5;
                if is_command {
                    return None;
                }
                Self::enhanced(first & 0x0f, rest, key, 6)
            }
            TagKind::Audio if first >> 4 == EX_AUDIO => Self::enhanced(first & 0x0f, rest, false, 5),
            TagKind::Video => Some(Self::legacy_video(*first, rest)),
            TagKind::Audio => Some(Self::legacy_audio(*first, rest)),
        }
    }

    /// E.4.3.1: the high bits are the frame type, 1 for key; the low ones the codec. E.4.3.2: AVC has a packet type behind
    /// it, and the end of a sequence (2) is marked as key too.
    fn legacy_video(first: u8, rest: &[u8]) -> Self {
        let codec = first & 0x0f;
        let (kind, header) = match (codec, rest.first()) {
            (7, Some(0)) => (PacketKind::SequenceStart, 5),
            (7, Some(1)) => (PacketKind::Frame, 5),
            (7, _) => (PacketKind::Other, 5),
            _ => (PacketKind::Frame, 1),
        };
        Self {
            codec: CodecName::Legacy(codec),
            kind,
            key: first >> 4 == 1 && kind == PacketKind::Frame,
            header,
            composition_ms: match (kind, codec, rest) {
                (PacketKind::Frame, 7, [_, time @ ..]) => signed_24(time),
                _ => 0,
            },
        }
    }

    /// E.4.2.1: the high bits are the codec; AAC has a packet type behind them.
    fn legacy_audio(first: u8, rest: &[u8]) -> Self {
        let codec = first >> 4;
        let (kind, header) = match (codec, rest.first()) {
            (10, Some(0)) => (PacketKind::SequenceStart, 2),
            (10, _) => (PacketKind::Frame, 2),
            _ => (PacketKind::Frame, 1),
        };
        Self {
            codec: CodecName::Legacy(codec),
            kind,
            key: false,
            header,
            composition_ms: 0,
        }
    }

    /// `multitrack` is the packet type that says that several tracks follow.
    fn enhanced(mut packet_type: u8, mut rest: &[u8], key: bool, multitrack: u8) -> Option<Self> {
        let length = rest.len() + 1;
        for _ in 0..MAX_MODIFIERS {
            if packet_type != MOD_EX {
                break;
            }
            (packet_type, rest) = after_modifier(rest)?;
        }
        if packet_type == multitrack {
            let (types, tail) = rest.split_first()?;
            (packet_type, rest) = (types & 0x0f, tail);
        }
        let (four_cc, tail) = rest.split_first_chunk::<4>()?;
        let is_video = multitrack == 6;
        let kind = match packet_type {
            SEQUENCE_START => PacketKind::SequenceStart,
            CODED_FRAMES => PacketKind::Frame,
            CODED_FRAMES_X if is_video => PacketKind::Frame,
            _ => PacketKind::Other,
        };
        // These two have a composition time, and say so by this type.
        let has_time = is_video && packet_type == CODED_FRAMES && matches!(four_cc, b"avc1" | b"hvc1");
        Some(Self {
            codec: CodecName::FourCc(*four_cc),
            kind,
            key: key && kind == PacketKind::Frame,
            header: length - tail.len() + if has_time { 3 } else { 0 },
            composition_ms: if has_time { signed_24(tail) } else { 0 },
        })
    }
}

/// The number in the first three bytes; 0 if there are fewer.
fn signed_24(bytes: &[u8]) -> i32 {
    let Some([high, middle, low]) = bytes.first_chunk::<3>() else {
        return 0;
    };
    i32::from_be_bytes([*high, *middle, *low, 0]) >> 8
}

/// A modifier is its length less one in a byte, or 255 and the length less one in two more; its data; and a byte whose low
/// bits are the next packet type.
fn after_modifier(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (length, rest) = match rest {
        [0xff, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])) + 1, rest),
        [0xff, ..] | [] => return None,
        [length, rest @ ..] => (usize::from(*length) + 1, rest),
    };
    let (types, rest) = rest.get(length..)?.split_first()?;
    Some((types & 0x0f, rest))
}

#[cfg(test)]
mod tests {
    use super::{CodecName, Packet, PacketKind};
    use crate::flv::{Tag, TagKind};
    use bytes::Bytes;

    fn packet(kind: TagKind, body: &'static [u8]) -> Option<Packet> {
        Packet::of(&Tag {
            kind,
            timestamp_ms: 0,
            body: Bytes::from_static(body),
        })
    }

    fn read(kind: TagKind, body: &'static [u8]) -> (CodecName, PacketKind, bool, usize) {
        let packet = packet(kind, body).expect("a packet");
        (packet.codec, packet.kind, packet.key, packet.header)
    }

    #[test]
    fn every_shape_of_header_is_told() {
        let four = |name: &[u8; 4]| CodecName::FourCc(*name);
        use PacketKind::{Frame, Other, SequenceStart};
        for (kind, body, expected) in [
            (
                TagKind::Video,
                b"\x17\0\0\0\0x" as &[u8],
                (CodecName::Legacy(7), SequenceStart, false, 5),
            ),
            (
                TagKind::Video,
                b"\x17\x01\0\0\0x",
                (CodecName::Legacy(7), Frame, true, 5),
            ),
            (
                TagKind::Video,
                b"\x27\x01\0\0\0x",
                (CodecName::Legacy(7), Frame, false, 5),
            ),
            (
                TagKind::Video,
                b"\x17\x02\0\0\0",
                (CodecName::Legacy(7), Other, false, 5),
            ),
            (TagKind::Video, b"\x12x", (CodecName::Legacy(2), Frame, true, 1)),
            (
                TagKind::Audio,
                b"\xaf\0\x11\x90",
                (CodecName::Legacy(10), SequenceStart, false, 2),
            ),
            (
                TagKind::Audio,
                b"\xaf\x01x",
                (CodecName::Legacy(10), Frame, false, 2),
            ),
            (TagKind::Audio, b"\x2fx", (CodecName::Legacy(2), Frame, false, 1)),
            (
                TagKind::Video,
                b"\x90av01\x81",
                (four(b"av01"), SequenceStart, false, 5),
            ),
            (TagKind::Video, b"\x91av01x", (four(b"av01"), Frame, true, 5)),
            (TagKind::Video, b"\xa1av01x", (four(b"av01"), Frame, false, 5)),
            (
                TagKind::Video,
                b"\x91avc1\0\0\x05x",
                (four(b"avc1"), Frame, true, 8),
            ),
            (TagKind::Video, b"\xa3avc1x", (four(b"avc1"), Frame, false, 5)),
            (TagKind::Video, b"\x92av01", (four(b"av01"), Other, false, 5)),
            (TagKind::Video, b"\x94av01", (four(b"av01"), Other, false, 5)),
            (
                TagKind::Audio,
                b"\x90OpusOpusHead",
                (four(b"Opus"), SequenceStart, false, 5),
            ),
            (TagKind::Audio, b"\x91Opusx", (four(b"Opus"), Frame, false, 5)),
            (TagKind::Audio, b"\x93Opusx", (four(b"Opus"), Other, false, 5)),
            // One track of several (multitrack type 0), and a nanosecond offset before the type.
            (
                TagKind::Video,
                b"\x96\x01av01\0x",
                (four(b"av01"), Frame, true, 6),
            ),
            (
                TagKind::Video,
                b"\x97\x02nnn\x01av01x",
                (four(b"av01"), Frame, true, 10),
            ),
        ] {
            assert_eq!(read(kind, body), expected, "{kind:?} {body:02x?}");
        }
    }

    #[test]
    fn a_picture_says_how_much_later_than_decoded_it_is_shown() {
        for (body, expected) in [
            (b"\x27\x01\0\0\x42x" as &[u8], 66),
            (b"\x27\x01\xff\xff\xdfx", -33),
            (b"\x17\0\0\0\x42x", 0),
            (b"\x27\x01\0", 0),
            (b"\x91avc1\0\0\x42x", 66),
            (b"\xa3avc1x", 0),
            (b"\x91av01\0\0\x42", 0),
        ] {
            let packet = packet(TagKind::Video, body).expect("a packet");
            assert_eq!(packet.composition_ms, expected, "{body:02x?}");
        }
    }

    #[test]
    fn bodies_that_end_within_their_header_are_none_at_every_length() {
        for whole in [
            b"\x97\xff\0\x02nnn\x01av01" as &'static [u8],
            b"\x97\x02nnn\x07\x02nnn\x01av01",
            b"\x96\x01av01",
        ] {
            assert!(packet(TagKind::Video, whole).is_some(), "{whole:02x?}");
            for length in 0..whole.len() {
                assert_eq!(
                    packet(TagKind::Video, &whole[..length]),
                    None,
                    "{:02x?}",
                    &whole[..length]
                );
            }
        }
    }

    #[test]
    fn modifiers_without_end_are_none() {
        let body: &'static [u8] = &[
            0x97, 0, 0, 7, 0, 0, 7, 0, 0, 7, 0, 0, 7, 0, 0, 7, b'a', b'v', b'0', b'1', 0, 0,
        ];
        let packet = packet(TagKind::Video, body);
        assert!(
            packet.is_none_or(|packet| packet.kind == PacketKind::Other),
            "{packet:?}"
        );
    }

    #[test]
    fn a_command_in_place_of_a_picture_is_none() {
        assert_eq!(packet(TagKind::Video, b"\xd1\0"), None);
    }
}
