//! From FLV tags to what a [`crate::Muxer`] takes.

use crate::muxer::{Picture, Sound};
use crate::opus;
use crate::track::{Audio, AudioCodec, Avc, TrackError, Video};
use bytes::Bytes;
use lianmai_rtmp::flv::{CodecName, Packet, PacketKind};
use lianmai_rtmp::{Tag, TagKind, Unwrap};
use std::time::Duration;

/// ISO/IEC 14496-3 §4.5.1.1: what an AAC frame has, but for rare ones of 960.
const AAC_SAMPLES: u32 = 1024;

/// Codecs by their four bits (Adobe FLV 10.1, E.4.2.1 and E.4.3.1).
const AVC: u8 = 7;
const AAC: u8 = 10;

/// What a tag was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// There is another track, or one is coded otherwise from now on: a head that was made before does not hold.
    Tracks,
    /// A picture.
    Picture(Picture),
    /// Sound.
    Sound(Sound),
}

/// Reads a stream of tags. It begins at its first frame: that one has time zero.
#[derive(Debug, Default)]
pub struct Tags {
    video: Option<Video>,
    audio: Option<Audio>,
    unwrap: Unwrap,
    start: Option<i64>,
}

impl Tags {
    /// What the stream has, as far as it was announced.
    #[must_use]
    pub fn tracks(&self) -> (Option<Video>, Option<Audio>) {
        (self.video.clone(), self.audio.clone())
    }

    /// Whether pictures were announced.
    #[must_use]
    pub fn has_video(&self) -> bool {
        self.video.is_some()
    }

    /// What a tag is; `None` if it is nothing of pictures and sound, or of a track that was not announced.
    ///
    /// # Errors
    /// When a track is announced that does not fit into MP4.
    pub fn read(&mut self, tag: &Tag) -> Result<Option<Item>, TrackError> {
        let Some(packet) = Packet::of(tag) else {
            return Ok(None);
        };
        let data = tag.body.slice(packet.header.min(tag.body.len())..);
        match packet.kind {
            PacketKind::SequenceStart => self.announced(tag.kind, packet, &data),
            PacketKind::Frame => Ok(self.frame(tag, packet, data)),
            PacketKind::Other => Ok(None),
        }
    }

    fn announced(&mut self, kind: TagKind, packet: Packet, data: &[u8]) -> Result<Option<Item>, TrackError> {
        let changed = match kind {
            TagKind::Video => {
                let (avc, turns) = (video(packet.codec, data)?, 0);
                replace(&mut self.video, Video { avc, turns })
            }
            TagKind::Audio => replace(&mut self.audio, audio(packet.codec, data)?),
            TagKind::Script => false,
        };
        Ok(changed.then_some(Item::Tracks))
    }

    fn frame(&mut self, tag: &Tag, packet: Packet, data: Bytes) -> Option<Item> {
        let announced = match tag.kind {
            TagKind::Video => self.video.is_some(),
            TagKind::Audio => self.audio.is_some(),
            TagKind::Script => false,
        };
        if !announced || data.is_empty() {
            return None;
        }
        let time = self.time(tag.timestamp_ms);
        match tag.kind {
            TagKind::Video => Some(Item::Picture(Picture {
                time,
                offset_ms: composition_ms(tag, packet),
                key: packet.key,
                data,
            })),
            TagKind::Audio => Some(Item::Sound(Sound {
                time,
                samples: match self.audio.as_ref()?.codec {
                    AudioCodec::Aac(_) => AAC_SAMPLES,
                    AudioCodec::Opus { .. } => opus::packet_samples(&data)?,
                },
                data,
            })),
            TagKind::Script => None,
        }
    }

    /// What is earlier than the first frame is put beside it.
    fn time(&mut self, timestamp_ms: u32) -> Duration {
        let time = self.unwrap.extend(timestamp_ms);
        let start = *self.start.get_or_insert(time);
        Duration::from_millis(u64::try_from(time - start).unwrap_or(0))
    }
}

/// Whether this is news.
fn replace<T: PartialEq>(slot: &mut Option<T>, new: T) -> bool {
    let changed = slot.as_ref() != Some(&new);
    *slot = Some(new);
    changed
}

fn video(codec: CodecName, data: &[u8]) -> Result<Avc, TrackError> {
    match codec {
        CodecName::Legacy(AVC) => Avc::from_record(data),
        CodecName::FourCc(name) if &name == b"avc1" => Avc::from_record(data),
        other => Err(unknown(other, "video")),
    }
}

fn audio(codec: CodecName, data: &[u8]) -> Result<Audio, TrackError> {
    match codec {
        CodecName::Legacy(AAC) => Audio::aac(data),
        CodecName::FourCc(name) if &name == b"mp4a" => Audio::aac(data),
        CodecName::FourCc(name) if &name == b"Opus" => Audio::opus_by_head(data),
        other => Err(unknown(other, "audio")),
    }
}

fn unknown(codec: CodecName, kind: &str) -> TrackError {
    TrackError::Codec(match codec {
        CodecName::Legacy(number) => format!("{kind} codec {number} of FLV"),
        CodecName::FourCc(name) => String::from_utf8_lossy(&name).into_owned(),
    })
}

/// E.4.3: a signed number of 24 bits at the end of the header, where the header has one. Where it has none, its last bytes are
/// the codec's name.
fn composition_ms(tag: &Tag, packet: Packet) -> i32 {
    let has_time = match packet.codec {
        CodecName::Legacy(codec) => codec == AVC,
        // Its packet types `CodedFrames` and `CodedFramesX` differ by these three bytes.
        CodecName::FourCc(name) => {
            let end = packet.header.min(tag.body.len());
            &tag.body[end.saturating_sub(4)..end] != name.as_slice()
        }
    };
    let bytes = packet
        .header
        .checked_sub(3)
        .and_then(|at| tag.body.get(at..packet.header));
    match bytes {
        Some(&[high, middle, low]) if has_time => i32::from_be_bytes([high, middle, low, 0]) >> 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Tags};
    use bytes::Bytes;
    use lianmai_rtmp::{Tag, TagKind};
    use proptest::prelude::{any, prop, proptest};
    use std::time::Duration;

    fn video(body: &[u8]) -> Tag {
        Tag {
            kind: TagKind::Video,
            timestamp_ms: u32::MAX,
            body: Bytes::copy_from_slice(body),
        }
    }

    fn announced() -> Tags {
        let mut tags = Tags::default();
        let read = tags.read(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
        assert_eq!(read.expect("AAC"), Some(Item::Tracks));
        tags
    }

    #[test]
    fn a_track_that_is_announced_again_as_it_was_is_no_news() {
        let mut tags = announced();
        let again =
            |tags: &mut Tags, config: &[u8]| tags.read(&Tag::aac_sequence_header(9, config)).expect("AAC");
        assert_eq!(again(&mut tags, &[0x11, 0x90]), None);
        assert_eq!(again(&mut tags, &[0x12, 0x10]), Some(Item::Tracks));
    }

    #[test]
    fn times_count_from_the_first_frame_over_the_wrap_of_rtmp() {
        let mut tags = announced();
        let times: Vec<Duration> = [u32::MAX - 9, 11, 5]
            .into_iter()
            .filter_map(|time| tags.read(&Tag::aac_frame(time, b"x")).expect("known"))
            .map(|item| match item {
                Item::Sound(sound) => sound.time,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(times, [0, 21, 15].map(Duration::from_millis));
    }

    #[test]
    fn pictures_of_a_track_that_was_not_announced_are_nothing() {
        assert_eq!(
            announced().read(&Tag::avc_frame(0, true, b"x")).expect("fine"),
            None
        );
    }

    #[test]
    fn a_codec_that_mp4_does_not_get_is_named() {
        let error = Tags::default().read(&video(b"\x90av01\x81")).expect_err("AV1");
        assert!(error.to_string().contains("av01"), "{error}");
    }

    #[test]
    fn composition_times_are_signed_and_are_there_in_both_kinds_of_header() {
        let tag = |body: &[u8]| {
            let tag = video(body);
            let packet = lianmai_rtmp::flv::Packet::of(&tag).expect("a packet");
            super::composition_ms(&tag, packet)
        };
        assert_eq!(tag(b"\x27\x01\0\0\x28x"), 40);
        assert_eq!(tag(b"\x27\x01\xff\xff\xd8x"), -40);
        assert_eq!(tag(b"\xa1avc1\0\0\x28x"), 40);
        assert_eq!(tag(b"\xa3avc1x"), 0);
    }

    proptest! {
        #[test]
        fn no_tags_panic(bodies in prop::collection::vec((any::<bool>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..20)), 0..20)) {
            let mut tags = announced();
            for (is_video, timestamp_ms, body) in bodies {
                let kind = if is_video { TagKind::Video } else { TagKind::Audio };
                let _ = tags.read(&Tag { kind, timestamp_ms, body: body.into() });
            }
        }
    }
}
