//! H.264 by OpenH264: no B-frames, a key frame when asked, and a rate that holds.

mod bucket;

use bucket::Bucket;
use lianmai_compositor::Frame;
use lianmai_mixer_control::{Canvas, Profile};
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, QpRange,
    RateControlMode, UsageType, VuiConfig,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};

/// Bounds of the rate; below, pictures are not recognised, above, the encoder's arithmetic ends.
const BITRATES: std::ops::RangeInclusive<u32> = 50_000..=100_000_000;

/// How coarse it may get. The encoder takes a range that begins at zero for none, and stops at 42 then: too fine for hard
/// pictures at a usual rate, so that it would have to leave some of them out.
const QUANTISERS: QpRange = QpRange::new(12, 51);

/// Of what was promised, in hundredths, this is what the encoder is asked for: over some seconds of hard pictures it gives that
/// much more.
const ASKED: u32 = 95;

/// Encodes the canvas.
pub(crate) struct H264Encoder {
    encoder: Encoder,
    bucket: Bucket,
    out: Vec<u8>,
}

/// What one picture became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodedPicture<'a> {
    /// An access unit in Annex B form; parameter sets stand before each IDR picture.
    Frame(&'a [u8]),
    /// There are no bits for this picture. The one before stays on screen.
    Skipped,
}

/// Why a picture was not encoded.
#[derive(Debug, thiserror::Error)]
#[error("the H.264 encoder: {0}")]
pub struct H264Error(#[from] openh264::Error);

impl H264Encoder {
    /// An encoder for pictures of this canvas at `bitrate` bits per second.
    pub(crate) fn new(canvas: Canvas, bitrate: u32, profile: Profile) -> Result<Self, H264Error> {
        let bitrate = bitrate.clamp(*BITRATES.start(), *BITRATES.end());
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(bitrate / 100 * ASKED))
            .max_frame_rate(FrameRate::from_hz(canvas.fps as f32))
            // Of its modes, the one with the lowest peaks, and the best pictures at low rates.
            .rate_control_mode(RateControlMode::Timestamp)
            .qp(QUANTISERS)
            // It would leave pictures out early. The bucket does it where nothing else helps.
            .skip_frames(false)
            .usage_type(UsageType::CameraVideoRealTime)
            .complexity(Complexity::Low)
            // Key frames come when the mix asks for them: by the clock, not by the count of pictures.
            .intra_frame_period(IntraFramePeriod::auto())
            .scene_change_detect(false)
            .num_threads(1)
            .profile(match profile {
                Profile::Baseline => openh264::encoder::Profile::Baseline,
                Profile::Main => openh264::encoder::Profile::Main,
                Profile::High => openh264::encoder::Profile::High,
            })
            // Browsers encode their cameras as BT.601 without saying so, and the compositor keeps what they send.
            .vui(VuiConfig::bt601());
        Ok(Self {
            encoder: Encoder::with_api_config(OpenH264API::from_source(), config)?,
            bucket: Bucket::new(bitrate),
            out: Vec::new(),
        })
    }

    /// Encodes one picture. `time_ms` is what the rate control goes by.
    pub(crate) fn encode(
        &mut self,
        picture: &impl YUVSource,
        time_ms: u64,
        key: bool,
    ) -> Result<EncodedPicture<'_>, H264Error> {
        let is_over = self.bucket.is_over(time_ms);
        if key {
            self.encoder.force_intra_frame();
        } else if is_over {
            return Ok(EncodedPicture::Skipped);
        }
        let coded = self.encoder.encode_at(picture, Timestamp::from_millis(time_ms))?;
        self.out.clear();
        if !matches!(coded.frame_type(), FrameType::Skip | FrameType::Invalid) {
            coded.write_vec(&mut self.out);
        }
        if self.out.is_empty() {
            return Ok(EncodedPicture::Skipped);
        }
        self.bucket.fill(self.out.len());
        Ok(EncodedPicture::Frame(&self.out))
    }
}

/// The canvas as the encoder reads it: in place.
pub(super) struct Source<'a>(pub(super) &'a Frame);

impl Source<'_> {
    fn plane(&self, index: usize) -> &[u8] {
        self.0.view().planes()[index].data()
    }

    fn stride(&self, index: usize) -> usize {
        self.0.view().planes()[index].stride()
    }
}

impl YUVSource for Source<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.size().width, self.0.size().height)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.stride(0), self.stride(1), self.stride(2))
    }

    fn y(&self) -> &[u8] {
        self.plane(0)
    }

    fn u(&self) -> &[u8] {
        self.plane(1)
    }

    fn v(&self) -> &[u8] {
        self.plane(2)
    }
}

#[cfg(test)]
mod hard;
#[cfg(test)]
mod tests;
