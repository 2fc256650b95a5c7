//! AAC (ISO/IEC 14496-3) by the Fraunhofer decoder.

use super::CHANNELS;
use fdk_aac::dec::{Decoder as Fraunhofer, DecoderError, Transport};

/// Samples of both channels in the largest frame: SBR doubles the 1024 of AAC-LC, and there is room to spare.
const MAX_SAMPLES: usize = 2 * 4096;

pub(super) struct Decoder {
    inner: Fraunhofer,
    pcm: Vec<i16>,
}

/// One frame.
pub(super) struct Decoded {
    /// Hertz.
    pub(super) rate: u32,
    /// How many samples it is later than the frame's time.
    pub(super) delay: u32,
    /// Both channels in turn.
    pub(super) pcm: Vec<f32>,
    /// It could not be decoded: the decoder made something up.
    pub(super) concealed: bool,
}

impl Decoder {
    /// A decoder for an AudioSpecificConfig.
    pub(super) fn new(config: &[u8]) -> Result<Self, String> {
        let mut inner = Fraunhofer::new(Transport::Raw);
        let configured = inner
            .set_min_output_channels(CHANNELS)
            .and_then(|()| inner.set_max_output_channels(CHANNELS))
            .and_then(|()| inner.config_raw(config));
        configured.map_err(|error| error.to_string())?;
        Ok(Self {
            inner,
            pcm: vec![0; MAX_SAMPLES],
        })
    }

    /// `None` when nothing came out, not even silence.
    pub(super) fn decode(&mut self, frame: &[u8]) -> Option<Decoded> {
        let taken = self.inner.fill(frame);
        if taken.is_err() || taken.is_ok_and(|taken| taken < frame.len()) {
            return None;
        }
        let decoded = self.inner.decode_frame(&mut self.pcm);
        if decoded.is_err_and(|error| !is_concealed(error)) {
            return None;
        }
        let info = self.inner.stream_info();
        let rate = u32::try_from(info.sampleRate).ok().filter(|rate| *rate > 0)?;
        let frames = usize::try_from(info.frameSize).ok()?;
        if info.numChannels != 2 {
            return None;
        }
        let pcm = self.pcm.get(..frames.checked_mul(CHANNELS)?)?;
        Some(Decoded {
            rate,
            delay: info.outputDelay,
            pcm: pcm.iter().map(|sample| f32::from(*sample) / 32_768.0).collect(),
            concealed: decoded.is_err(),
        })
    }
}

/// "Decode errors. Output buffer is valid but concealed."
fn is_concealed(error: DecoderError) -> bool {
    [
        DecoderError::TRANSPORT_ERROR,
        DecoderError::PARSE_ERROR,
        DecoderError::UNSUPPORTED_EXTENSION_PAYLOAD,
        DecoderError::DECODE_FRAME_ERROR,
        DecoderError::CRC_ERROR,
        DecoderError::INVALID_CODE_BOOK,
        DecoderError::UNSUPPORTED_PREDICTION,
        DecoderError::UNSUPPORTED_CCE,
        DecoderError::UNSUPPORTED_LFE,
        DecoderError::UNSUPPORTED_GAIN_CONTROL_DATA,
        DecoderError::TNS_READ_ERROR,
        DecoderError::RVLC_ERROR,
    ]
    .contains(&error)
}
