//! Brightness, contrast, saturation: each a line through the values of a plane.

use crate::frame::Frame;
use crate::kernels::Kernels;

/// One, as a gain.
const ONE: f32 = 256.0;

/// From black to white: limited range, 16 to 235 (ITU-R BT.601-7 §2.5.3).
const LUMA_RANGE: f32 = 219.0;

/// Between black and white.
const MIDDLE: f32 = 125.5;

/// The chroma of grey.
const GREY: f32 = 128.0;

const MAX_GAIN: f32 = 4.0;

/// `(sample * gain + offset) / 256`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    planes: &'static [usize],
    gain: i32,
    offset: i32,
}

impl Levels {
    pub(super) fn brightness(amount: f32) -> Self {
        Self {
            planes: &[0],
            gain: ONE as i32,
            offset: (amount.clamp(-1.0, 1.0) * LUMA_RANGE * ONE).round() as i32,
        }
    }

    pub(super) fn contrast(factor: f32) -> Self {
        Self::around(&[0], factor, MIDDLE)
    }

    pub(super) fn saturation(factor: f32) -> Self {
        Self::around(&[1, 2], factor, GREY)
    }

    fn around(planes: &'static [usize], factor: f32, middle: f32) -> Self {
        let gain = (factor.clamp(0.0, MAX_GAIN) * ONE).round();
        Self {
            planes,
            gain: gain as i32,
            offset: ((ONE - gain) * middle).round() as i32,
        }
    }

    pub(super) fn run(self, frame: &mut Frame, kernels: Kernels) {
        for (index, plane) in frame.view_mut().planes_mut().iter_mut().enumerate() {
            if self.planes.contains(&index) {
                for y in 0..plane.size().height {
                    kernels.affine(plane.row_mut(y), self.gain, self.offset);
                }
            }
        }
    }
}
