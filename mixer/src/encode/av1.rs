//! AV1 by rav1e, on a thread of its own: it is slow, and the output's ticks wait for nobody.

use super::video::{CodedData, CodedPicture};
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use lianmai_compositor::{Frame, FrameError};
use lianmai_mixer_control::{Canvas, Settings};
use lianmai_rtmp::Tag;
use rav1e::prelude::{
    ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus, FrameParameters,
    FrameType, FrameTypeOverride, InvalidConfig, MatrixCoefficients, Opaque, Packet, PixelRange, Rational,
    SceneDetectionSpeed, TransferCharacteristics, Tune,
};
use std::num::NonZero;
use std::thread;

/// Pictures that wait for the encoder. With more, viewers would see all of them later, and not more of them.
const QUEUE: usize = 4;

/// Coded pictures that wait to be taken: the mix takes them at every tick.
const CODED: usize = 64;

/// The fastest there is.
const SPEED: u8 = 10;

/// More tiles cost bits, and threads beyond them have nothing to do.
const MAX_THREADS: usize = 4;

/// The least number of pictures over which rav1e spreads what it has in reserve.
const LEAST_RESERVE: u32 = 12;

/// Between which quantisers the rate control may choose. Without a bound above, rav1e's arithmetic overflows on a picture that stands
/// still after one that was dear; finer ones than below are not seen.
const FINEST: u8 = 24;
const COARSEST: usize = 254;

/// OBU types (AV1 §6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;

/// The mix's end of the encoding thread.
pub(crate) struct Av1Encoder {
    pictures: Sender<Picture>,
    coded: Receiver<Result<CodedPicture, Av1Error>>,
    warned: bool,
}

struct Picture {
    frame: Frame,
    time_ms: u32,
    key: bool,
}

/// Why there is no AV1.
#[derive(Debug, thiserror::Error)]
pub enum Av1Error {
    /// It takes no such pictures.
    #[error("the AV1 encoder: {0}")]
    Config(#[from] InvalidConfig),
    /// It failed.
    #[error("the AV1 encoder failed: {0}")]
    Encoder(#[from] EncoderStatus),
    /// What it gave is not AV1.
    #[error("the AV1 encoder gave OBUs that cannot be read")]
    Obus,
    /// The picture cannot be handed over.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// There is no thread for it.
    #[error("the AV1 encoder has no thread: {0}")]
    Thread(#[from] std::io::Error),
    /// A bug.
    #[error("the thread of the AV1 encoder ended")]
    Ended,
}

impl Av1Encoder {
    /// Starts the thread. It ends when this is dropped.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Av1Error> {
        let context = config(settings).new_context()?;
        let (pictures, waiting) = bounded(QUEUE);
        let (done, coded) = bounded(CODED);
        let worker = Worker {
            context,
            record: Vec::new(),
        };
        thread::Builder::new()
            .name("av1".to_owned())
            .spawn(move || worker.run(&waiting, &done))?;
        Ok(Self {
            pictures,
            coded,
            warned: false,
        })
    }

    /// Hands a picture over; false if the encoder does not keep up, and it is left out.
    pub(crate) fn push(&mut self, canvas: &Frame, time_ms: u32, key: bool) -> Result<bool, Av1Error> {
        if self.pictures.is_full() {
            return Ok(self.left_out());
        }
        let frame = Frame::copy_of(&canvas.view())?;
        match self.pictures.try_send(Picture { frame, time_ms, key }) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(self.left_out()),
            Err(TrySendError::Disconnected(_)) => Err(Av1Error::Ended),
        }
    }

    /// What is coded by now.
    pub(crate) fn poll(&mut self) -> Result<Option<CodedPicture>, Av1Error> {
        match self.coded.try_recv() {
            Ok(coded) => coded.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Av1Error::Ended),
        }
    }

    fn left_out(&mut self) -> bool {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "the AV1 encoder does not keep up: pictures are left out. Take a smaller canvas or fewer frames per second"
            );
        }
        false
    }
}

fn config(settings: &Settings) -> Config {
    let Canvas { width, height, fps } = settings.canvas;
    let threads = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MAX_THREADS);
    let mut encoder = EncoderConfig::with_speed_preset(SPEED);
    encoder.width = width as usize;
    encoder.height = height as usize;
    encoder.time_base = Rational::new(1, u64::from(fps));
    encoder.bitrate = i32::try_from(settings.video_bitrate).unwrap_or(i32::MAX);
    encoder.min_quantizer = FINEST;
    encoder.quantizer = COARSEST;
    encoder.reservoir_frame_delay = Some((2 * fps).max(LEAST_RESERVE).cast_signed());
    encoder.low_latency = true;
    encoder.speed_settings.rdo_lookahead_frames = 1;
    encoder.tune = Tune::Psnr;
    encoder.tiles = threads;
    // Key frames come when the mix asks for them.
    encoder.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    encoder.min_key_frame_interval = 0;
    encoder.max_key_frame_interval = u64::from(fps * settings.gop_seconds.max(1));
    // As the H.264 of the mix: BT.601, limited range.
    encoder.pixel_range = PixelRange::Limited;
    encoder.color_description = Some(ColorDescription {
        color_primaries: ColorPrimaries::BT601,
        transfer_characteristics: TransferCharacteristics::BT601,
        matrix_coefficients: MatrixCoefficients::BT601,
    });
    Config::new().with_encoder_config(encoder).with_threads(threads)
}

struct Worker {
    context: Context<u8>,
    /// The record that decoders were given last.
    record: Vec<u8>,
}

impl Worker {
    fn run(mut self, pictures: &Receiver<Picture>, coded: &Sender<Result<CodedPicture, Av1Error>>) {
        for picture in pictures {
            if let Err(error) = self.encode(&picture, coded) {
                coded.send(Err(error)).ok();
                return;
            }
        }
    }

    fn encode(
        &mut self,
        picture: &Picture,
        coded: &Sender<Result<CodedPicture, Av1Error>>,
    ) -> Result<(), Av1Error> {
        let mut frame = self.context.new_frame();
        for (to, from) in frame.planes.iter_mut().zip(picture.frame.view().planes()) {
            to.copy_from_raw_u8(from.data(), from.stride(), 1);
        }
        let parameters = FrameParameters {
            frame_type_override: if picture.key {
                FrameTypeOverride::Key
            } else {
                FrameTypeOverride::No
            },
            opaque: Some(Opaque::new(picture.time_ms)),
            ..FrameParameters::default()
        };
        self.context.send_frame((frame, parameters))?;
        loop {
            match self.context.receive_packet() {
                // Who no longer takes them has ended.
                Ok(packet) => drop(coded.send(Ok(self.coded(packet)?))),
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn coded(&mut self, packet: Packet<u8>) -> Result<CodedPicture, Av1Error> {
        let time = packet.opaque.and_then(|time| time.downcast::<u32>().ok());
        let time_ms = *time.ok_or(Av1Error::Obus)?;
        let key = packet.frame_type == FrameType::KEY;
        let mut header = None;
        if key {
            let record = self.record_of(&packet.data)?;
            if record != self.record {
                header = Some(Tag::av1_sequence_header(time_ms, &record));
                self.record = record;
            }
        }
        Ok(CodedPicture {
            time_ms,
            key,
            header,
            data: CodedData::Av1(without_delimiter(packet.data)?),
        })
    }

    /// `AV1CodecConfigurationRecord` with the sequence header that a key frame has.
    fn record_of(&self, unit: &[u8]) -> Result<Vec<u8>, Av1Error> {
        let mut record = self.context.container_sequence_header();
        let sequence = obus(unit).find(|obu| obu.kind == SEQUENCE_HEADER);
        record.extend_from_slice(sequence.ok_or(Av1Error::Obus)?.whole);
        Ok(record)
    }
}

/// Containers leave the temporal delimiter out (AV1 in ISOBMFF §2.4).
fn without_delimiter(unit: Vec<u8>) -> Result<Bytes, Av1Error> {
    let first = obus(&unit).next().ok_or(Av1Error::Obus)?;
    let skipped = if first.kind == TEMPORAL_DELIMITER {
        first.whole.len()
    } else {
        0
    };
    Ok(Bytes::from(unit).slice(skipped..))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Obu<'a> {
    kind: u8,
    /// With its header.
    whole: &'a [u8],
}

/// The OBUs of a unit in which all have a size (AV1 §5.3.2), up to the first that cannot be read.
fn obus(mut rest: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    std::iter::from_fn(move || {
        let first = *rest.first()?;
        let (has_extension, has_size) = (first & 4 != 0, first & 2 != 0);
        let header = 1 + usize::from(has_extension);
        let (size, length) = leb128(rest.get(header..)?).filter(|_| has_size)?;
        let end = header.checked_add(length)?.checked_add(size)?;
        let (whole, tail) = rest.split_at_checked(end)?;
        rest = tail;
        Some(Obu {
            kind: first >> 3 & 0x0f,
            whole,
        })
    })
}

/// A number and how many bytes it has (AV1 §4.10.5): at most 8 of 7 bits, and less than 2^32.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests;
