//! One picture into one rectangle of the canvas.

use crate::kernels::{Columns, Kernels, ROW_PADDING};
use crate::rect::{Fit, Rect, Size};
use crate::taps::{Tap, axis, halvings};
use crate::view::{Plane, PlaneMut, View, ViewMut};

/// Scales pictures of one size into one rectangle. Everything that depends only on the geometry is computed when it
/// is made; a picture then costs only the inner loops.
///
/// Reduction averages over the area, enlargement is bilinear. Vertical first, then horizontal, in between rounded
/// to 8 bits.
#[derive(Clone, Debug)]
pub struct Scaler {
    source: Size,
    target: Rect,
    luma: Pass,
    chroma: Pass,
    kernels: Kernels,
    scratch: Scratch,
}

/// How one plane is scaled.
#[derive(Clone, Debug)]
struct Pass {
    /// The part of the source plane that is shown.
    crop: Rect,
    target: Rect,
    rows: Vec<Tap>,
    halvings: u32,
    /// `None` where columns map one to one.
    columns: Option<Columns>,
}

#[derive(Clone, Debug, Default)]
struct Scratch {
    row: Vec<u8>,
    halved: Vec<u8>,
    sums: Vec<u16>,
}

impl Scaler {
    /// From pictures of the size `source` into `rect`, whose edges are even.
    #[must_use]
    pub fn new(source: Size, rect: Rect, fit: Fit, kernels: Kernels) -> Self {
        let (crop, target) = geometry(source, rect, fit);
        let luma = Pass::new(crop, target);
        let chroma = Pass::new(crop.chroma(), target.chroma());
        Self {
            source,
            target,
            luma,
            chroma,
            kernels,
            scratch: Scratch::default(),
        }
    }

    /// The size of pictures that it takes.
    #[must_use]
    pub fn source(&self) -> Size {
        self.source
    }

    /// What it paints: all of the rectangle, or less where there are bars.
    #[must_use]
    pub fn target(&self) -> Rect {
        self.target
    }

    /// Paints one picture; false, and nothing is painted, if the picture or the canvas has another size than this
    /// was made for.
    pub fn draw(&mut self, source: &View<'_>, canvas: &mut ViewMut<'_>) -> bool {
        if source.size() != self.source || self.target.intersection(Rect::of(canvas.size())) != self.target {
            return false;
        }
        let passes = [&self.luma, &self.chroma, &self.chroma];
        for ((pass, from), to) in passes.into_iter().zip(source.planes()).zip(canvas.planes_mut()) {
            pass.run(self.kernels, &mut self.scratch, from, to);
        }
        true
    }
}

/// Which part of a picture is seen, and where.
pub(crate) fn geometry(source: Size, rect: Rect, fit: Fit) -> (Rect, Rect) {
    let target = match fit {
        Fit::Contain if !source.is_empty() && !rect.is_empty() => {
            rect.centred(source.scaled_into(rect.size()))
        }
        Fit::Contain | Fit::Cover | Fit::Stretch => rect,
    };
    let crop = match fit {
        Fit::Cover if source.width > 1 && source.height > 1 && !rect.is_empty() => {
            Rect::of(source).centred(rect.size().scaled_into(source))
        }
        Fit::Contain | Fit::Cover | Fit::Stretch => Rect {
            x: 0,
            y: 0,
            width: source.width,
            height: source.height,
        },
    };
    (crop, target)
}

impl Pass {
    fn new(crop: Rect, target: Rect) -> Self {
        let halvings = halvings(crop.width, target.width);
        let same = crop.width == target.width;
        let columns = (!same).then(|| Columns::new(&axis(crop.width, target.width, halvings)));
        Self {
            crop,
            target,
            rows: axis(crop.height, target.height, 0),
            halvings,
            columns,
        }
    }

    fn run(&self, kernels: Kernels, scratch: &mut Scratch, from: &Plane<'_>, to: &mut PlaneMut<'_>) {
        scratch.row.resize(self.crop.width + ROW_PADDING, 0);
        scratch.halved.resize(self.crop.width + ROW_PADDING, 0);
        let mut rows: Vec<&[u8]> = Vec::with_capacity(8);
        for (y, tap) in self.rows.iter().enumerate() {
            let first = self.crop.y + tap.start;
            let crop = |row: usize| &from.row(row)[self.crop.x..][..self.crop.width];
            rows.clear();
            rows.extend((first..first + tap.weights.len()).map(crop));
            let out = to.span_mut(self.target.x, self.target.y + y, self.target.width);
            match &self.columns {
                None => kernels.mix_rows(&rows, &tap.weights, &mut scratch.sums, out),
                Some(columns) => {
                    let mixed = &mut scratch.row[..self.crop.width];
                    kernels.mix_rows(&rows, &tap.weights, &mut scratch.sums, mixed);
                    self.halve(kernels, scratch);
                    debug_assert_eq!(columns.len(), out.len());
                    kernels.resample(&scratch.row, columns, out);
                }
            }
        }
    }

    fn halve(&self, kernels: Kernels, scratch: &mut Scratch) {
        let mut len = self.crop.width;
        for _ in 0..self.halvings {
            len = kernels.halve(&scratch.row, len, &mut scratch.halved);
            std::mem::swap(&mut scratch.row, &mut scratch.halved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scaler;
    use crate::color::Color;
    use crate::frame::Frame;
    use crate::kernels::Kernels;
    use crate::rect::{Fit, Rect, Size};
    use crate::view::View;
    use proptest::prelude::{Strategy, any, prop, proptest};

    /// A picture of noise whose rows lie `stride` apart, at an odd address.
    fn noise(size: Size, stride: usize, seed: u32, use_it: impl FnOnce(View<'_>)) {
        let mut state = seed | 1;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(stride * size.height + 1)
        .collect();
        let plane = (&bytes[1..], stride);
        use_it(View::new(size, [plane; 3]).expect("a view"));
    }

    fn scaled(view: &View<'_>, canvas: Size, rect: Rect, fit: Fit, kernels: Kernels) -> Vec<u8> {
        let mut canvas = Frame::new(canvas).expect("a canvas");
        canvas.fill(Color { y: 1, u: 2, v: 3 });
        assert!(Scaler::new(view.size(), rect, fit, kernels).draw(view, &mut canvas.view_mut()));
        canvas.view().to_packed()
    }

    fn flat(size: Size, value: u8) -> Frame {
        let mut frame = Frame::new(size).expect("a picture");
        frame.fill(Color {
            y: value,
            u: value,
            v: value,
        });
        frame
    }

    fn luma_of(frame: &Frame, y: usize) -> Vec<u8> {
        frame.view().planes()[0].row(y).to_vec()
    }

    #[test]
    fn the_same_size_is_an_exact_copy() {
        let size = Size::new(46, 30);
        noise(size, 50, 7, |view| {
            assert_eq!(
                scaled(&view, size, Rect::of(size), Fit::Stretch, Kernels::detect()),
                view.to_packed()
            );
        });
    }

    #[test]
    fn a_flat_picture_stays_flat_at_every_size() {
        for (width, height) in [(1, 1), (3, 5), (64, 36), (641, 359), (1000, 20)] {
            for value in [0, 1, 127, 128, 254, 255] {
                let source = flat(Size::new(width, height), value);
                let canvas = Size::new(66, 38);
                let out = scaled(
                    &source.view(),
                    canvas,
                    Rect::of(canvas),
                    Fit::Stretch,
                    Kernels::detect(),
                );
                assert!(
                    out.iter().all(|sample| *sample == value),
                    "{width} x {height} of {value}"
                );
            }
        }
    }

    #[test]
    fn reduction_averages_what_it_covers() {
        // A checkerboard of single samples has to become grey at 2:1, 3:1, 4:1 and 6:1, not a pattern.
        let size = Size::new(96, 96);
        let board: Vec<u8> = (0..96 * 96)
            .map(|n| if (n % 96 + n / 96) % 2 == 0 { 255 } else { 0 })
            .collect();
        let view = View::new(size, [(&board, 96); 3]).expect("a view");
        for side in [48, 32, 24, 16] {
            let canvas = Size::new(side, side);
            let out = scaled(&view, canvas, Rect::of(canvas), Fit::Stretch, Kernels::detect());
            let luma = &out[..side * side];
            let (low, high) = if side == 32 { (110, 145) } else { (127, 129) };
            assert!(
                luma.iter().all(|sample| (low..=high).contains(sample)),
                "{side}: {luma:?}"
            );
        }
    }

    #[test]
    fn enlargement_of_a_ramp_is_a_ramp_without_shift() {
        let ramp: Vec<u8> = (0..16).flat_map(|_| (0..32).map(|x| x * 8)).collect();
        let view = View::new(Size::new(32, 16), [(&ramp, 32); 3]).expect("a view");
        let canvas = Size::new(64, 32);
        let out = scaled(&view, canvas, Rect::of(canvas), Fit::Stretch, Kernels::detect());
        for (x, sample) in out[..64].iter().enumerate() {
            let exact = ((x as f32 + 0.5) / 2.0 - 0.5).clamp(0.0, 31.0) * 8.0;
            assert!(
                (f32::from(*sample) - exact).abs() <= 1.0,
                "{x}: {sample} for {exact}"
            );
        }
    }

    #[test]
    fn contain_leaves_bars_and_cover_cuts() {
        let source = flat(Size::new(40, 40), 200);
        let rect = Rect::even(0, 0, 32, 18);
        let contain = Scaler::new(source.size(), rect, Fit::Contain, Kernels::detect());
        assert_eq!(
            contain.target(),
            Rect {
                x: 6,
                y: 0,
                width: 18,
                height: 18
            }
        );
        let mut canvas = Frame::new(Size::new(32, 18)).expect("a canvas");
        let mut cover = Scaler::new(source.size(), rect, Fit::Cover, Kernels::detect());
        assert!(cover.draw(&source.view(), &mut canvas.view_mut()));
        assert_eq!(luma_of(&canvas, 17), [200; 32]);
    }

    #[test]
    fn cover_shows_the_middle() {
        let columns: Vec<u8> = (0..20)
            .flat_map(|_| (0..80u8).map(|x| if (20..60).contains(&x) { 200 } else { 0 }))
            .collect();
        let view = View::new(Size::new(80, 20), [(&columns, 80); 3]).expect("a view");
        let canvas = Size::new(40, 20);
        let out = scaled(&view, canvas, Rect::of(canvas), Fit::Cover, Kernels::detect());
        assert!(out[..800].iter().all(|sample| *sample == 200));
    }

    #[test]
    fn nothing_outside_of_the_rectangle_is_touched() {
        let source = flat(Size::new(100, 70), 200);
        let canvas = Size::new(64, 64);
        let rect = Rect::even(10, 20, 30, 12);
        let out = scaled(&source.view(), canvas, rect, Fit::Stretch, Kernels::detect());
        for (index, sample) in out[..64 * 64].iter().enumerate() {
            let inside = (10..40).contains(&(index % 64)) && (20..32).contains(&(index / 64));
            assert_eq!(*sample, if inside { 200 } else { 1 });
        }
    }

    #[test]
    fn a_picture_of_another_size_or_a_rectangle_outside_paints_nothing() {
        let source = flat(Size::new(20, 20), 200);
        let mut canvas = Frame::new(Size::new(32, 32)).expect("a canvas");
        let rect = Rect::of(Size::new(32, 32));
        let mut scaler = Scaler::new(Size::new(21, 20), rect, Fit::Stretch, Kernels::detect());
        assert!(!scaler.draw(&source.view(), &mut canvas.view_mut()));
        let outside = Rect::even(20, 20, 20, 20);
        let mut scaler = Scaler::new(source.size(), outside, Fit::Stretch, Kernels::detect());
        assert!(!scaler.draw(&source.view(), &mut canvas.view_mut()));
        assert_eq!(luma_of(&canvas, 31), [16; 32]);
    }

    fn sizes(most: usize) -> impl Strategy<Value = Size> {
        (1..most, 1..most).prop_map(|(width, height)| Size::new(width, height))
    }

    proptest! {
        /// The scalar inner loops are the specification of the others.
        #[test]
        fn every_kernel_gives_the_same_bytes(
            source in sizes(300), padding in 0usize..40, canvas in sizes(300), seed in any::<u32>(),
            fit in prop::sample::select(vec![Fit::Contain, Fit::Cover, Fit::Stretch]),
        ) {
            let canvas = Size::new(canvas.width + 1, canvas.height + 1);
            noise(source, source.width + padding, seed, |view| {
                let rect = Rect::of(canvas);
                let fast = scaled(&view, canvas, rect, fit, Kernels::detect());
                let scalar = scaled(&view, canvas, rect, fit, Kernels::scalar());
                assert!(fast == scalar, "{source:?} to {rect:?}, {fit:?}");
            });
        }
    }
}
