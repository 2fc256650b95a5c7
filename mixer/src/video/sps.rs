//! The size that a sequence parameter set asks for (H.264 §7.3.2.1.1), read before a decoder allocates for it.

use lianmai_compositor::Size;
use lianmai_rtmp::flv::annexb::nal_units;

/// Samples in a side of a macroblock.
const MACROBLOCK: usize = 16;

/// NAL unit types (H.264 table 7-1) of parameter sets and of those for further layers.
const SPS: u8 = 7;
const SUBSET_SPS: u8 = 15;

/// Profiles whose parameter sets say something of chroma (§7.3.2.1.1).
const WITH_CHROMA: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];

/// A parameter set that ends before its size, or has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a malformed sequence parameter set")]
pub(super) struct Malformed;

/// The coded size, before cropping, of each parameter set in an Annex B byte stream.
pub(super) fn sizes(annex_b: &[u8]) -> impl Iterator<Item = Result<Size, Malformed>> {
    let sets = nal_units(annex_b).filter(|nal| matches!(nal[0] & 0x1f, SPS | SUBSET_SPS));
    sets.map(|nal| size(&without_emulation(&nal[1..])).ok_or(Malformed))
}

/// Takes the bytes out that keep start codes from appearing (§7.4.1).
fn without_emulation(nal: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let mut bytes = Vec::with_capacity(nal.len());
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

fn size(set: &[u8]) -> Option<Size> {
    let mut bits = Bits { bytes: set, at: 0 };
    let profile = bits.fixed(8)?;
    // Constraints and level.
    bits.fixed(16)?;
    bits.unsigned()?;
    if WITH_CHROMA.contains(&profile) {
        skip_chroma(&mut bits)?;
    }
    // log2_max_frame_num_minus4
    bits.unsigned()?;
    skip_picture_order(&mut bits)?;
    // max_num_ref_frames and gaps_in_frame_num_value_allowed_flag
    bits.unsigned()?;
    bits.fixed(1)?;
    let width = bits.side()?;
    let map_units = bits.side()?;
    // frame_mbs_only_flag: without it, a map unit is half of a frame.
    let height = map_units.checked_mul(2 - bits.fixed(1)? as usize)?;
    Some(Size::new(width, height))
}

fn skip_chroma(bits: &mut Bits<'_>) -> Option<()> {
    let chroma = bits.unsigned()?;
    if chroma == 3 {
        bits.fixed(1)?;
    }
    // Depths, and qpprime_y_zero_transform_bypass_flag.
    bits.unsigned()?;
    bits.unsigned()?;
    bits.fixed(1)?;
    if bits.fixed(1)? == 1 {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.fixed(1)? == 1 {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(())
}

/// §7.3.2.1.1.1: a scale of zero ends the list.
fn skip_scaling_list(bits: &mut Bits<'_>, len: usize) -> Option<()> {
    let mut scale = 8u8;
    for _ in 0..len {
        // Modulo 256, as the scales are.
        scale = scale.wrapping_add(bits.signed()? as u8);
        if scale == 0 {
            break;
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?;
        }
        1 => {
            bits.fixed(1)?;
            bits.signed()?;
            bits.signed()?;
            // At most 255 (§7.4.2.1.1); whoever says more runs out of bits.
            for _ in 0..bits.unsigned()? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    Some(())
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    /// A number of at most 32 bits.
    fn fixed(&mut self, len: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..len {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    /// ue(v), §9.1.
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.fixed(1)? == 0 {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1 << zeros) - 1 + self.fixed(zeros)?)
    }

    /// se(v), §9.1.1.
    fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 })
    }

    /// A side in macroblocks less one, in samples.
    fn side(&mut self) -> Option<usize> {
        usize::try_from(self.unsigned()?)
            .ok()?
            .checked_add(1)?
            .checked_mul(MACROBLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, sizes};
    use crate::testing::streams::ffmpeg;
    use lianmai_compositor::Size;
    use proptest::prelude::{any, prop, proptest};

    /// One key frame of libx264.
    fn coded(size: &str, options: &[&str]) -> Vec<u8> {
        let source = format!("color=gray:size={size}:rate=25");
        let input = ["-f", "lavfi", "-i", &source, "-frames:v", "1", "-c:v", "libx264"];
        ffmpeg(&[&input[..], options, &["-f", "h264", "-"]].concat())
    }

    fn read(annex_b: &[u8]) -> Vec<Result<Size, Malformed>> {
        sizes(annex_b).collect()
    }

    #[test]
    fn the_size_of_every_profile_is_read_in_whole_macroblocks() {
        let quantised = ["-pix_fmt", "yuv444p", "-x264-params", "cqm=jvt:8x8dct=1"];
        let interlaced = ["-pix_fmt", "yuv420p", "-x264-params", "tff=1"];
        let baseline = ["-pix_fmt", "yuv420p", "-profile:v", "baseline"];
        for (size, options, expected) in [
            ("320x180", &baseline[..], Size::new(320, 192)),
            (
                "4096x2304",
                &["-pix_fmt", "yuv420p", "-profile:v", "high"],
                Size::new(4096, 2304),
            ),
            ("322x182", &quantised, Size::new(336, 192)),
            ("720x576", &interlaced, Size::new(720, 576)),
        ] {
            assert_eq!(read(&coded(size, options)), [Ok(expected)], "{size} {options:?}");
        }
    }

    #[test]
    fn a_parameter_set_behind_another_start_code_is_read_too() {
        let mut stream = coded("320x180", &["-pix_fmt", "yuv420p"]);
        let len = stream.len();
        stream.extend_from_within(..len);
        assert_eq!(read(&stream).len(), 2);
    }

    #[test]
    fn a_parameter_set_that_ends_early_is_malformed() {
        // 20 x 12 macroblocks; the last bit read is the first of the last byte.
        let set = [0, 0, 0, 1, 0x67, 66, 0, 30, 0xf4, 0x0a, 0x0c, 0x80];
        assert_eq!(read(&set), [Ok(Size::new(320, 192))]);
        for len in 5..set.len() {
            assert_eq!(read(&set[..len]), [Err(Malformed)], "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_parameter_set_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for size in sizes(&[&[0, 0, 0, 1, 0x67, 100, 0, 30], &bytes[..]].concat()).flatten() {
                assert!(size.width >= 16 && size.height >= 16);
            }
        }
    }
}
