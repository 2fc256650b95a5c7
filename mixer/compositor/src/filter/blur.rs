//! Three boxes, one after the other, along rows and along columns: as good as a Gaussian to the eye, at the same cost for every
//! radius.

use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::view::{Plane, PlaneMut};

/// The largest radius in samples of luma.
pub const MAX_RADIUS: usize = 32;

/// Boxes that are as good as a Gaussian.
const BOXES: usize = 3;

#[derive(Debug)]
pub(super) struct Blur {
    radius: usize,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    /// What all samples of a row before each add up to.
    rows: Vec<u32>,
    /// What the samples of a window of each column add up to.
    columns: Vec<u16>,
}

/// A box of `2 * radius + 1` samples.
#[derive(Clone, Copy)]
struct Window {
    radius: usize,
    /// Of 2^16.
    share: u32,
}

impl Blur {
    pub(super) fn new(radius: usize) -> Self {
        Self {
            radius: radius.clamp(1, MAX_RADIUS),
            scratch: Scratch::default(),
        }
    }

    /// Chroma has half of the radius, as it has half of the size. `from` is painted on too.
    pub(super) fn run(&mut self, from: &mut Frame, to: &mut Frame, kernels: Kernels) {
        let (mut from, mut to) = (from.view_mut(), to.view_mut());
        let planes = from.planes_mut().iter_mut().zip(to.planes_mut());
        let radii = [self.radius, self.radius.div_ceil(2), self.radius.div_ceil(2)];
        for ((from, to), radius) in planes.zip(radii) {
            let window = Window::new(radius);
            for y in 0..from.size().height {
                self.scratch.blur_row(from.row_mut(y), window, kernels);
            }
            // An odd number of passes ends on `to`.
            self.scratch.blur_columns(&from.as_plane(), to, window, kernels);
            self.scratch.blur_columns(&to.as_plane(), from, window, kernels);
            self.scratch.blur_columns(&from.as_plane(), to, window, kernels);
        }
    }
}

impl Window {
    fn new(radius: usize) -> Self {
        let len = 2 * radius as u32 + 1;
        Self {
            radius,
            share: ((1 << 16) + len / 2) / len,
        }
    }

    const fn len(self) -> usize {
        2 * self.radius + 1
    }
}

impl Scratch {
    /// Beyond its ends a row goes on as it ends.
    fn blur_row(&mut self, row: &mut [u8], window: Window, kernels: Kernels) {
        for _ in 0..BOXES {
            let (first, last) = (row[0], row[row.len() - 1]);
            let before = std::iter::repeat_n(first, window.radius);
            let after = std::iter::repeat_n(last, window.radius);
            self.rows.clear();
            self.rows.push(0);
            let mut sum = 0;
            let samples = before.chain(row.iter().copied()).chain(after);
            self.rows.extend(samples.map(|sample| {
                sum += u32::from(sample);
                sum
            }));
            kernels.box_row(&self.rows, window.len(), window.share, row);
        }
    }

    fn blur_columns(&mut self, from: &Plane<'_>, to: &mut PlaneMut<'_>, window: Window, kernels: Kernels) {
        let (radius, last) = (window.radius, from.size().height - 1);
        self.columns.clear();
        self.columns.resize(from.size().width, 0);
        // The window of a row before the first: the step to the first is like every other one.
        for offset in 0..window.len() {
            let row = from.row((offset.saturating_sub(radius + 1)).min(last));
            for (sum, sample) in self.columns.iter_mut().zip(row) {
                *sum += u16::from(*sample);
            }
        }
        for y in 0..=last {
            let comes = from.row((y + radius).min(last));
            let goes = from.row(y.saturating_sub(radius + 1));
            kernels.box_column(&mut self.columns, comes, goes, window.share, to.row_mut(y));
        }
    }
}
