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
