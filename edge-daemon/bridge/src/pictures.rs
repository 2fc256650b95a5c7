//! The co-host's pictures: passed on as they are, in the form that RTP packetisers take.

use crate::avcc::Record;
use crate::refusal::Refusal;
use lianmai_rtmp::flv::{CodecName, Packet, PacketKind};
use lianmai_rtmp::{Tag, Unwrap};

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// When it is shown, on the stream's own clock.
    pub(crate) at_ms: i64,
    /// A byte stream of NAL units.
    pub(crate) annexb: Vec<u8>,
}

/// Takes video tags. No clock in here.
#[derive(Debug, Default)]
pub(crate) struct Pictures {
    record: Option<Record>,
    unwrap: Unwrap,
    latest_ms: Option<i64>,
    key_ms: Option<i64>,
    pub(crate) passed: u64,
    pub(crate) bad: u64,
    pub(crate) longest_gop_ms: i64,
}

impl Pictures {
    /// The picture of a tag, if it has one.
    ///
    /// # Errors
    /// When the stream cannot be passed on.
    pub(crate) fn push(&mut self, tag: &Tag) -> Result<Option<Picture>, Refusal> {
        let Some(packet) = Packet::of(tag) else {
            return Ok(None);
        };
        if !matches!(
            packet.codec,
            CodecName::Legacy(7) | CodecName::FourCc([b'a', b'v', b'c', b'1'])
        ) {
            return Err(Refusal::VideoCodec(packet.codec));
        }
        let body = tag.body.slice(packet.header.min(tag.body.len())..);
        match packet.kind {
            PacketKind::SequenceStart => {
                self.record = Some(Record::parse(&body)?);
                Ok(None)
            }
            PacketKind::Frame => self.frame(tag.timestamp_ms, packet, &body),
            PacketKind::Other => Ok(None),
        }
    }

    fn frame(&mut self, timestamp_ms: u32, packet: Packet, body: &[u8]) -> Result<Option<Picture>, Refusal> {
        let decoded_ms = self.unwrap.extend(timestamp_ms);
        let at_ms = decoded_ms.saturating_add(i64::from(packet.composition_ms));
        if self.latest_ms.is_some_and(|latest| at_ms < latest) {
            return Err(Refusal::Reordered);
        }
        self.latest_ms = Some(at_ms);
        let record = self.record.as_ref();
        let Some(annexb) = record.and_then(|record| record.annexb(packet.key, body)) else {
            self.bad += 1;
            return Ok(None);
        };
        self.watch_keys(at_ms, packet.key);
        self.passed += 1;
        Ok(Some(Picture { at_ms, annexb }))
    }

    fn watch_keys(&mut self, at_ms: i64, key: bool) {
        let since = at_ms - *self.key_ms.get_or_insert(at_ms);
        self.longest_gop_ms = self.longest_gop_ms.max(since);
        if key {
            self.key_ms = Some(at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pictures;
    use crate::refusal::Refusal;
    use bytes::Bytes;
    use lianmai_rtmp::flv::AvcConfig;
    use lianmai_rtmp::{Tag, TagKind};
    use proptest::prelude::{any, proptest};
    use proptest::{collection, prop_assert};

    const UNIT: &[u8] = b"\0\0\0\x02\x41p";

    fn pictures() -> Pictures {
        let mut pictures = Pictures::default();
        let config = AvcConfig {
            sps: Bytes::from_static(&[0x67, 0x42, 0xc0, 0x1e]),
            pps: Bytes::from_static(&[0x68, 0xce, 0x3c]),
        };
        let header = Tag::avc_sequence_header(0, &config).expect("parameter sets");
        assert_eq!(pictures.push(&header), Ok(None));
        pictures
    }

    fn tag(at_ms: u32, composition_ms: u8) -> Tag {
        let body = [&[0x27, 1, 0, 0, composition_ms], UNIT].concat().into();
        Tag {
            body,
            ..Tag::avc_frame(at_ms, false, b"")
        }
    }

    #[test]
    fn a_picture_is_shown_when_its_composition_time_says() {
        let mut pictures = pictures();
        let shown = [tag(0, 66), tag(33, 66), tag(66, 66)].map(|tag| {
            let picture = pictures.push(&tag).expect("in order");
            picture.expect("a picture").at_ms
        });
        assert_eq!(shown, [66, 99, 132], "a constant delay is no reordering");
    }

    /// As x264 sends I P B with two B-frames.
    #[test]
    fn a_picture_that_is_shown_before_an_earlier_one_ends_the_stream() {
        let mut pictures = pictures();
        assert!(pictures.push(&tag(0, 66)).is_ok() && pictures.push(&tag(33, 133)).is_ok());
        assert_eq!(pictures.push(&tag(66, 33)), Err(Refusal::Reordered));
    }

    #[test]
    fn codecs_that_browsers_need_not_know_end_the_stream() {
        for body in [&b"\x90hvc1\x01"[..], b"\x90av01\x81", b"\x12sorenson"] {
            let tag = Tag {
                body: Bytes::copy_from_slice(body),
                ..tag(0, 0)
            };
            assert!(matches!(
                Pictures::default().push(&tag),
                Err(Refusal::VideoCodec(_))
            ));
        }
    }

    #[test]
    fn a_picture_that_makes_no_sense_is_counted_and_left_out() {
        let mut pictures = pictures();
        let cut = Tag::avc_frame(0, false, &UNIT[..5]);
        assert_eq!(pictures.push(&cut), Ok(None));
        assert_eq!((pictures.bad, pictures.passed), (1, 0));
        let mut headless = Pictures::default();
        assert_eq!(headless.push(&tag(0, 0)), Ok(None));
        assert_eq!(headless.bad, 1);
    }

    #[test]
    fn the_longest_time_without_a_key_frame_is_known() {
        let mut pictures = pictures();
        for (at, key) in [
            (0, true),
            (2000, true),
            (4500, false),
            (5000, true),
            (5040, false),
        ] {
            assert!(pictures.push(&Tag::avc_frame(at, key, UNIT)).is_ok());
        }
        assert_eq!(pictures.longest_gop_ms, 3000);
    }

    proptest! {
        #[test]
        fn any_tags_are_passed_on_or_not(bodies in collection::vec(collection::vec(any::<u8>(), 0..40), 0..20)) {
            let mut pictures = pictures();
            for body in bodies {
                let tag = Tag { kind: TagKind::Video, timestamp_ms: 0, body: body.into() };
                if let Ok(Some(picture)) = pictures.push(&tag) {
                    prop_assert!(picture.annexb.is_empty() || picture.annexb.starts_with(&[0, 0, 0, 1]));
                }
            }
        }
    }
}
