//! The unsharp mask: what a picture has and its blurred copy has not is added once more.

use crate::frame::Frame;
use crate::kernels::Kernels;

/// An amount of one.
const ONE: f32 = 32.0;

const MAX_AMOUNT: f32 = 4.0;

#[derive(Debug)]
pub(super) struct Sharpen {
    amount: i16,
    sums: Vec<u16>,
}

impl Sharpen {
    pub(super) fn new(amount: f32) -> Self {
        Self {
            amount: (amount.clamp(0.0, MAX_AMOUNT) * ONE).round() as i16,
            sums: Vec::new(),
        }
    }

    /// Chroma stays as it is: its detail is coarse, and its noise is seen.
    pub(super) fn run(&mut self, from: &Frame, to: &mut Frame, kernels: Kernels) {
        let (from, mut to) = (from.view(), to.view_mut());
        let [luma, ..] = from.planes();
        let [out, chroma @ ..] = to.planes_mut();
        self.sums.resize(luma.size().width + 2, 0);
        let last = luma.size().height - 1;
        for y in 0..=last {
            let rows = [y.saturating_sub(1), y, (y + 1).min(last)].map(|y| luma.row(y));
            kernels.sharpen(rows, &mut self.sums, self.amount, out.row_mut(y));
        }
        for (from, to) in from.planes()[1..].iter().zip(chroma) {
            for (y, row) in from.rows().enumerate() {
                to.row_mut(y).copy_from_slice(row);
            }
        }
    }
}
