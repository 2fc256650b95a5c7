//! `onMetaData` (E.5).

use super::{CodecName, Tag, TagKind};
use crate::amf0::{self, Value};

/// What a stream says about itself. AVC and AAC go by their numbers; [`Tag::enhanced`] names them by FourCC.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// What it is called.
    pub title: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What its pictures are coded with.
    pub video_codec: CodecName,
    /// Frames per second.
    pub frame_rate: f64,
    /// Bits per second.
    pub video_bitrate: u32,
    /// Between two key frames, at the most.
    pub key_frame_seconds: u32,
    /// Its sound, if it has any.
    pub audio: Option<AudioMetadata>,
    /// Who made it.
    pub encoder: String,
}

/// What a stream says about its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioMetadata {
    /// What it is coded with.
    pub codec: CodecName,
    /// Bits per second.
    pub bitrate: u32,
    /// Hertz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

impl Metadata {
    /// The script tag.
    #[must_use]
    pub fn tag(&self, timestamp_ms: u32) -> Tag {
        let number = |value: u32| Value::Number(f64::from(value));
        // E.5 gives the rates in kilobits per second. A live stream has neither length nor size.
        let mut properties = vec![
            ("duration", number(0)),
            ("fileSize", number(0)),
            ("title", Value::string(&self.title)),
            ("hasVideo", Value::Boolean(true)),
            ("hasAudio", Value::Boolean(self.audio.is_some())),
            ("width", number(self.width)),
            ("height", number(self.height)),
            ("framerate", Value::Number(self.frame_rate)),
            ("videocodecid", codec_id(self.video_codec)),
            ("videodatarate", kilobits(self.video_bitrate)),
            ("videokeyframe_frequency", number(self.key_frame_seconds)),
        ];
        properties.extend(self.audio.iter().flat_map(AudioMetadata::properties));
        properties.push(("encoder", Value::string(&self.encoder)));
        let properties = properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let values = [Value::string("onMetaData"), Value::EcmaArray(properties)];
        Tag {
            kind: TagKind::Script,
            timestamp_ms,
            body: amf0::encode(&values).freeze(),
        }
    }
}

impl AudioMetadata {
    fn properties(&self) -> [(&'static str, Value); 6] {
        [
            ("audiocodecid", codec_id(self.codec)),
            ("audiodatarate", kilobits(self.bitrate)),
            ("audiosamplerate", Value::Number(f64::from(self.sample_rate))),
            ("audiosamplesize", Value::Number(16.0)),
            ("audiochannels", Value::Number(f64::from(self.channels))),
            ("stereo", Value::Boolean(self.channels == 2)),
        ]
    }
}

/// A number of old (E.4.2.1, E.4.3.1), or a FourCC as one (E-RTMP v2, "Enhancing onMetaData").
fn codec_id(codec: CodecName) -> Value {
    Value::Number(match codec {
        CodecName::Legacy(id) => f64::from(id),
        CodecName::FourCc(name) => f64::from(u32::from_be_bytes(name)),
    })
}

fn kilobits(bits: u32) -> Value {
    Value::Number(f64::from(bits) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::{AudioMetadata, Metadata};
    use crate::amf0::{self, Value};
    use crate::flv::CodecName;

    #[test]
    fn size_and_kilobits_are_what_players_expect() {
        let metadata = Metadata {
            width: 1280,
            height: 720,
            video_codec: CodecName::AVC,
            frame_rate: 30.0,
            video_bitrate: 2_500_000,
            title: "show".to_owned(),
            key_frame_seconds: 2,
            audio: Some(AudioMetadata {
                codec: CodecName::OPUS,
                bitrate: 128_000,
                sample_rate: 48_000,
                channels: 2,
            }),
            encoder: "lianmai".to_owned(),
        };
        let values = amf0::decode(&metadata.tag(0).body).expect("ours");
        assert_eq!(values[0], Value::string("onMetaData"));
        assert_eq!(values[1].get("width"), Some(&Value::Number(1280.0)));
        assert_eq!(values[1].get("videodatarate"), Some(&Value::Number(2500.0)));
        assert_eq!(values[1].get("stereo"), Some(&Value::Boolean(true)));
        assert_eq!(values[1].get("videocodecid"), Some(&Value::Number(7.0)));
        let opus = f64::from(u32::from_be_bytes(*b"Opus"));
        assert_eq!(values[1].get("audiocodecid"), Some(&Value::Number(opus)));
        let silent = Metadata {
            audio: None,
            ..metadata
        };
        let values = amf0::decode(&silent.tag(0).body).expect("ours");
        assert_eq!(values[1].get("hasAudio"), Some(&Value::Boolean(false)));
        assert_eq!(
            values[1].get("audiocodecid"),
            None,
            "what is not there is not described"
        );
    }
}
