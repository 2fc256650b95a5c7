use super::{Axis, Filter, FilterChain, MAX_RADIUS};
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::rect::Size;
use crate::rotate::Rotation;
use crate::view::View;
use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};

/// A picture of noise whose rows lie `stride` apart, at an odd address.
fn noise<T>(size: Size, stride: usize, seed: u32, use_it: impl FnOnce(View<'_>) -> T) -> T {
    let mut state = seed | 1;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(stride * size.height + 1)
    .collect();
    let plane = (&bytes[1..], stride);
    use_it(View::new(size, [plane; 3]).expect("a view"))
}

/// One row of luma and the two samples of chroma that it has.
fn row(luma: &[u8; 4], blue: [u8; 2], red: [u8; 2]) -> Frame {
    let planes = [(&luma[..], 4), (&blue[..], 2), (&red[..], 2)];
    let view = View::new(Size::new(4, 1), planes).expect("a view");
    Frame::copy_of(&view).expect("a picture")
}

fn filtered(view: &View<'_>, filters: &[Filter]) -> Frame {
    FilterChain::new(filters, Kernels::detect())
        .run(view, Rotation::None, None)
        .expect("a picture")
}

fn packed(view: &View<'_>, filters: &[Filter]) -> Vec<u8> {
    filtered(view, filters).view().to_packed()
}

/// What one filter makes of a row of luma.
fn luma(luma: [u8; 4], filter: Filter) -> Vec<u8> {
    packed(&row(&luma, [128; 2], [128; 2]).view(), &[filter])[..4].to_vec()
}

/// What one filter makes of chroma.
fn chroma(blue: [u8; 2], red: [u8; 2], filter: Filter) -> Vec<u8> {
    packed(&row(&[100; 4], blue, red).view(), &[filter])[4..].to_vec()
}

#[test]
fn brightness_moves_all_luma_by_the_same() {
    assert_eq!(
        luma([16, 100, 200, 235], Filter::Brightness(0.25)),
        [71, 155, 255, 255]
    );
    assert_eq!(
        luma([16, 100, 200, 235], Filter::Brightness(-0.25)),
        [0, 45, 145, 180]
    );
    assert_eq!(
        luma([16, 16, 235, 235], Filter::Brightness(1.0)),
        [235, 235, 255, 255]
    );
}

#[test]
fn contrast_spreads_luma_from_the_middle_and_none_is_grey() {
    assert_eq!(
        luma([60, 125, 126, 200], Filter::Contrast(2.0)),
        [0, 125, 127, 255]
    );
    assert_eq!(
        luma([60, 120, 130, 200], Filter::Contrast(0.5)),
        [93, 123, 128, 163]
    );
    assert_eq!(luma([16, 100, 200, 235], Filter::Contrast(0.0)), [126; 4]);
}

#[test]
fn saturation_spreads_chroma_from_grey_and_none_is_black_and_white() {
    assert_eq!(
        chroma([100, 140], [128, 250], Filter::Saturation(2.0)),
        [72, 152, 128, 255]
    );
    assert_eq!(chroma([90, 240], [16, 128], Filter::Saturation(0.0)), [128; 4]);
    assert_eq!(
        luma([16, 100, 200, 235], Filter::Saturation(0.0)),
        [16, 100, 200, 235]
    );
}

#[test]
fn sharpening_makes_an_edge_steeper_and_leaves_flat_parts() {
    // Of the blurred row, 100 125 175 200, half of the difference is added.
    assert_eq!(
        luma([100, 100, 200, 200], Filter::Sharpen(0.5)),
        [100, 88, 213, 200]
    );
    assert_eq!(luma([77; 4], Filter::Sharpen(4.0)), [77; 4]);
}

#[test]
fn a_blurred_point_is_a_hill_of_the_same_weight() {
    let size = Size::new(21, 21);
    let mut frame = Frame::new(size).expect("a picture");
    frame.fill(crate::Color { y: 0, u: 128, v: 128 });
    frame.view_mut().planes_mut()[0].row_mut(10)[10] = 255;
    let blurred = filtered(&frame.view(), &[Filter::Blur(1)]);
    let view = blurred.view();
    let middle = view.planes()[0].row(10);
    assert_eq!(middle[6..15], [0, 2, 7, 15, 17, 15, 7, 2, 0]);
    let sum: u32 = view.planes()[0]
        .rows()
        .flatten()
        .map(|sample| u32::from(*sample))
        .sum();
    assert!((235..=275).contains(&sum), "{sum}");
}

#[test]
fn small_differences_are_settled_slowly_and_large_ones_at_once() {
    let mut chain = FilterChain::new(&[Filter::Denoise(1.0)], Kernels::detect());
    let mut show = |luma: [u8; 4]| {
        let view = row(&luma, [128; 2], [128; 2]);
        let frame = chain.run(&view.view(), Rotation::None, None).expect("a picture");
        frame.view().planes()[0].row(0).to_vec()
    };
    assert_eq!(show([100; 4]), [100; 4]);
    assert_eq!(show([104, 96, 130, 70]), [101, 99, 130, 70]);
    assert_eq!(show([100; 4]), [101, 99, 100, 100], "a level is not seen");
}

#[test]
fn a_chain_that_starts_anew_does_not_know_what_it_showed() {
    let mut chain = FilterChain::new(&[Filter::Denoise(1.0)], Kernels::detect());
    let mut show = |luma: u8| {
        let frame = chain.run(&row(&[luma; 4], [128; 2], [128; 2]).view(), Rotation::None, None);
        let shown = frame.expect("a picture").view().planes()[0].row(0)[0];
        chain.restart();
        shown
    };
    assert_eq!([show(100), show(104), show(100)], [100, 104, 100]);
}

#[test]
fn noise_of_a_still_picture_is_taken_out() {
    let size = Size::new(64, 48);
    let mut chain = FilterChain::new(&[Filter::Denoise(0.8)], Kernels::detect());
    let error = |frame: &Frame| {
        let view = frame.view();
        let squares: f64 = view.planes()[0]
            .rows()
            .flatten()
            .map(|sample| (f64::from(*sample) - 120.0).powi(2))
            .sum();
        (squares / (64.0 * 48.0)).sqrt()
    };
    let (mut before, mut after) = (0.0, 0.0);
    for seed in 0..20 {
        let mut noisy = noise(size, 64, seed * 77, |view| Frame::copy_of(&view)).expect("a picture");
        for plane in noisy.view_mut().planes_mut() {
            for y in 0..plane.size().height {
                plane
                    .row_mut(y)
                    .iter_mut()
                    .for_each(|sample| *sample = 116 + *sample / 32);
            }
        }
        before = error(&noisy);
        after = error(&chain.run(&noisy.view(), Rotation::None, None).expect("a picture"));
    }
    assert!(after < before * 0.6, "{before} became {after}");
}

#[test]
fn pictures_are_mirrored_and_turned_on_all_planes() {
    let luma = [1, 2, 3, 4, 5, 6];
    let view = View::new(Size::new(3, 2), [(&luma, 3), (&[7, 8], 2), (&[9, 10], 2)]).expect("a view");
    assert_eq!(
        packed(&view, &[Filter::Mirror(Axis::Horizontal)]),
        [3, 2, 1, 6, 5, 4, 8, 7, 10, 9]
    );
    assert_eq!(
        packed(&view, &[Filter::Mirror(Axis::Vertical)]),
        [4, 5, 6, 1, 2, 3, 7, 8, 9, 10]
    );
    let quarter = [Filter::Rotate(Rotation::Quarter)];
    assert_eq!(packed(&view, &quarter), [4, 1, 5, 2, 6, 3, 7, 8, 9, 10]);
    assert_eq!(
        FilterChain::new(&quarter, Kernels::detect()).turned(view.size()),
        Size::new(2, 3)
    );
}

#[test]
fn filters_work_in_their_order() {
    let picture = row(&[100; 4], [128; 2], [128; 2]);
    let (lighter, flat) = (Filter::Brightness(0.25), Filter::Contrast(0.0));
    assert_eq!(packed(&picture.view(), &[lighter, flat])[0], 126);
    assert_eq!(packed(&picture.view(), &[flat, lighter])[0], 181);
}

#[test]
fn the_camera_is_set_upright_before_the_first_filter() {
    let view = View::new(Size::new(2, 1), [(&[1, 2], 2), (&[3], 1), (&[4], 1)]).expect("a view");
    let mut chain = FilterChain::new(&[Filter::Mirror(Axis::Vertical)], Kernels::detect());
    let frame = chain.run(&view, Rotation::Quarter, None).expect("a picture");
    assert_eq!(
        (frame.size(), frame.view().to_packed()),
        (Size::new(1, 2), vec![2, 1, 3, 4])
    );
}

#[test]
fn frames_are_used_again_picture_after_picture() {
    let filters = [
        Filter::Rotate(Rotation::Quarter),
        Filter::Blur(2),
        Filter::Denoise(0.5),
    ];
    let mut chain = FilterChain::new(&filters, Kernels::detect());
    let mut addresses = std::collections::BTreeSet::new();
    let mut reuse = None;
    for seed in 0..50 {
        let frame = noise(Size::new(46, 30), 46, seed, |view| {
            chain.run(&view, Rotation::None, reuse.take()).expect("a picture")
        });
        addresses.insert(frame.view().planes()[0].data().as_ptr() as usize);
        reuse = Some(frame);
    }
    assert!(addresses.len() <= 3, "{} frames were made", addresses.len());
}

fn sizes() -> impl Strategy<Value = Size> {
    (1usize..150, 1usize..90).prop_map(|(width, height)| Size::new(width, height))
}

fn filters() -> impl Strategy<Value = Vec<Filter>> {
    let turns = vec![
        Rotation::None,
        Rotation::Quarter,
        Rotation::Half,
        Rotation::ThreeQuarters,
    ];
    let filter = prop_oneof![
        (-1.5f32..1.5).prop_map(Filter::Brightness),
        (-1f32..5.0).prop_map(Filter::Contrast),
        (-1f32..5.0).prop_map(Filter::Saturation),
        (-1f32..5.0).prop_map(Filter::Sharpen),
        (0..MAX_RADIUS + 9).prop_map(Filter::Blur),
        (-1f32..2.0).prop_map(Filter::Denoise),
        prop::sample::select(turns).prop_map(Filter::Rotate),
        prop::sample::select(vec![Axis::Horizontal, Axis::Vertical]).prop_map(Filter::Mirror),
    ];
    prop::collection::vec(filter, 0..6)
}

proptest! {
    /// The scalar inner loops are the specification of the others.
    #[test]
    fn every_kernel_gives_the_same_bytes(
        size in sizes(), padding in 0usize..40, filters in filters(), seeds in prop::collection::vec(any::<u32>(), 1..4),
    ) {
        let mut chains = [Kernels::detect(), Kernels::scalar()].map(|kernels| FilterChain::new(&filters, kernels));
        for seed in seeds {
            noise(size, size.width + padding, seed, |view| {
                let [fast, scalar] = chains.each_mut().map(|chain| {
                    let frame = chain.run(&view, Rotation::None, None).expect("a picture");
                    assert_eq!(frame.size(), chain.turned(view.size()));
                    frame.view().to_packed()
                });
                assert!(fast == scalar, "{size:?}, {filters:?}");
            });
        }
    }

    #[test]
    fn what_changes_nothing_is_exact(size in sizes(), seed in any::<u32>(), two in 0usize..100) {
        let same = [
            vec![],
            vec![Filter::Brightness(0.0)],
            vec![Filter::Contrast(1.0), Filter::Saturation(1.0)],
            vec![Filter::Sharpen(0.0), Filter::Denoise(0.0)],
            vec![Filter::Mirror(Axis::Horizontal); 2],
            vec![Filter::Mirror(Axis::Vertical); 2],
            vec![Filter::Rotate(Rotation::Quarter); 4],
            vec![Filter::Rotate(Rotation::Half), Filter::Mirror(Axis::Horizontal), Filter::Mirror(Axis::Vertical)],
        ];
        noise(size, size.width + two, seed, |view| {
            for filters in &same {
                assert!(packed(&view, filters) == view.to_packed(), "{filters:?} at {size:?}");
            }
        });
    }

    #[test]
    fn a_blur_keeps_flat_pictures_and_the_mean_of_others(size in sizes(), radius in 1..=MAX_RADIUS, value in any::<u8>()) {
        let mut flat = Frame::new(size).expect("a picture");
        flat.fill(crate::Color { y: value, u: value, v: value });
        assert!(packed(&flat.view(), &[Filter::Blur(radius)]).iter().all(|sample| *sample == value));
        // Within a frame of one value, wide enough for all three boxes, nothing gets lost beyond the edges.
        let room = 3 * MAX_RADIUS;
        let mut spot = Frame::new(Size::new(2 * room + 8, 2 * room + 8)).expect("a picture");
        spot.fill(crate::Color { y: 100, u: 128, v: 128 });
        for y in room..room + 8 {
            spot.view_mut().planes_mut()[0].row_mut(y)[room..room + 8].fill(value);
        }
        let mean = |frame: &Frame| {
            let view = frame.view();
            let sum: f64 = view.planes()[0].rows().flatten().map(|sample| f64::from(*sample)).sum();
            sum / (view.size().width * view.size().height) as f64
        };
        let (before, after) = (mean(&spot), mean(&filtered(&spot.view(), &[Filter::Blur(radius)])));
        assert!((before - after).abs() < 0.5, "{before} became {after}");
    }
}
