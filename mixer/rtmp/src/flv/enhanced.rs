//! Bodies of Enhanced RTMP: codecs named by FourCC (E-RTMP v2, "Enhanced Audio" and "Enhanced Video").

use super::{CodecName, Packet, PacketKind, Tag, TagKind};
use crate::amf0::{self, Value};
use bytes::{BufMut, Bytes, BytesMut};

/// How codecs are named to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagFormat {
    /// As Flash did; every server takes that, and AV1 and Opus have no names in it.
    #[default]
    Legacy,
    /// By FourCC.
    Enhanced,
}

/// The FourCCs of what is sent in [`TagFormat::Enhanced`], as `connect` names them.
pub(crate) const OFFERED: [&str; 4] = ["avc1", "av01", "mp4a", "Opus"];

const AVC: [u8; 4] = *b"avc1";
const AAC: [u8; 4] = *b"mp4a";
const AV1: [u8; 4] = *b"av01";
const OPUS: [u8; 4] = *b"Opus";

/// Packet types.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
/// Without a composition time, which is then zero.
const CODED_FRAMES_X: u8 = 3;

impl Tag {
    /// The sequence header of an AV1 track: `record` is an `AV1CodecConfigurationRecord` (AV1 in ISOBMFF §2.3.3).
    #[must_use]
    pub fn av1_sequence_header(timestamp_ms: u32, record: &[u8]) -> Self {
        video(timestamp_ms, true, SEQUENCE_START, AV1, record)
    }

    /// One temporal unit of AV1: OBUs with their sizes, without temporal delimiters.
    #[must_use]
    pub fn av1_frame(timestamp_ms: u32, key: bool, obus: &[u8]) -> Self {
        video(timestamp_ms, key, CODED_FRAMES, AV1, obus)
    }

    /// The sequence header of an Opus track of one or two channels (RFC 7845 §5.1); `pre_skip` is what the encoder looks ahead, in
    /// samples of 48 kHz.
    #[must_use]
    pub fn opus_sequence_header(timestamp_ms: u32, channels: u8, pre_skip: u16) -> Self {
        let mut head = BytesMut::with_capacity(19);
        head.put_slice(b"OpusHead");
        // Version 1, then pre-skip, the rate before encoding, gain and mapping family zero.
        head.put_slice(&[1, channels]);
        head.put_u16_le(pre_skip);
        head.put_u32_le(48_000);
        head.put_slice(&[0; 3]);
        audio(timestamp_ms, SEQUENCE_START, OPUS, &head)
    }

    /// One Opus packet (RFC 6716 §3).
    #[must_use]
    pub fn opus_frame(timestamp_ms: u32, packet: &[u8]) -> Self {
        audio(timestamp_ms, CODED_FRAMES, OPUS, packet)
    }

    /// The same AVC picture, AAC sound or metadata with its codec named by FourCC; what has no legacy name stays as it is.
    #[must_use]
    pub fn enhanced(&self) -> Self {
        if self.kind == TagKind::Script {
            return self.with_four_ccs_in_metadata();
        }
        let Some(packet) = Packet::of(self) else {
            return self.clone();
        };
        let data = self.body.get(packet.header..).unwrap_or_default();
        match (self.kind, packet.codec, packet.kind) {
            (TagKind::Video, CodecName::Legacy(7), PacketKind::SequenceStart) => {
                video(self.timestamp_ms, true, SEQUENCE_START, AVC, data)
            }
            (TagKind::Video, CodecName::Legacy(7), PacketKind::Frame) => self.avc_frame_by_four_cc(packet),
            // Of the others only the end of a sequence has a use.
            (TagKind::Video, CodecName::Legacy(7), PacketKind::Other) => {
                video(self.timestamp_ms, true, SEQUENCE_END, AVC, &[])
            }
            (TagKind::Audio, CodecName::Legacy(10), PacketKind::SequenceStart) => {
                audio(self.timestamp_ms, SEQUENCE_START, AAC, data)
            }
            (TagKind::Audio, CodecName::Legacy(10), PacketKind::Frame) => {
                audio(self.timestamp_ms, CODED_FRAMES, AAC, data)
            }
            _ => self.clone(),
        }
    }

    /// The composition time, where it is not zero, stands in front of the data in both.
    fn avc_frame_by_four_cc(&self, packet: Packet) -> Self {
        let at_once = self.body.get(2..5) == Some(&[0; 3]);
        let (packet_type, from) = if at_once {
            (CODED_FRAMES_X, 5)
        } else {
            (CODED_FRAMES, 2)
        };
        let data = self.body.get(from..).unwrap_or_default();
        video(self.timestamp_ms, packet.key, packet_type, AVC, data)
    }

    /// "Enhancing onMetaData": a codec id may be a FourCC, as a number.
    fn with_four_ccs_in_metadata(&self) -> Self {
        let Ok(mut values) = amf0::decode(&self.body) else {
            return self.clone();
        };
        let properties = values.iter_mut().filter_map(|value| match value {
            Value::EcmaArray(properties) | Value::Object(properties) => Some(properties),
            _ => None,
        });
        for (name, value) in properties.flatten() {
            match (name.as_str(), &*value) {
                ("videocodecid", Value::Number(7.0)) => *value = four_cc_number(AVC),
                ("audiocodecid", Value::Number(10.0)) => *value = four_cc_number(AAC),
                _ => {}
            }
        }
        Self {
            body: amf0::encode(&values).freeze(),
            ..self.clone()
        }
    }
}

fn four_cc_number(four_cc: [u8; 4]) -> Value {
    Value::Number(f64::from(u32::from_be_bytes(four_cc)))
}

fn video(timestamp_ms: u32, key: bool, packet_type: u8, four_cc: [u8; 4], data: &[u8]) -> Tag {
    let frame_type = if key { 1 } else { 2 };
    Tag {
        kind: TagKind::Video,
        timestamp_ms,
        body: body(0x80 | frame_type << 4 | packet_type, four_cc, data),
    }
}

fn audio(timestamp_ms: u32, packet_type: u8, four_cc: [u8; 4], data: &[u8]) -> Tag {
    Tag {
        kind: TagKind::Audio,
        timestamp_ms,
        body: body(0x90 | packet_type, four_cc, data),
    }
}

fn body(first: u8, four_cc: [u8; 4], data: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(5 + data.len());
    body.put_u8(first);
    body.put_slice(&four_cc);
    body.put_slice(data);
    body.freeze()
}

#[cfg(test)]
mod tests {
    use crate::amf0::{self, Value};
    use crate::flv::{AudioMetadata, CodecName, Metadata, Tag};
    use bytes::Bytes;

    #[test]
    fn av1_and_opus_are_laid_out_as_the_specification_says() {
        assert_eq!(
            Tag::av1_sequence_header(0, b"\x81\0").body[..],
            *b"\x90av01\x81\0"
        );
        assert_eq!(Tag::av1_frame(0, true, b"x").body[..], *b"\x91av01x");
        assert_eq!(Tag::av1_frame(0, false, b"x").body[..], *b"\xa1av01x");
        assert_eq!(
            Tag::opus_sequence_header(0, 2, 312).body[..],
            *b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0"
        );
        assert_eq!(Tag::opus_frame(0, b"x").body[..], *b"\x91Opusx");
    }

    #[test]
    fn headers_and_key_frames_are_told_apart_whatever_their_names() {
        let header = Tag::av1_sequence_header(0, b"\x81");
        assert!(header.is_sequence_header() && !header.is_key_frame() && !header.is_frame());
        let key = Tag::av1_frame(0, true, b"x");
        assert!(key.is_key_frame() && key.is_frame() && !key.is_sequence_header());
        assert!(!Tag::av1_frame(0, false, b"x").is_key_frame());
        let header = Tag::opus_sequence_header(0, 2, 312);
        assert!(header.is_sequence_header() && !header.is_frame());
        assert!(Tag::opus_frame(0, b"x").is_frame());
    }

    #[test]
    fn avc_and_aac_get_their_four_ccs_and_keep_everything_else() {
        assert_eq!(Tag::avc_frame(7, true, b"xy").enhanced().body[..], *b"\x93avc1xy");
        assert_eq!(
            Tag::avc_frame(7, false, b"xy").enhanced().body[..],
            *b"\xa3avc1xy"
        );
        assert_eq!(Tag::avc_frame(7, false, b"xy").enhanced().timestamp_ms, 7);
        let late = Tag {
            body: Bytes::from_static(b"\x27\x01\0\0\x28xy"),
            ..Tag::avc_frame(7, false, b"")
        };
        assert_eq!(late.enhanced().body[..], *b"\xa1avc1\0\0\x28xy");
        let header = Tag {
            body: Bytes::from_static(b"\x17\0\0\0\0record"),
            ..late
        };
        assert_eq!(header.enhanced().body[..], *b"\x90avc1record");
        assert_eq!(
            Tag::aac_sequence_header(0, &[0x11, 0x90]).enhanced().body[..],
            *b"\x90mp4a\x11\x90"
        );
        assert_eq!(Tag::aac_frame(0, b"x").enhanced().body[..], *b"\x91mp4ax");
    }

    #[test]
    fn metadata_name_the_four_ccs_as_numbers() {
        let metadata = Metadata {
            width: 2,
            height: 2,
            video_codec: CodecName::AVC,
            frame_rate: 1.0,
            video_bitrate: 1,
            title: String::new(),
            key_frame_seconds: 2,
            audio: Some(AudioMetadata {
                codec: CodecName::AAC,
                bitrate: 1,
                sample_rate: 48_000,
                channels: 2,
            }),
            encoder: String::new(),
        };
        let values = amf0::decode(&metadata.tag(3).enhanced().body).expect("AMF0");
        let id = |name| values[1].get(name).and_then(Value::as_number);
        assert_eq!(id("videocodecid"), Some(f64::from(u32::from_be_bytes(*b"avc1"))));
        assert_eq!(id("audiocodecid"), Some(f64::from(u32::from_be_bytes(*b"mp4a"))));
        assert_eq!(id("width"), Some(2.0));
    }

    #[test]
    fn what_has_no_legacy_name_stays_as_it_is() {
        for tag in [Tag::av1_frame(0, true, b"x"), Tag::opus_frame(0, b"x")] {
            assert_eq!(tag.enhanced(), tag);
        }
    }
}
