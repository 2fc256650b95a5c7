//! I420 to JPEG (ITU-T T.81) in a JFIF file (ITU-T T.871).

use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor};
use lianmai_compositor::{Fit, Frame, FrameError, Kernels, Plane, Rect, Scaler, Size, View};
use lianmai_mixer_control::MAX_JPEG;

/// Why there is no JPEG.
#[derive(Debug, thiserror::Error)]
pub(super) enum JpegError {
    #[error(transparent)]
    Encoder(#[from] EncodingError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("it has more than {MAX_JPEG} bytes at the lowest quality")]
    TooLong,
}

/// A JPEG of a picture, scaled down if a side is longer than `largest`. One that would be too long is made again at less quality.
pub(super) fn encode(frame: &Frame, quality: u8, largest: usize) -> Result<(Vec<u8>, Size), JpegError> {
    let scaled = scale_down(frame, largest)?;
    let view = scaled.as_ref().unwrap_or(frame).view();
    let mut quality = quality.clamp(1, 100);
    loop {
        let jpeg = encode_at(&view, quality)?;
        match quality {
            _ if jpeg.len() <= MAX_JPEG => return Ok((jpeg, view.size())),
            1 => return Err(JpegError::TooLong),
            _ => quality /= 2,
        }
    }
}

fn encode_at(view: &View<'_>, quality: u8) -> Result<Vec<u8>, JpegError> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode_image(Picture(*view))?;
    Ok(jpeg)
}

/// The same in a size whose longer side is `largest`; nothing if it is no longer already.
fn scale_down(frame: &Frame, largest: usize) -> Result<Option<Frame>, FrameError> {
    let size = frame.size();
    let longer = size.width.max(size.height);
    if longer <= largest {
        return Ok(None);
    }
    let side = |side: usize| (side * largest / longer).next_multiple_of(2).max(2);
    let mut scaled = Frame::new(Size::new(side(size.width), side(size.height)))?;
    let rect = Rect::of(scaled.size());
    Scaler::new(size, rect, Fit::Stretch, Kernels::detect()).draw(&frame.view(), &mut scaled.view_mut());
    Ok(Some(scaled))
}

/// A picture as the encoder reads it. Both sides are BT.601; ours has limited range, JFIF has full range (T.871 §7).
struct Picture<'a>(View<'a>);

impl ImageBuffer for Picture<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        short(self.0.size().width)
    }

    fn height(&self) -> u16 {
        short(self.0.size().height)
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (row, width) = (usize::from(y), self.0.size().width);
        let [luma, u, v] = self.0.planes();
        let [to_luma, to_u, to_v, _] = buffers;
        to_luma.extend(luma.row(row).iter().map(|sample| LUMA[usize::from(*sample)]));
        for (plane, to) in [(u, to_u), (v, to_v)] {
            extend_chroma(plane, row / 2, width, to);
        }
    }
}

/// Each sample twice: the encoder takes the mean of two by two again.
fn extend_chroma(plane: &Plane<'_>, row: usize, width: usize, to: &mut Vec<u8>) {
    let doubled = plane
        .row(row)
        .iter()
        .flat_map(|sample| [CHROMA[usize::from(*sample)]; 2]);
    to.extend(doubled.take(width));
}

/// Sides of pictures end at 8192.
fn short(side: usize) -> u16 {
    u16::try_from(side).unwrap_or(u16::MAX)
}

/// 16 to 235 becomes 0 to 255.
const LUMA: [u8; 256] = stretch(16, 0, 219);

/// 16 to 240 becomes 0.5 to 255.5 around 128, which is 255 at most.
const CHROMA: [u8; 256] = stretch(128, 128, 224);

/// Around `centre`, which becomes `to`, `range` becomes 255.
const fn stretch(centre: i32, to: i32, range: i32) -> [u8; 256] {
    let mut table = [0; 256];
    let mut sample = 0;
    while sample < 256 {
        let doubled = (sample - centre) * 2 * 255 + range;
        let value = doubled.div_euclid(2 * range) + to;
        let within = if value < 0 {
            0
        } else if value > 255 {
            255
        } else {
            value
        };
        table[sample as usize] = within as u8;
        sample += 1;
    }
    table
}

#[cfg(test)]
mod tests;
