//! The inner loops as plain code: the specification of all others.
//!
//! Functions that the compiler turns into vector code by itself are inlined into the functions of each
//! instruction set; their additions wrap, because an overflow check would keep them scalar. That none overflows is
//! said where it is not plain.

use super::Columns;
use crate::taps::{ONE, TAPS};

/// A sum of samples times weights that add up to 128: 255 * 128 + 64 fits.
#[inline(always)]
fn rounded(sum: u16) -> u8 {
    (sum.wrapping_add(ONE as u16 / 2) / ONE as u16) as u8
}

#[inline(always)]
pub(super) fn mix<const N: usize>(rows: [&[u8]; N], weights: [u8; N], out: &mut [u8]) {
    let len = out.len();
    let rows = rows.map(|row| &row[..len]);
    for x in 0..len {
        let mut sum = 0u16;
        for i in 0..N {
            sum = sum.wrapping_add(u16::from(rows[i][x]).wrapping_mul(u16::from(weights[i])));
        }
        out[x] = rounded(sum);
    }
}

#[inline(always)]
pub(super) fn mix_many(rows: &[&[u8]], weights: &[u8], sums: &mut Vec<u16>, out: &mut [u8]) {
    sums.clear();
    sums.resize(out.len(), 0);
    for (row, weight) in rows.iter().zip(weights) {
        for (sum, sample) in sums.iter_mut().zip(*row) {
            *sum = sum.wrapping_add(u16::from(*sample).wrapping_mul(u16::from(*weight)));
        }
    }
    for (out, sum) in out.iter_mut().zip(sums.iter()) {
        *out = rounded(*sum);
    }
}

/// The mean of a pair is rounded up; of an odd row, the last sample stays as it is.
#[inline(always)]
pub(super) fn halve(row: &[u8], len: usize, out: &mut [u8]) -> usize {
    let (pairs, odd) = row[..len].as_chunks::<2>();
    for (out, [a, b]) in out.iter_mut().zip(pairs) {
        *out = (u16::from(*a).wrapping_add(u16::from(*b)).wrapping_add(1) / 2) as u8;
    }
    if let [last] = odd {
        out[pairs.len()] = *last;
    }
    pairs.len() + odd.len()
}

pub(super) fn resample(row: &[u8], columns: &Columns, from: usize, out: &mut [u8]) {
    let taps = columns.starts.iter().zip(&columns.weights);
    for (out, (start, weights)) in out.iter_mut().zip(taps).skip(from) {
        let samples = &row[*start as usize..][..TAPS];
        let products = samples
            .iter()
            .zip(weights)
            .map(|(sample, weight)| u16::from(*sample) * u16::from(*weight));
        *out = rounded(products.sum());
    }
}

#[inline(always)]
pub(super) fn blend(under: &mut [u8], over: &[u8], alpha: u16) {
    for (under, over) in under.iter_mut().zip(over) {
        *under = between(*under, *over, alpha);
    }
}

#[inline(always)]
pub(super) fn blend_mask(under: &mut [u8], over: &[u8], mask: &[u8]) {
    for ((under, over), alpha) in under.iter_mut().zip(over).zip(mask) {
        let alpha = u16::from(*alpha);
        *under = between(*under, *over, alpha.wrapping_add(alpha >> 7));
    }
}

/// 255 * 256 + 128 fits.
#[inline(always)]
fn between(under: u8, over: u8, alpha: u16) -> u8 {
    let under = u16::from(under).wrapping_mul(256u16.wrapping_sub(alpha));
    let over = u16::from(over).wrapping_mul(alpha);
    (under.wrapping_add(over).wrapping_add(128) >> 8) as u8
}

/// `(sample * gain + offset) / 256`, rounded, from 0 to 255; `gain` is at most 2^12 and `offset` 2^20 from zero.
#[inline(always)]
pub(super) fn affine(row: &mut [u8], gain: i32, offset: i32) {
    for sample in row {
        let value = i32::from(*sample)
            .wrapping_mul(gain)
            .wrapping_add(offset)
            .wrapping_add(128)
            >> 8;
        *sample = value.clamp(0, 255) as u8;
    }
}

/// Both become the picture before, moved towards the new one by a share of `floor + difference * slope`, of 256. The
/// product is 255 * 256 + 128 at most.
#[inline(always)]
pub(super) fn settle(before: &mut [u8], new: &mut [u8], floor: u16, slope: u16) {
    for (before, new) in before.iter_mut().zip(new) {
        let difference = u16::from(new.abs_diff(*before));
        let share = difference.wrapping_mul(slope).wrapping_add(floor).min(256);
        let step = (difference.wrapping_mul(share).wrapping_add(128) >> 8) as u8;
        let settled = if *new >= *before {
            before.wrapping_add(step)
        } else {
            before.wrapping_sub(step)
        };
        *before = settled;
        *new = settled;
    }
}

/// Sums of three samples that lie over one another, the middle one twice; `sums` has one more on either side, which is that of
/// the edge.
#[inline(always)]
pub(super) fn sum_columns([above, row, below]: [&[u8]; 3], sums: &mut [u16]) {
    let len = row.len();
    let [above, below] = [above, below].map(|row| &row[..len]);
    let middle = &mut sums[1..][..len];
    for x in 0..len {
        middle[x] = u16::from(above[x])
            .wrapping_add(u16::from(below[x]))
            .wrapping_add(u16::from(row[x]).wrapping_mul(2));
    }
    sums[0] = sums[1];
    sums[len + 1] = sums[len];
}

/// What the sums of the columns say of the neighbourhood is taken from `row` `amount` times, in 32nds, 128 at most: 255 * 128 + 16
/// fits.
#[inline(always)]
pub(super) fn unsharp(row: &[u8], sums: &[u16], amount: i16, out: &mut [u8]) {
    let len = out.len();
    let (row, sums) = (&row[..len], &sums[..len + 2]);
    for x in 0..len {
        let around = sums[x]
            .wrapping_add(sums[x + 2])
            .wrapping_add(sums[x + 1].wrapping_mul(2))
            .wrapping_add(8)
            >> 4;
        let sample = i16::from(row[x]);
        let detail = sample.wrapping_sub(around as i16);
        let sharper = sample.wrapping_add(detail.wrapping_mul(amount).wrapping_add(16) >> 5);
        out[x] = sharper.clamp(0, 255) as u8;
    }
}

/// The mean of as many samples as are between two of `sums`, which holds what all before each add up to.
#[inline(always)]
pub(super) fn box_row(sums: &[u32], window: usize, share: u32, out: &mut [u8]) {
    let len = out.len();
    let (ends, starts) = (&sums[window..][..len], &sums[..len]);
    for x in 0..len {
        out[x] = mean(ends[x].wrapping_sub(starts[x]), share);
    }
}

/// The mean of what `sums` holds of each column, once a row has come and one has gone.
#[inline(always)]
pub(super) fn box_column(sums: &mut [u16], comes: &[u8], goes: &[u8], share: u32, out: &mut [u8]) {
    let len = out.len();
    let (sums, comes, goes) = (&mut sums[..len], &comes[..len], &goes[..len]);
    for x in 0..len {
        sums[x] = sums[x]
            .wrapping_add(u16::from(comes[x]))
            .wrapping_sub(u16::from(goes[x]));
        out[x] = mean(u32::from(sums[x]), share);
    }
}

/// 255 * 65 samples times a 65th of 2^16 fits.
#[inline(always)]
fn mean(sum: u32, share: u32) -> u8 {
    (sum.wrapping_mul(share).wrapping_add(1 << 15) >> 16) as u8
}
