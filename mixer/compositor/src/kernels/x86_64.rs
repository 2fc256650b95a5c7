//! The inner loops for AVX2: the compiler's own vector code, but for the horizontal pass.

use super::{Columns, ROW_PADDING as WINDOW, scalar};
use crate::taps::ONE;
use fearless_simd::{Avx2, Level};

/// Proof that the processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fast(Avx2);

impl Fast {
    pub(super) const NAME: &'static str = "avx2";

    pub(super) fn detect() -> Option<Self> {
        Level::new().as_avx2().map(Self)
    }

    pub(super) fn mix2(self, rows: [&[u8]; 2], weights: [u8; 2], out: &mut [u8]) {
        mix2(self.0, rows, weights, out);
    }

    pub(super) fn mix3(self, rows: [&[u8]; 3], weights: [u8; 3], out: &mut [u8]) {
        mix3(self.0, rows, weights, out);
    }

    pub(super) fn mix_many(self, rows: &[&[u8]], weights: &[u8], sums: &mut Vec<u16>, out: &mut [u8]) {
        mix_many(self.0, rows, weights, sums, out);
    }

    pub(super) fn halve(self, row: &[u8], len: usize, out: &mut [u8]) -> usize {
        halve(self.0, row, len, out)
    }

    /// Returns how many columns were done; the rest is left to the caller.
    pub(super) fn resample(self, row: &[u8], columns: &Columns, out: &mut [u8]) -> usize {
        resample(self.0, row, columns, out)
    }

    pub(super) fn blend(self, under: &mut [u8], over: &[u8], alpha: u16) {
        blend(self.0, under, over, alpha);
    }

    pub(super) fn blend_mask(self, under: &mut [u8], over: &[u8], mask: &[u8]) {
        blend_mask(self.0, under, over, mask);
    }

    pub(super) fn affine(self, row: &mut [u8], gain: i32, offset: i32) {
        affine(self.0, row, gain, offset);
    }

    pub(super) fn settle(self, before: &mut [u8], new: &mut [u8], floor: u16, slope: u16) {
        settle(self.0, before, new, floor, slope);
    }

    pub(super) fn sum_columns(self, rows: [&[u8]; 3], sums: &mut [u16]) {
        sum_columns(self.0, rows, sums);
    }

    pub(super) fn unsharp(self, row: &[u8], sums: &[u16], amount: i16, out: &mut [u8]) {
        unsharp(self.0, row, sums, amount, out);
    }

    pub(super) fn box_row(self, sums: &[u32], window: usize, share: u32, out: &mut [u8]) {
        box_row(self.0, sums, window, share, out);
    }

    pub(super) fn box_column(self, sums: &mut [u16], comes: &[u8], goes: &[u8], share: u32, out: &mut [u8]) {
        box_column(self.0, sums, comes, goes, share, out);
    }
}

fearless_simd::kernel!(
    fn mix2(avx2: Avx2, rows: [&[u8]; 2], weights: [u8; 2], out: &mut [u8]) {
        scalar::mix(rows, weights, out);
    }
);

fearless_simd::kernel!(
    fn mix3(avx2: Avx2, rows: [&[u8]; 3], weights: [u8; 3], out: &mut [u8]) {
        scalar::mix(rows, weights, out);
    }
);

fearless_simd::kernel!(
    fn mix_many(avx2: Avx2, rows: &[&[u8]], weights: &[u8], sums: &mut Vec<u16>, out: &mut [u8]) {
        scalar::mix_many(rows, weights, sums, out);
    }
);

fearless_simd::kernel!(
    fn halve(avx2: Avx2, row: &[u8], len: usize, out: &mut [u8]) -> usize {
        scalar::halve(row, len, out)
    }
);

fearless_simd::kernel!(
    fn blend(avx2: Avx2, under: &mut [u8], over: &[u8], alpha: u16) {
        scalar::blend(under, over, alpha);
    }
);

fearless_simd::kernel!(
    fn blend_mask(avx2: Avx2, under: &mut [u8], over: &[u8], mask: &[u8]) {
        scalar::blend_mask(under, over, mask);
    }
);

fearless_simd::kernel!(
    fn affine(avx2: Avx2, row: &mut [u8], gain: i32, offset: i32) {
        scalar::affine(row, gain, offset);
    }
);

fearless_simd::kernel!(
    fn settle(avx2: Avx2, before: &mut [u8], new: &mut [u8], floor: u16, slope: u16) {
        scalar::settle(before, new, floor, slope);
    }
);

fearless_simd::kernel!(
    fn sum_columns(avx2: Avx2, rows: [&[u8]; 3], sums: &mut [u16]) {
        scalar::sum_columns(rows, sums);
    }
);

fearless_simd::kernel!(
    fn unsharp(avx2: Avx2, row: &[u8], sums: &[u16], amount: i16, out: &mut [u8]) {
        scalar::unsharp(row, sums, amount, out);
    }
);

fearless_simd::kernel!(
    fn box_row(avx2: Avx2, sums: &[u32], window: usize, share: u32, out: &mut [u8]) {
        scalar::box_row(sums, window, share, out);
    }
);

fearless_simd::kernel!(
    fn box_column(avx2: Avx2, sums: &mut [u16], comes: &[u8], goes: &[u8], share: u32, out: &mut [u8]) {
        scalar::box_column(sums, comes, goes, share, out);
    }
);

fearless_simd::kernel!(
    /// Sixteen columns at a time.
    fn resample(avx2: Avx2, row: &[u8], columns: &Columns, out: &mut [u8]) -> usize {
        use fearless_simd::prelude::{SimdBase, SimdInto};
        use fearless_simd::{u8x16, u8x32};
        use std::arch::x86_64::{
            __m256i, _mm_unpacklo_epi32, _mm256_add_epi16, _mm256_castsi256_si128, _mm256_extracti128_si256,
            _mm256_hadd_epi16, _mm256_maddubs_epi16, _mm256_packs_epi16, _mm256_set_m128i, _mm256_set1_epi8,
            _mm256_set1_epi16, _mm256_shuffle_epi8, _mm256_srai_epi16, _mm256_xor_si256,
        };
        let sign = _mm256_set1_epi8(i8::MIN);
        let half = _mm256_set1_epi16(ONE as i16 / 2);
        let (windows, _) = columns.windows.as_chunks::<4>();
        let (shuffles, _) = columns.shuffles.as_chunks::<{ 4 * WINDOW }>();
        let (weights, _) = columns.window_weights.as_chunks::<{ 4 * WINDOW }>();
        let (outs, _) = out.as_chunks_mut::<16>();
        let mut done = 0;
        for (((window, shuffle), weight), out) in windows.iter().zip(shuffles).zip(weights).zip(outs) {
            let load = |at: u32| u8x16::from_slice(avx2, &row[at as usize..][..WINDOW]).into();
            // Samples less 128 times weights: a pair is 128 * 128 at most, and so is the sum of all four.
            let pair = |low: u32, high: u32, at: usize| {
                let samples: __m256i = _mm256_set_m128i(load(high), load(low));
                let shuffle: __m256i = u8x32::from_slice(avx2, &shuffle[at..at + 32]).into();
                let weights: __m256i = u8x32::from_slice(avx2, &weight[at..at + 32]).into();
                let samples = _mm256_xor_si256(_mm256_shuffle_epi8(samples, shuffle), sign);
                _mm256_maddubs_epi16(weights, samples)
            };
            let [a, b, c, d] = *window;
            let sums = _mm256_hadd_epi16(pair(a, b, 0), pair(c, d, 32));
            let means = _mm256_srai_epi16::<7>(_mm256_add_epi16(sums, half));
            let bytes = _mm256_xor_si256(_mm256_packs_epi16(means, means), sign);
            // The low lane has the columns of windows a and c, the high one those of b and d.
            let (low, high) = (
                _mm256_castsi256_si128(bytes),
                _mm256_extracti128_si256::<1>(bytes),
            );
            let ordered: u8x16<Avx2> = _mm_unpacklo_epi32(low, high).simd_into(avx2);
            ordered.store_slice(out);
            done += 16;
        }
        done
    }
);
