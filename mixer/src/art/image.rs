//! PNG files.

use lianmai_compositor::{FrameError, Size, Sprite};
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// No side of an image is longer: more than the largest canvas.
const MAX_SIDE: u32 = 4096;

/// The largest file.
const MAX_BYTES: u64 = 32 << 20;

/// Red, green, blue and alpha of each pixel, row by row.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) size: Size,
    pub(crate) pixels: Vec<[u8; 4]>,
}

/// Why a file is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is no PNG file, or a damaged one.
    #[error("is no PNG file that can be read: {0}")]
    Malformed(#[from] DecodingError),
    /// It is too large.
    #[error("has {0} x {1} pixels; each side must be {MAX_SIDE} or less")]
    Size(u32, u32),
    /// The compositor refuses it.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Image {
    /// Reads a file.
    pub(crate) fn open(path: &Path) -> Result<Self, ImageError> {
        Self::read(File::open(path)?)
    }

    /// As it is laid on the canvas; `alpha` dims all of it, 0 to 256.
    pub(crate) fn sprite(&self, alpha: u16) -> Result<Sprite, ImageError> {
        Ok(Sprite::from_rgba(self.size, &self.pixels, alpha)?)
    }

    fn read(file: impl Read) -> Result<Self, ImageError> {
        let mut decoder =
            Decoder::new_with_limits(BufReader::new(file.take(MAX_BYTES)), Limits { bytes: 128 << 20 });
        decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
        let mut reader = decoder.read_info()?;
        let (width, height) = reader.info().size();
        if width > MAX_SIDE || height > MAX_SIDE {
            return Err(ImageError::Size(width, height));
        }
        let mut bytes = vec![0; reader.output_buffer_size()];
        let frame = reader.next_frame(&mut bytes)?;
        let bytes = &bytes[..frame.buffer_size()];
        let pixels = match (frame.color_type, frame.bit_depth) {
            (ColorType::Rgba, BitDepth::Eight) => bytes.as_chunks::<4>().0.to_vec(),
            (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
                let grey = bytes.as_chunks::<2>().0.iter();
                grey.map(|[level, alpha]| [*level, *level, *level, *alpha])
                    .collect()
            }
            other => unreachable!("the transformations give 8 bits and alpha, not {other:?}"),
        };
        let size = Size::new(width as usize, height as usize);
        Ok(Self { size, pixels })
    }
}

#[cfg(test)]
mod tests {
    use super::{Image, ImageError};
    use lianmai_compositor::Size;
    use png::{BitDepth, ColorType, Encoder};

    fn png(color: ColorType, depth: BitDepth, (width, height): (u32, u32), data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
            encoder.set_trns(vec![255, 0]);
        }
        let mut writer = encoder.write_header().expect("written");
        writer.write_image_data(data).expect("written");
        writer.finish().expect("written");
        bytes
    }

    #[test]
    fn every_kind_of_png_becomes_rgba() {
        use BitDepth::{Eight, One, Sixteen};
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        for (color, depth, data, first) in [
            (Rgba, Eight, &[9, 8, 7, 6, 0, 0, 0, 0][..], [9, 8, 7, 6]),
            (Rgb, Eight, &[9, 8, 7, 0, 0, 0], [9, 8, 7, 255]),
            (
                Rgb,
                Sixteen,
                &[9, 1, 8, 1, 7, 1, 0, 0, 0, 0, 0, 0],
                [9, 8, 7, 255],
            ),
            (Grayscale, Eight, &[9, 0], [9, 9, 9, 255]),
            (Grayscale, One, &[0b1000_0000], [255, 255, 255, 255]),
            (GrayscaleAlpha, Eight, &[9, 5, 0, 0], [9, 9, 9, 5]),
            (Indexed, Eight, &[1, 0], [4, 5, 6, 0]),
        ] {
            let image = Image::read(&png(color, depth, (2, 1), data)[..]).expect("a PNG");
            assert_eq!((image.size, image.pixels.len()), (Size::new(2, 1), 2));
            assert_eq!(image.pixels[0], first, "{color:?} {depth:?}");
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_refused() {
        let whole = png(ColorType::Rgba, BitDepth::Eight, (2, 2), &[7; 16]);
        for len in 0..whole.len() {
            // What comes after the pixels is not read.
            if let Ok(image) = Image::read(&whole[..len]) {
                assert!(len > whole.len() - 32 && image.pixels == [[7; 4]; 4], "{len}");
            }
        }
    }

    #[test]
    fn a_size_that_no_canvas_has_is_refused_before_its_pixels_are_read() {
        let mut bytes = png(ColorType::Grayscale, BitDepth::Eight, (4097, 1), &[0; 4097]);
        let error = Image::read(&bytes[..]).expect_err("too wide");
        assert!(matches!(error, ImageError::Size(4097, 1)), "{error}");
        bytes.truncate(40);
        assert!(Image::read(&bytes[..]).is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let error = Image::open("/nowhere/logo.png".as_ref()).expect_err("not there");
        assert!(matches!(error, ImageError::Unreadable(_)), "{error}");
    }
}
