//! No inner loops of its own: what the compiler makes of the scalar ones is used.

use super::Columns;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fast {}

impl Fast {
    pub(super) const NAME: &'static str = "none";

    pub(super) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn mix2(self, _: [&[u8]; 2], _: [u8; 2], _: &mut [u8]) {
        match self {}
    }

    pub(super) fn mix3(self, _: [&[u8]; 3], _: [u8; 3], _: &mut [u8]) {
        match self {}
    }

    pub(super) fn mix_many(self, _: &[&[u8]], _: &[u8], _: &mut Vec<u16>, _: &mut [u8]) {
        match self {}
    }

    pub(super) fn halve(self, _: &[u8], _: usize, _: &mut [u8]) -> usize {
        match self {}
    }

    pub(super) fn resample(self, _: &[u8], _: &Columns, _: &mut [u8]) -> usize {
        match self {}
    }

    pub(super) fn blend(self, _: &mut [u8], _: &[u8], _: u16) {
        match self {}
    }

    pub(super) fn blend_mask(self, _: &mut [u8], _: &[u8], _: &[u8]) {
        match self {}
    }

    pub(super) fn affine(self, _: &mut [u8], _: i32, _: i32) {
        match self {}
    }

    pub(super) fn settle(self, _: &mut [u8], _: &mut [u8], _: u16, _: u16) {
        match self {}
    }

    pub(super) fn sum_columns(self, _: [&[u8]; 3], _: &mut [u16]) {
        match self {}
    }

    pub(super) fn unsharp(self, _: &[u8], _: &[u16], _: i16, _: &mut [u8]) {
        match self {}
    }

    pub(super) fn box_row(self, _: &[u32], _: usize, _: u32, _: &mut [u8]) {
        match self {}
    }

    pub(super) fn box_column(self, _: &mut [u16], _: &[u8], _: &[u8], _: u32, _: &mut [u8]) {
        match self {}
    }
}
