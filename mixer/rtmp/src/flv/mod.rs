//! FLV tags (Adobe Flash Video File Format 10.1, annex E), and the codecs that Enhanced RTMP added to them.

mod aac;
pub mod annexb;
mod avc;
mod enhanced;
mod metadata;
mod packet;
mod reader;
pub mod sei;

pub use aac::{AudioConfig, UnsupportedAudio};
pub use avc::{AvcConfig, AvcConfigError};
pub(crate) use enhanced::OFFERED;
pub use enhanced::TagFormat;
pub use metadata::{AudioMetadata, Metadata};
pub use packet::{CodecName, Packet, PacketKind};
pub use reader::{FlvError, FlvReader};

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes that a tag adds around its body: header (E.4.1) and the back pointer (E.3).
pub const TAG_OVERHEAD: usize = 11 + 4;

/// What a tag carries (E.4.1); RTMP uses the same numbers as message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TagKind {
    /// 8
    Audio,
    /// 9
    Video,
    /// 18
    Script,
}

/// One audio frame, one picture or one script call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What the body is.
    pub kind: TagKind,
    /// Decoding time in milliseconds, wrapping at 32 bits.
    pub timestamp_ms: u32,
    /// The body, with the codec's own header.
    pub body: Bytes,
}

impl TagKind {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Script => 18,
        }
    }

    /// The kind of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Script),
            _ => None,
        }
    }
}

impl Tag {
    /// A tag with another time.
    #[must_use]
    pub fn at(&self, timestamp_ms: u32) -> Self {
        Self {
            kind: self.kind,
            timestamp_ms,
            body: self.body.clone(),
        }
    }

    /// Whether this is a sequence header: what a decoder needs before the first frame.
    #[must_use]
    pub fn is_sequence_header(&self) -> bool {
        Packet::of(self).is_some_and(|packet| packet.kind == PacketKind::SequenceStart)
    }

    /// Whether a decoder can start with this video frame.
    #[must_use]
    pub fn is_key_frame(&self) -> bool {
        Packet::of(self).is_some_and(|packet| packet.key)
    }

    /// Whether this is a picture or sound rather than a header or a script.
    #[must_use]
    pub fn is_frame(&self) -> bool {
        self.kind != TagKind::Script && !self.is_sequence_header()
    }

    /// Appends the tag with its back pointer as it stands in a file (E.3, E.4.1).
    ///
    /// # Panics
    /// Never for tags that came from RTMP or FLV: a body of 2^24 bytes or more does not fit the format.
    pub fn write_flv(&self, out: &mut BytesMut) {
        let length = u32::try_from(self.body.len())
            .ok()
            .filter(|length| *length < 1 << 24);
        let length = length.expect("a tag body is shorter than 16 MiB");
        let [time_high, time @ ..] = self.timestamp_ms.to_be_bytes();
        out.reserve(TAG_OVERHEAD + self.body.len());
        out.put_u8(self.kind.number());
        out.put_uint(u64::from(length), 3);
        out.put_slice(&time);
        out.put_u8(time_high);
        out.put_uint(0, 3);
        out.put_slice(&self.body);
        out.put_u32(length + 11);
    }

    /// The tag as it stands in a file.
    #[must_use]
    pub fn to_flv(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.write_flv(&mut out);
        out.freeze()
    }
}

/// The file header (E.2) with the first back pointer.
#[must_use]
pub fn file_header(audio: bool, video: bool) -> [u8; 13] {
    let flags = u8::from(audio) << 2 | u8::from(video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::{Tag, TagKind};
    use bytes::Bytes;

    fn tag(kind: TagKind, body: &'static [u8]) -> Tag {
        Tag {
            kind,
            timestamp_ms: 0x0102_0304,
            body: Bytes::from_static(body),
        }
    }

    /// E.4.1: "TimestampExtended: Extension of the Timestamp field to form a SI32 value. This field represents the
    /// upper 8 bits".
    #[test]
    fn a_tag_is_laid_out_as_annex_e_says() {
        let bytes = tag(TagKind::Audio, b"\xaf\x01x").to_flv();
        assert_eq!(
            bytes[..],
            *b"\x08\x00\x00\x03\x02\x03\x04\x01\x00\x00\x00\xaf\x01x\x00\x00\x00\x0e"
        );
    }

    #[test]
    fn sequence_headers_and_key_frames_are_told_apart() {
        let header = tag(TagKind::Video, &[0x17, 0, 0, 0, 0]);
        let key = tag(TagKind::Video, &[0x17, 1, 0, 0, 0]);
        let inter = tag(TagKind::Video, &[0x27, 1, 0, 0, 0]);
        let audio_header = tag(TagKind::Audio, &[0xaf, 0, 0x11, 0x90]);
        let audio = tag(TagKind::Audio, &[0xaf, 1, 0]);
        assert!(header.is_sequence_header() && !header.is_key_frame() && !header.is_frame());
        assert!(!key.is_sequence_header() && key.is_key_frame() && key.is_frame());
        assert!(!inter.is_sequence_header() && !inter.is_key_frame() && inter.is_frame());
        assert!(audio_header.is_sequence_header() && !audio.is_sequence_header() && !audio.is_key_frame());
        assert!(
            !tag(TagKind::Video, &[0x17, 2, 0, 0, 0]).is_key_frame(),
            "the end of a sequence"
        );
        assert!(!tag(TagKind::Script, &[2]).is_frame());
        assert!(!tag(TagKind::Video, &[]).is_key_frame());
    }
}
