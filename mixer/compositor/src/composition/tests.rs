use super::Composition;
use crate::color::Color;
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::layer::{Layer, Look, Picture, Placed, Tile, TileKey};
use crate::layout::grid;
use crate::rect::{Fit, Rect, Size};
use crate::sprite::Sprite;
use proptest::prelude::{Strategy, any, prop, proptest};

const CANVAS: Size = Size::new(128, 72);

fn composition() -> Composition {
    Composition::new(CANVAS, Color::BLACK, Kernels::detect()).expect("a canvas")
}

fn flat(size: Size, luma: u8) -> Frame {
    let mut frame = Frame::new(size).expect("a picture");
    frame.fill(Color {
        y: luma,
        u: 128,
        v: 128,
    });
    frame
}

fn tile(key: u64, rect: Rect, frame: &Frame, id: u64) -> Tile<'_> {
    let picture = Picture::Frame {
        view: frame.view(),
        id,
    };
    Tile {
        key: TileKey(key),
        rect,
        fit: Fit::Contain,
        look: Look::PLAIN,
        picture,
    }
}

fn layers<const N: usize>(tiles: [Tile<'_>; N]) -> Vec<Layer<'_>> {
    tiles.map(Layer::Tile).to_vec()
}

fn luma(composition: &Composition, x: usize, y: usize) -> u8 {
    composition.canvas.view().planes()[0].row(y)[x]
}

#[test]
fn only_tiles_with_a_new_picture_are_painted() {
    let (mut composition, rects) = (composition(), grid(2, CANVAS));
    let (grey, white) = (flat(Size::new(64, 36), 100), flat(Size::new(64, 36), 235));
    let mut compose = |first: u64, second: u64| {
        composition
            .compose(&layers([
                tile(1, rects[0], &grey, first),
                tile(2, rects[1], &white, second),
            ]))
            .painted
    };
    assert_eq!(compose(1, 1), 2);
    assert_eq!(compose(1, 1), 0);
    assert_eq!(compose(1, 2), 1);
}

#[test]
fn a_host_that_leaves_leaves_no_trace() {
    let mut composition = composition();
    let grey = flat(Size::new(64, 36), 100);
    let rects = grid(2, CANVAS);
    composition.compose(&layers([
        tile(1, rects[0], &grey, 1),
        tile(2, rects[1], &grey, 1),
    ]));
    let alone = grid(1, CANVAS);
    let composed = composition.compose(&layers([tile(1, alone[0], &grey, 1)]));
    assert!(composed.painted > 0);
    assert!(
        composed.frame.view().planes()[0]
            .rows()
            .flatten()
            .all(|sample| *sample == 100)
    );
    assert_eq!(composition.compose(&[]).painted, 1, "an empty canvas is news too");
    assert_eq!(
        (luma(&composition, 64, 36), composition.compose(&[]).painted),
        (16, 0)
    );
}

#[test]
fn a_picture_of_another_shape_leaves_no_trace_of_the_last_one() {
    let mut composition = composition();
    let (wide, tall) = (flat(Size::new(160, 90), 200), flat(Size::new(90, 160), 90));
    let rect = Rect::of(CANVAS);
    composition.compose(&layers([tile(1, rect, &wide, 1)]));
    assert_eq!(luma(&composition, 0, 0), 200);
    composition.compose(&layers([tile(1, rect, &tall, 2)]));
    assert_eq!((luma(&composition, 0, 0), luma(&composition, 64, 36)), (16, 90));
}

#[test]
fn what_lies_over_a_new_picture_is_painted_again() {
    let mut composition = composition();
    let (below, above) = (flat(Size::new(64, 36), 100), flat(Size::new(64, 36), 235));
    let corner = Rect::even(96, 54, 32, 18);
    let mut compose = |id| {
        let tiles = [tile(1, Rect::of(CANVAS), &below, id), tile(2, corner, &above, 1)];
        composition.compose(&layers(tiles)).painted
    };
    assert_eq!((compose(1), compose(2)), (2, 2));
    assert_eq!(luma(&composition, 100, 60), 235);
}

#[test]
fn video_and_placeholder_take_turns() {
    let mut composition = composition();
    let grey = flat(Size::new(64, 36), 100);
    let rect = Rect::of(CANVAS);
    let hidden = Tile {
        picture: Picture::Placeholder,
        ..tile(1, rect, &grey, 1)
    };
    assert_eq!(composition.compose(&layers([hidden])).painted, 1);
    assert_ne!(luma(&composition, 64, 30), 100);
    assert_eq!(composition.compose(&layers([hidden])).painted, 0);
    assert_eq!(composition.compose(&layers([tile(1, rect, &grey, 1)])).painted, 1);
    assert_eq!(luma(&composition, 64, 30), 100);
}

#[test]
fn tiles_outside_of_the_canvas_are_cut_off() {
    let mut composition = composition();
    let grey = flat(Size::new(64, 36), 100);
    let rects = [Rect::even(120, 60, 64, 36), Rect::even(500, 500, 10, 10)];
    composition.compose(&layers([
        tile(1, rects[0], &grey, 1),
        tile(2, rects[1], &grey, 1),
    ]));
    assert_eq!(luma(&composition, 124, 66), 100);
}

#[test]
fn a_window_with_round_corners_shows_what_is_below_in_them_and_costs_no_scaling_of_it() {
    let mut composition = composition();
    let (below, above) = (flat(Size::new(64, 36), 100), flat(Size::new(64, 36), 235));
    let look = Look {
        radius: 8,
        ..Look::PLAIN
    };
    let corner = Rect::even(90, 40, 32, 18);
    let mut compose = |low: u64, high: u64| {
        let window = Tile {
            look,
            ..tile(2, corner, &above, high)
        };
        let layers = layers([tile(1, Rect::of(CANVAS), &below, low), window]);
        composition.compose(&layers).painted
    };
    assert_eq!((compose(1, 1), compose(1, 2), compose(1, 2)), (2, 2, 0));
    assert_eq!(
        (luma(&composition, 90, 40), luma(&composition, 106, 49)),
        (100, 235)
    );
}

#[test]
fn a_border_lies_inside_of_its_tile_and_comes_and_goes_without_a_new_picture() {
    let mut composition = composition();
    let grey = flat(Size::new(64, 36), 100);
    let rect = Rect::even(32, 18, 64, 36);
    let white = Color {
        y: 235,
        u: 128,
        v: 128,
    };
    let bordered = Look {
        border: Some((3, white)),
        ..Look::PLAIN
    };
    for (look, edge) in [(Look::PLAIN, 100), (bordered, 235), (Look::PLAIN, 100)] {
        let tile = Tile {
            look,
            fit: Fit::Stretch,
            ..tile(1, rect, &grey, 1)
        };
        assert_eq!(composition.compose(&layers([tile])).painted, 1);
        let at = |x, y| luma(&composition, x, y);
        assert_eq!(
            [at(32, 30), at(35, 30), at(95, 30), at(60, 18), at(60, 53)],
            [edge; 5]
        );
        assert_eq!([at(31, 30), at(60, 17), at(60, 54)], [16; 3]);
        assert_eq!(
            [at(36, 30), at(60, 22)],
            [100; 2],
            "a width is rounded up to even"
        );
    }
}

#[test]
fn a_background_picture_is_seen_where_no_tile_is_and_leaves_with_the_next_one() {
    let mut composition = composition();
    let (grey, stage) = (flat(Size::new(64, 36), 100), flat(Size::new(31, 17), 60));
    let rects = grid(2, CANVAS);
    let layers = layers([tile(1, rects[0], &grey, 1), tile(2, rects[1], &grey, 1)]);
    composition
        .set_background(Color::BLACK, Some(&stage.view()))
        .expect("a size");
    composition.compose(&layers);
    assert_eq!((luma(&composition, 2, 2), luma(&composition, 20, 36)), (60, 100));
    composition.set_background(Color::BLACK, None).expect("a size");
    composition.compose(&layers);
    assert_eq!((luma(&composition, 2, 2), luma(&composition, 20, 36)), (16, 100));
}

#[test]
fn a_sprite_that_moves_or_leaves_leaves_no_trace() {
    let mut composition = composition();
    let grey = flat(Size::new(64, 36), 100);
    let white = Sprite::from_rgba(Size::new(8, 8), &[[255; 4]; 64], 256).expect("a size");
    let mut compose = |at: Option<(usize, usize)>| {
        let mut layers = layers([tile(1, Rect::of(CANVAS), &grey, 1)]);
        layers.extend(at.map(|(x, y)| {
            Layer::Sprite(Placed {
                sprite: &white,
                id: 1,
                x,
                y,
            })
        }));
        let painted = composition.compose(&layers).painted;
        (painted, luma(&composition, 12, 12), luma(&composition, 40, 12))
    };
    assert_eq!(compose(Some((10, 10))), (2, 235, 100));
    assert_eq!(compose(Some((10, 10))), (0, 235, 100));
    assert_eq!(compose(Some((38, 10))), (2, 100, 235));
    assert_eq!(compose(None), (1, 100, 100));
}

/// What a layer may be, as plain numbers.
#[derive(Clone, Debug)]
struct Any {
    rect: (usize, usize, usize, usize),
    fit: u8,
    alpha: u16,
    radius: usize,
    border: usize,
    picture: usize,
    sprite: bool,
}

fn any_layer() -> impl Strategy<Value = Any> {
    let rect = (0usize..60, 0usize..34, 0usize..40, 0usize..30);
    let look = (
        prop::sample::select(vec![256u16, 256, 128]),
        0usize..12,
        0usize..5,
    );
    (rect, 0u8..3, look, 0usize..4, any::<bool>()).prop_map(
        |(rect, fit, (alpha, radius, border), picture, sprite)| Any {
            rect,
            fit,
            alpha,
            radius: radius.saturating_sub(6),
            border: border.saturating_sub(2),
            picture,
            sprite,
        },
    )
}

/// Each step says which layers are there, and whether each takes its other picture.
fn steps() -> impl Strategy<Value = (Vec<Any>, Vec<(u8, u8, bool)>)> {
    let layers = prop::collection::vec(any_layer(), 1..6);
    (
        layers,
        prop::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 1..6),
    )
}

proptest! {
    /// Painting only what is new gives the same as painting everything.
    #[test]
    fn what_is_kept_is_what_would_be_painted(cast in steps()) {
        let (any, steps) = cast;
        let sizes = [Size::new(33, 19), Size::new(64, 36), Size::new(20, 45)];
        let pictures: Vec<Frame> = sizes
            .iter()
            .enumerate()
            .flat_map(|(index, size)| [flat(*size, 60 + 50 * index as u8), flat(*size, 80 + 50 * index as u8)])
            .collect();
        let half = Sprite::from_rgba(Size::new(11, 7), &[[200, 90, 10, 130]; 77], 256).expect("a size");
        let mut kept = composition();
        for (present, turned, emphasis) in steps {
            let layers: Vec<Layer<'_>> = any
                .iter()
                .enumerate()
                .filter(|(index, _)| present >> index & 1 == 1)
                .map(|(index, any)| {
                    let (x, y, width, height) = any.rect;
                    if any.sprite {
                        return Layer::Sprite(Placed { sprite: &half, id: 1, x: 2 * x, y: 2 * y });
                    }
                    let other = usize::from(turned >> index & 1);
                    let picture = match any.picture {
                        3 => Picture::Placeholder,
                        size => Picture::Frame { view: pictures[2 * size + other].view(), id: other as u64 },
                    };
                    let width_of_border = any.border + usize::from(emphasis) * 2;
                    Layer::Tile(Tile {
                        key: TileKey(index as u64),
                        rect: Rect::even(2 * x, 2 * y, 2 * width, 2 * height),
                        fit: [Fit::Contain, Fit::Cover, Fit::Stretch][usize::from(any.fit)],
                        look: Look {
                            alpha: any.alpha,
                            radius: any.radius,
                            border: (width_of_border > 0).then_some((width_of_border, Color::from_rgb(250, 10, 10))),
                        },
                        picture,
                    })
                })
                .collect();
            let now = kept.compose(&layers).frame.view().to_packed();
            for kernels in [Kernels::detect(), Kernels::scalar()] {
                let mut fresh = Composition::new(CANVAS, Color::BLACK, kernels).expect("a canvas");
                assert!(now == fresh.compose(&layers).frame.view().to_packed());
            }
            assert_eq!(kept.compose(&layers).painted, 0, "nothing is new");
        }
    }
}
