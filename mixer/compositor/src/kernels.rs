//! The inner loops, and the choice between them. Each is a scalar function, which is the specification; the same
//! source is compiled once more for AVX2, where it becomes vector code, except for the horizontal pass, whose
//! gathers no compiler finds.

#[cfg(not(target_arch = "x86_64"))]
#[path = "kernels/other.rs"]
mod fast;
#[cfg(target_arch = "x86_64")]
#[path = "kernels/x86_64.rs"]
mod fast;
mod scalar;

use crate::taps::{TAPS, Tap};
use fast::Fast;

/// Bytes that a row has to have after its last sample, so that windows may be loaded whole.
pub(crate) const ROW_PADDING: usize = 16;

/// Destination samples per window of [`ROW_PADDING`] bytes.
const GROUP: usize = 4;

/// Which inner loops are used. All give the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    fast: Option<Fast>,
}

/// The taps of a horizontal pass, laid out for the inner loops.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    starts: Vec<u32>,
    weights: Vec<[u8; TAPS]>,
    /// One for every four whole columns.
    windows: Vec<u32>,
    shuffles: Vec<u8>,
    window_weights: Vec<u8>,
}

impl Columns {
    /// `taps` have at most [`TAPS`] weights each.
    pub(crate) fn new(taps: &[Tap]) -> Self {
        let weights = taps
            .iter()
            .map(|tap| std::array::from_fn(|i| tap.weights.get(i).copied().unwrap_or(0)));
        let mut columns = Self {
            starts: taps.iter().map(|tap| tap.start as u32).collect(),
            weights: weights.collect(),
            windows: Vec::new(),
            shuffles: Vec::new(),
            window_weights: Vec::new(),
        };
        for (starts, weights) in columns
            .starts
            .chunks_exact(GROUP)
            .zip(columns.weights.chunks_exact(GROUP))
        {
            let base = starts[0];
            columns.windows.push(base);
            // Starts are at most three apart, so the last byte is at 3 * 3 + 1 + 3 at most.
            columns.shuffles.extend(
                starts
                    .iter()
                    .flat_map(|start| (0..TAPS as u32).map(move |i| (start - base + i) as u8)),
            );
            columns.window_weights.extend(weights.iter().flatten());
        }
        columns
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }
}

impl Kernels {
    /// The fastest ones that this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        Self { fast: Fast::detect() }
    }

    /// The specification.
    #[must_use]
    pub const fn scalar() -> Self {
        Self { fast: None }
    }

    /// What was chosen, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        if self.fast.is_some() { Fast::NAME } else { "scalar" }
    }

    /// The vertical pass: `out[x] = sum(rows[i][x] * weights[i])`, rounded. `rows` and `weights` have the same length.
    pub(crate) fn mix_rows(self, rows: &[&[u8]], weights: &[u8], sums: &mut Vec<u16>, out: &mut [u8]) {
        match (rows, weights) {
            ([row], _) => out.copy_from_slice(&row[..out.len()]),
            ([a, b], [wa, wb]) => match self.fast {
                Some(fast) => fast.mix2([a, b], [*wa, *wb], out),
                None => scalar::mix([a, b], [*wa, *wb], out),
            },
            ([a, b, c], [wa, wb, wc]) => match self.fast {
                Some(fast) => fast.mix3([a, b, c], [*wa, *wb, *wc], out),
                None => scalar::mix([a, b, c], [*wa, *wb, *wc], out),
            },
            (rows, weights) => match self.fast {
                Some(fast) => fast.mix_many(rows, weights, sums, out),
                None => scalar::mix_many(rows, weights, sums, out),
            },
        }
    }

    /// Replaces the first `len` samples of a row by the means of its pairs; returns how many there are.
    pub(crate) fn halve(self, row: &[u8], len: usize, out: &mut [u8]) -> usize {
        match self.fast {
            Some(fast) => fast.halve(row, len, out),
            None => scalar::halve(row, len, out),
        }
    }

    /// The horizontal pass: `out[x] = sum(row[start(x) + i] * weight(x, i))`, rounded. `row` has
    /// [`ROW_PADDING`] more bytes than samples.
    pub(crate) fn resample(self, row: &[u8], columns: &Columns, out: &mut [u8]) {
        match self.fast {
            Some(fast) => {
                let done = fast.resample(row, columns, out);
                scalar::resample(row, columns, done, out);
            }
            None => scalar::resample(row, columns, 0, out),
        }
    }

    /// Constant alpha: `under + (over - under) * alpha / 256`, rounded; `alpha` is 0 to 256.
    pub(crate) fn blend(self, under: &mut [u8], over: &[u8], alpha: u16) {
        match self.fast {
            Some(fast) => fast.blend(under, over, alpha),
            None => scalar::blend(under, over, alpha),
        }
    }

    /// The same with an alpha of its own for each sample, 0 to 255, where 255 counts as 256.
    pub(crate) fn blend_mask(self, under: &mut [u8], over: &[u8], mask: &[u8]) {
        match self.fast {
            Some(fast) => fast.blend_mask(under, over, mask),
            None => scalar::blend_mask(under, over, mask),
        }
    }

    /// `(sample * gain + offset) / 256`, rounded and kept within a byte.
    pub(crate) fn affine(self, row: &mut [u8], gain: i32, offset: i32) {
        match self.fast {
            Some(fast) => fast.affine(row, gain, offset),
            None => scalar::affine(row, gain, offset),
        }
    }

    /// Noise taken out in time: `before` and `new` become what is shown.
    pub(crate) fn settle(self, before: &mut [u8], new: &mut [u8], floor: u16, slope: u16) {
        match self.fast {
            Some(fast) => fast.settle(before, new, floor, slope),
            None => scalar::settle(before, new, floor, slope),
        }
    }

    /// The unsharp mask of the middle one of three rows; `sums` has room for two samples more than a row.
    pub(crate) fn sharpen(self, rows: [&[u8]; 3], sums: &mut [u16], amount: i16, out: &mut [u8]) {
        match self.fast {
            Some(fast) => {
                fast.sum_columns(rows, sums);
                fast.unsharp(rows[1], sums, amount, out);
            }
            None => {
                scalar::sum_columns(rows, sums);
                scalar::unsharp(rows[1], sums, amount, out);
            }
        }
    }

    /// Means of `window` samples of a row, given by their running sums; `share` is 2^16 / `window`.
    pub(crate) fn box_row(self, sums: &[u32], window: usize, share: u32, out: &mut [u8]) {
        match self.fast {
            Some(fast) => fast.box_row(sums, window, share, out),
            None => scalar::box_row(sums, window, share, out),
        }
    }

    /// The same of columns: one row comes to their sums, and one goes.
    pub(crate) fn box_column(self, sums: &mut [u16], comes: &[u8], goes: &[u8], share: u32, out: &mut [u8]) {
        match self.fast {
            Some(fast) => fast.box_column(sums, comes, goes, share, out),
            None => scalar::box_column(sums, comes, goes, share, out),
        }
    }
}
