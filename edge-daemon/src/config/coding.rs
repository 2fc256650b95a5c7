//! What mixes are coded with, and whether it can be sent where they go.

use super::{Canvas, ConfigError, invalid};
use crate::edge::Template;
use lianmai_mixer_control::{AudioCodec, Coding, Profile, VideoCodec};
use std::ops::RangeInclusive;

/// Seconds between key frames: what CDNs ask for.
const DEFAULT_GOP: u32 = 2;

/// A viewer of the embedded origin begins at the last key frame, and the origin keeps ten seconds.
const GOPS: RangeInclusive<u32> = 1..=10;

/// Pixels a second that one processor codes as AV1 with some left for decoding and mixing, from what was measured on a busy machine
/// (docs/operating.md); more than four do not help.
const AV1_PIXELS: u64 = 1_500_000;
const AV1_PROCESSORS: usize = 4;

/// The codecs of every mix.
pub(super) fn settle(
    video: Option<VideoCodec>,
    audio: Option<AudioCodec>,
    profile: Option<Profile>,
) -> Result<Coding, ConfigError> {
    let coding = Coding {
        video: video.unwrap_or_default(),
        audio: audio.unwrap_or_default(),
        profile: profile.unwrap_or_default(),
    };
    if coding.video != VideoCodec::H264 && profile.is_some() {
        return Err(invalid(
            "mix-profile",
            "it is a profile of H.264: leave it out, or take h264 as mix-video-codec",
        ));
    }
    Ok(coding)
}

/// Whether the configured targets can take these codecs.
pub(super) fn check_targets(coding: Coding, targets: &[Template]) -> Result<(), ConfigError> {
    targets
        .iter()
        .try_for_each(|target| coding.check(target.options.tags))
        .map_err(|error| invalid("rtmp-target", error.to_string()))
}

/// The distance of key frames.
pub(super) fn gop(seconds: Option<u32>) -> Result<u32, ConfigError> {
    let seconds = seconds.unwrap_or(DEFAULT_GOP);
    if GOPS.contains(&seconds) {
        return Ok(seconds);
    }
    let (least, most) = GOPS.into_inner();
    Err(invalid(
        "mix-gop-seconds",
        format!("{seconds} s between key frames; {least} to {most} are possible"),
    ))
}

/// Whether this machine is too slow for these codecs.
pub(super) fn doubt(coding: Coding, Canvas(canvas): Canvas, processors: usize) -> Option<String> {
    let pixels = u64::from(canvas.width) * u64::from(canvas.height) * u64::from(canvas.fps);
    let possible = AV1_PIXELS * processors.min(AV1_PROCESSORS) as u64;
    if coding.video != VideoCodec::Av1 || pixels <= possible {
        return None;
    }
    Some(format!(
        "mix-video-codec: AV1 of {} is {:.1} million pixels a second, and {processors} processors are good for about {:.1}: \
         pictures may be left out. Take a smaller canvas, fewer frames per second, or h264",
        Canvas(canvas),
        pixels as f64 / 1e6,
        possible as f64 / 1e6
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Canvas, Config, Layer};
    use super::doubt;
    use clap::Parser;
    use lianmai_mixer_control::{AudioCodec, Coding, Profile, VideoCodec};

    fn config(arguments: &[&str]) -> Result<Config, String> {
        let mut all = vec!["lianmai-edge"];
        all.extend_from_slice(arguments);
        let layer = Layer::try_parse_from(all).map_err(|error| error.to_string())?;
        Config::from_layers(layer).map_err(|error| error.to_string())
    }

    #[test]
    fn h264_baseline_and_aac_with_a_key_frame_each_two_seconds_unless_said() {
        let config = config(&[]).expect("good");
        assert_eq!((config.coding, config.mix_gop_seconds), (Coding::default(), 2));
    }

    #[test]
    fn flags_and_file_name_codecs_alike() {
        let expected = Coding {
            video: VideoCodec::Av1,
            audio: AudioCodec::Opus,
            ..Coding::default()
        };
        let flags = config(&["--mix-video-codec", "av1", "--mix-audio-codec", "opus"]).expect("good");
        assert_eq!(flags.coding, expected);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "mix-video-codec = \"av1\"\nmix-audio-codec = \"opus\"\nmix-gop-seconds = 4\n";
        std::fs::write(file.path(), text).expect("written");
        let from_file = config(&["--config", file.path().to_str().expect("text")]).expect("good");
        assert_eq!((from_file.coding, from_file.mix_gop_seconds), (expected, 4));
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, words) in [
            (&["--mix-video-codec", "vp9"][..], ["vp9", "h264 or av1"]),
            (&["--mix-audio-codec", "mp3"], ["mp3", "aac or opus"]),
            (&["--mix-profile", "extended"], ["extended", "main"]),
            (&["--mix-gop-seconds", "0"], ["mix-gop-seconds", "1 to 10"]),
            (
                &["--mix-video-codec", "av1", "--mix-profile", "high"],
                ["mix-profile", "h264"],
            ),
        ] {
            let error = config(arguments).expect_err("refused");
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn av1_beyond_what_was_measured_is_doubted_with_what_to_do() {
        let av1 = Coding {
            video: VideoCodec::Av1,
            ..Coding::default()
        };
        let [small, large] = ["320x180@15", "1280x720@30"].map(|text| text.parse::<Canvas>().expect("good"));
        let said = doubt(av1, large, 2).expect("too much");
        assert!(said.contains("1280x720@30") && said.contains("h264"), "{said}");
        assert_eq!(doubt(av1, small, 2), None);
        assert_eq!(doubt(Coding::default(), large, 1), None);
    }

    #[test]
    fn a_target_with_legacy_tags_is_refused_where_a_codec_has_no_name_in_them() {
        let legacy = "rtmp://cdn/live/{room}#tags=legacy";
        let error = config(&["--mix-video-codec", "av1", "--rtmp-target", legacy]).expect_err("refused");
        assert!(
            error.starts_with("rtmp-target") && error.contains("AV1") && error.contains("enhanced"),
            "{error}"
        );
        for fine in ["rtmp://cdn/live/{room}", "rtmp://cdn/live/{room}#tags=enhanced"] {
            assert!(config(&["--mix-video-codec", "av1", "--rtmp-target", fine]).is_ok());
        }
        let high = config(&["--mix-profile", "high", "--rtmp-target", legacy]).expect("good");
        assert_eq!(high.coding.profile, Profile::High);
    }
}
