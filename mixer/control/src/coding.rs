//! What a mix is coded with.

use crate::target::TagNames;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the pictures of a mix are coded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// H.264 (ISO/IEC 14496-10).
    #[default]
    H264,
    /// AV1, which costs many times the CPU: an experiment.
    Av1,
}

/// What the sound of a mix is coded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    /// AAC-LC (ISO/IEC 14496-3).
    #[default]
    Aac,
    /// Opus (RFC 6716).
    Opus,
}

/// The profile that the H.264 of a mix names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// 66
    #[default]
    Baseline,
    /// 77
    Main,
    /// 100
    High,
}

/// The codecs of a mix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coding {
    /// Of its pictures.
    pub video: VideoCodec,
    /// Of its sound.
    pub audio: AudioCodec,
    /// Of H.264; without meaning for other codecs.
    pub profile: Profile,
}

/// A mix whose codecs have no names in tags of old cannot be sent in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tags: legacy tags have no names for {0}: take enhanced, or leave the option out if the target speaks Enhanced RTMP"
)]
pub struct UnnamedCodecs(pub Coding);

impl Coding {
    /// Whether only Enhanced RTMP has names for its codecs.
    #[must_use]
    pub fn needs_enhanced(self) -> bool {
        self.video == VideoCodec::Av1 || self.audio == AudioCodec::Opus
    }

    /// Whether a target whose codecs are named so can take it.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(self, tags: TagNames) -> Result<(), UnnamedCodecs> {
        if tags == TagNames::Legacy && self.needs_enhanced() {
            return Err(UnnamedCodecs(self));
        }
        Ok(())
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let video = match self.video {
            VideoCodec::H264 => "H.264",
            VideoCodec::Av1 => "AV1",
        };
        let audio = match self.audio {
            AudioCodec::Aac => "AAC",
            AudioCodec::Opus => "Opus",
        };
        write!(formatter, "{video} and {audio}")
    }
}

impl FromStr for VideoCodec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "h264" => Ok(Self::H264),
            "av1" => Ok(Self::Av1),
            _ => Err(format!("{text:?} is not h264 or av1")),
        }
    }
}

impl FromStr for AudioCodec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "aac" => Ok(Self::Aac),
            "opus" => Ok(Self::Opus),
            _ => Err(format!("{text:?} is not aac or opus")),
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "baseline" => Ok(Self::Baseline),
            "main" => Ok(Self::Main),
            "high" => Ok(Self::High),
            _ => Err(format!("{text:?} is not baseline, main or high")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AudioCodec, Coding, VideoCodec};
    use crate::TagNames;

    #[test]
    fn only_h264_and_aac_go_into_legacy_tags() {
        for (video, audio, legacy) in [
            (VideoCodec::H264, AudioCodec::Aac, true),
            (VideoCodec::H264, AudioCodec::Opus, false),
            (VideoCodec::Av1, AudioCodec::Aac, false),
            (VideoCodec::Av1, AudioCodec::Opus, false),
        ] {
            let coding = Coding {
                video,
                audio,
                ..Coding::default()
            };
            assert_eq!(coding.check(TagNames::Legacy).is_ok(), legacy, "{coding}");
            assert!(coding.check(TagNames::Enhanced).is_ok() && coding.check(TagNames::Auto).is_ok());
        }
    }

    #[test]
    fn the_refusal_names_the_codecs_and_what_to_do() {
        let coding = Coding {
            video: VideoCodec::Av1,
            ..Coding::default()
        };
        let error = coding.check(TagNames::Legacy).expect_err("refused").to_string();
        assert!(
            error.contains("AV1 and AAC") && error.contains("enhanced"),
            "{error}"
        );
    }
}
