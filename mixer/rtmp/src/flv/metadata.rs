//! `onMetaData` (E.5).

use super::{Tag, TagKind};
use crate::amf0::{self, Value};

/// What a stream says about itself. Players use size and rates; the codecs are always AVC and AAC.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: f64,
    /// Bits per second.
    pub video_bitrate: u32,
    /// Bits per second.
    pub audio_bitrate: u32,
    /// Hertz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Who made it.
    pub encoder: String,
}

impl Metadata {
    /// The script tag.
    #[must_use]
    pub fn tag(&self, timestamp_ms: u32) -> Tag {
        let number = |value: u32| Value::Number(f64::from(value));
        // E.5 gives the rates in kilobits per second; codec 7 is AVC (E.4.3.1), sound format 10 AAC (E.4.2.1).
        let properties = [
            ("duration", number(0)),
            ("width", number(self.width)),
            ("height", number(self.height)),
            ("framerate", Value::Number(self.frame_rate)),
            ("videocodecid", number(7)),
            (
                "videodatarate",
                Value::Number(f64::from(self.video_bitrate) / 1000.0),
            ),
            ("audiocodecid", number(10)),
            (
                "audiodatarate",
                Value::Number(f64::from(self.audio_bitrate) / 1000.0),
            ),
            ("audiosamplerate", number(self.sample_rate)),
            ("audiosamplesize", number(16)),
            ("stereo", Value::Boolean(self.channels == 2)),
            ("encoder", Value::string(&self.encoder)),
        ];
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

#[cfg(test)]
mod tests {
    use super::Metadata;
    use crate::amf0::{self, Value};

    #[test]
    fn size_and_kilobits_are_what_players_expect() {
        let metadata = Metadata {
            width: 1280,
            height: 720,
            frame_rate: 30.0,
            video_bitrate: 2_500_000,
            audio_bitrate: 128_000,
            sample_rate: 48_000,
            channels: 2,
            encoder: "lianmai".to_owned(),
        };
        let values = amf0::decode(&metadata.tag(0).body).expect("ours");
        assert_eq!(values[0], Value::string("onMetaData"));
        assert_eq!(values[1].get("width"), Some(&Value::Number(1280.0)));
        assert_eq!(values[1].get("videodatarate"), Some(&Value::Number(2500.0)));
        assert_eq!(values[1].get("stereo"), Some(&Value::Boolean(true)));
    }
}
