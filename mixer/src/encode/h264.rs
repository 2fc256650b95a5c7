//! H.264 by OpenH264: constrained baseline, no B-frames, a key frame when asked.

use lianmai_mixer_control::Canvas;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, RateControlMode,
    UsageType, VuiConfig,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};

/// Bounds of the rate; below, pictures are not recognised, above, the encoder's arithmetic ends.
const BITRATES: std::ops::RangeInclusive<u32> = 50_000..=100_000_000;

/// Encodes the canvas.
pub(crate) struct VideoEncoder {
    encoder: Encoder,
    out: Vec<u8>,
}

/// What one picture became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodedPicture<'a> {
    /// An access unit in Annex B form; parameter sets stand before each IDR picture.
    Frame(&'a [u8]),
    /// The rate control left this picture out. The one before stays on screen.
    Skipped,
}

/// Why a picture was not encoded.
#[derive(Debug, thiserror::Error)]
#[error("the H.264 encoder: {0}")]
pub struct VideoEncoderError(#[from] openh264::Error);

impl VideoEncoder {
    /// An encoder for pictures of this canvas at `bitrate` bits per second.
    pub(crate) fn new(canvas: Canvas, bitrate: u32) -> Result<Self, VideoEncoderError> {
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(
                bitrate.clamp(*BITRATES.start(), *BITRATES.end()),
            ))
            .max_frame_rate(FrameRate::from_hz(canvas.fps as f32))
            .rate_control_mode(RateControlMode::Bitrate)
            // Without this the rate is a wish.
            .skip_frames(true)
            .usage_type(UsageType::CameraVideoRealTime)
            .complexity(Complexity::Low)
            // Key frames come when the mix asks for them: by the clock, not by the count of pictures.
            .intra_frame_period(IntraFramePeriod::auto())
            .scene_change_detect(false)
            .num_threads(1)
            // Browsers encode their cameras as BT.601 without saying so, and the compositor keeps what they send.
            .vui(VuiConfig::bt601());
        Ok(Self {
            encoder: Encoder::with_api_config(OpenH264API::from_source(), config)?,
            out: Vec::new(),
        })
    }

    /// Encodes one picture. `time_ms` is what the rate control goes by.
    pub(crate) fn encode(
        &mut self,
        picture: &impl YUVSource,
        time_ms: u64,
        key: bool,
    ) -> Result<EncodedPicture<'_>, VideoEncoderError> {
        if key {
            self.encoder.force_intra_frame();
        }
        let coded = self.encoder.encode_at(picture, Timestamp::from_millis(time_ms))?;
        self.out.clear();
        if !matches!(coded.frame_type(), FrameType::Skip | FrameType::Invalid) {
            coded.write_vec(&mut self.out);
        }
        if self.out.is_empty() {
            return Ok(EncodedPicture::Skipped);
        }
        Ok(EncodedPicture::Frame(&self.out))
    }
}

#[cfg(test)]
mod tests {
    use super::{EncodedPicture, VideoEncoder};
    use lianmai_mixer_control::Canvas;
    use lianmai_rtmp::flv::annexb;
    use openh264::formats::YUVBuffer;

    const CANVAS: Canvas = Canvas {
        width: 320,
        height: 180,
        fps: 30,
    };

    /// Noise that no encoder can predict, from a multiplicative generator.
    fn noise(seed: u64) -> YUVBuffer {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        YUVBuffer::from_vec((0..320 * 180 * 3 / 2).map(|_| next()).collect(), 320, 180)
    }

    #[test]
    fn the_first_picture_and_each_one_asked_for_are_key_frames_with_parameter_sets() {
        let mut encoder = VideoEncoder::new(CANVAS, 500_000).expect("an encoder");
        let still = YUVBuffer::from_vec(vec![90; 320 * 180 * 3 / 2], 320, 180);
        for index in 0..120u64 {
            let key = index % 45 == 0;
            let EncodedPicture::Frame(unit) = encoder.encode(&still, index * 33, key).expect("encodes")
            else {
                panic!("a still picture was skipped");
            };
            let unit = annexb::access_unit(unit);
            assert_eq!((unit.key, unit.config.is_some()), (key, key), "picture {index}");
        }
    }

    #[test]
    fn the_profile_is_baseline() {
        let mut encoder = VideoEncoder::new(CANVAS, 500_000).expect("an encoder");
        let EncodedPicture::Frame(unit) = encoder.encode(&noise(1), 0, true).expect("encodes") else {
            panic!("the first picture was skipped");
        };
        let config = annexb::access_unit(unit).config.expect("parameter sets");
        assert_eq!(config.sps[1], 66, "{:?}", config.sps);
    }

    #[test]
    fn what_cannot_be_coded_at_the_rate_is_skipped_and_the_rate_holds() {
        let mut encoder = VideoEncoder::new(CANVAS, 200_000).expect("an encoder");
        let (mut bytes, mut skipped) = (0, 0);
        for index in 0..150u64 {
            match encoder
                .encode(&noise(index), index * 1000 / 30, index == 0)
                .expect("encodes")
            {
                EncodedPicture::Frame(unit) => bytes += unit.len(),
                EncodedPicture::Skipped => skipped += 1,
            }
        }
        assert!(skipped > 0);
        assert!(bytes * 8 < 5 * 400_000, "{bytes} bytes in 5 s at 200 kbit/s");
    }
}
