//! Where a layout puts the hosts: plain geometry, the same for the same arguments.

use crate::art::{color, share};
use lianmai_compositor::layout::grid;
use lianmai_compositor::{Color, Fit, Look, Rect, Size};
use lianmai_mixer_control::scene::{self, Border, Corner, Layout, Region, Scene, Side};

/// Hosts that layouts show; further ones are only heard. A custom layout shows as many as it has regions.
pub(super) const MAX_SHOWN: usize = 9;

/// One host in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Which of the hosts.
    pub(super) host: usize,
    pub(super) rect: Rect,
    pub(super) fit: Fit,
    pub(super) look: Look,
    /// As the layout has it; places are ordered by it.
    pub(super) z: i32,
    /// Others lie over its lower part: its label is at the top.
    pub(super) covered: bool,
}

/// The places of the hosts with these names, from the lowest to the highest.
pub(super) fn places(scene: &Scene, canvas: Size, names: &[&str]) -> Vec<Place> {
    let count = names.len().min(MAX_SHOWN);
    let (rects, main, fit) = match &scene.layout {
        Layout::Grid => (grid(count, canvas), None, Fit::Contain),
        Layout::SideBySide => (columns(count, canvas), None, Fit::Cover),
        Layout::Host { main, side } => (windows(count, canvas, *side), main.as_deref(), Fit::Cover),
        Layout::PictureInPicture {
            main,
            corner,
            percent,
        } => (
            inset(count, canvas, *corner, *percent),
            main.as_deref(),
            Fit::Cover,
        ),
        Layout::Screen { main, side } => (strip(count, canvas, *side), main.as_deref(), Fit::Contain),
        Layout::Custom { regions } => return custom(scene, regions, names),
    };
    let order = order(names, main);
    rects
        .into_iter()
        .zip(order)
        .enumerate()
        .map(|(index, (rect, host))| {
            let is_below = index == 0 && covers(&scene.layout);
            let look = look(scene, None);
            Place {
                host,
                rect,
                fit: scene.fit.map_or(fit, fit_of),
                look: Look {
                    radius: if is_below { 0 } else { look.radius },
                    ..look
                },
                z: i32::from(index > 0 && covers(&scene.layout)),
                covered: is_below,
            }
        })
        .collect()
}

/// Whether the first host's picture lies below the others, on all of the canvas: then its corners are not round.
const fn covers(layout: &Layout) -> bool {
    match layout {
        Layout::Host { .. } | Layout::PictureInPicture { .. } => true,
        Layout::Grid | Layout::SideBySide | Layout::Screen { .. } | Layout::Custom { .. } => false,
    }
}

/// All hosts, the main one first, if it is there.
fn order(names: &[&str], main: Option<&str>) -> Vec<usize> {
    let main = main.and_then(|main| names.iter().position(|name| *name == main));
    let others = (0..names.len()).filter(|host| Some(*host) != main);
    main.into_iter().chain(others).collect()
}

const fn fit_of(fit: scene::Fit) -> Fit {
    match fit {
        scene::Fit::Fill => Fit::Cover,
        scene::Fit::Fit => Fit::Contain,
        scene::Fit::Stretch => Fit::Stretch,
    }
}

fn look(scene: &Scene, region: Option<&Region>) -> Look {
    let radius = region.and_then(|region| region.corner_radius);
    let border = region.and_then(|region| region.border).or(scene.border);
    Look {
        alpha: region.map_or(256, |region| share(region.alpha)),
        radius: radius.unwrap_or(scene.corner_radius) as usize,
        border: border.map(line),
    }
}

pub(super) fn line(border: Border) -> (usize, Color) {
    (border.width as usize, color(border.color))
}

/// Columns of one width and all of the height.
fn columns(hosts: usize, canvas: Size) -> Vec<Rect> {
    let edge = |column: usize| canvas.width * column / hosts;
    (0..hosts)
        .map(|column| Rect::even(edge(column), 0, edge(column + 1) - edge(column), canvas.height))
        .collect()
}

/// Between windows, and between them and the edge of the canvas.
fn margin(canvas: Size) -> usize {
    canvas.width.max(canvas.height) / 80
}

/// One on all of the canvas, one in a corner.
fn inset(hosts: usize, canvas: Size, corner: Corner, percent: u32) -> Vec<Rect> {
    let (width, height) = (
        canvas.width * percent as usize / 100,
        canvas.height * percent as usize / 100,
    );
    let at = in_corner(canvas, corner, Size::new(width, height));
    let small = Rect::even(at.0, at.1, width, height);
    [Rect::of(canvas), small].into_iter().take(hosts).collect()
}

/// The top left edge of something in a corner, a margin away from both edges.
pub(super) fn in_corner(canvas: Size, corner: Corner, size: Size) -> (usize, usize) {
    let margin = margin(canvas);
    let right = canvas.width.saturating_sub(size.width + margin);
    let bottom = canvas.height.saturating_sub(size.height + margin);
    let (left, top) = (margin.min(right), margin.min(bottom));
    match corner {
        Corner::TopLeft => (left, top),
        Corner::TopRight => (right, top),
        Corner::BottomLeft => (left, bottom),
        Corner::BottomRight => (right, bottom),
    }
}

/// One on all of the canvas, the others in windows of its shape along one side: a quarter of it, or smaller if there are many.
fn windows(hosts: usize, canvas: Size, side: Side) -> Vec<Rect> {
    let Some(count) = hosts.checked_sub(1) else {
        return Vec::new();
    };
    let margin = margin(canvas);
    let (along, _) = axes(canvas, side);
    let fitting = along.saturating_sub(margin) / count.max(1);
    let length = (along / 4).min(fitting.saturating_sub(margin));
    let size = shaped(canvas, side, length);
    let row = row(count, canvas, side, size, margin);
    std::iter::once(Rect::of(canvas)).chain(row).collect()
}

/// One as large as it goes beside a strip a fifth as wide as the canvas, or as high, with the others in it.
fn strip(hosts: usize, canvas: Size, side: Side) -> Vec<Rect> {
    let Some(count) = hosts.checked_sub(1) else {
        return Vec::new();
    };
    if count == 0 {
        return vec![Rect::of(canvas)];
    }
    let margin = margin(canvas) / 2;
    let (along, across) = axes(canvas, side);
    let thick = across / 5;
    let fitting = along.saturating_sub(margin) / count;
    let by_thickness = (thick.saturating_sub(2 * margin)) * along / across;
    let size = shaped(canvas, side, by_thickness.min(fitting.saturating_sub(margin)));
    let rest = across - thick;
    let main = match side {
        Side::Left => Rect::even(thick, 0, rest, canvas.height),
        Side::Right => Rect::even(0, 0, rest, canvas.height),
        Side::Top => Rect::even(0, thick, canvas.width, rest),
        Side::Bottom => Rect::even(0, 0, canvas.width, rest),
    };
    let from_edge = (thick - axes(size, side).1.min(thick)) / 2;
    std::iter::once(main)
        .chain(row(count, canvas, side, size, from_edge))
        .collect()
}

/// How long a side of the canvas is, and how deep it is from there.
const fn axes(size: Size, side: Side) -> (usize, usize) {
    match side {
        Side::Left | Side::Right => (size.height, size.width),
        Side::Top | Side::Bottom => (size.width, size.height),
    }
}

/// The canvas's shape with this length along the side.
fn shaped(canvas: Size, side: Side, length: usize) -> Size {
    let (along, across) = axes(canvas, side);
    let depth = length * across / along.max(1);
    match side {
        Side::Left | Side::Right => Size::new(depth, length),
        Side::Top | Side::Bottom => Size::new(length, depth),
    }
}

/// Windows in a row in the middle of a side, so far from it.
fn row(count: usize, canvas: Size, side: Side, size: Size, from_edge: usize) -> impl Iterator<Item = Rect> {
    let (along, across) = axes(canvas, side);
    let (length, depth) = axes(size, side);
    let gap = margin(canvas) / 2;
    let all = count * length + count.saturating_sub(1) * gap;
    let first = along.saturating_sub(all) / 2;
    let near = match side {
        Side::Left | Side::Top => from_edge,
        Side::Right | Side::Bottom => across.saturating_sub(depth + from_edge),
    };
    (0..count).map(move |index| {
        let at = first + index * (length + gap);
        match side {
            Side::Left | Side::Right => Rect::even(near, at, depth, length),
            Side::Top | Side::Bottom => Rect::even(at, near, length, depth),
        }
    })
}

/// Named regions are for the hosts of these names, the others for the other hosts in their order.
fn custom(scene: &Scene, regions: &[Region], names: &[&str]) -> Vec<Place> {
    let is_named = |name: &str| regions.iter().any(|region| region.host.as_deref() == Some(name));
    let mut others = (0..names.len()).filter(|host| !is_named(names[*host]));
    let mut places: Vec<Place> = regions
        .iter()
        .filter_map(|region| {
            let host = match &region.host {
                Some(name) => names.iter().position(|other| other == name),
                None => others.next(),
            }?;
            let Region {
                x,
                y,
                width,
                height,
                z,
                ..
            } = *region;
            Some(Place {
                host,
                rect: Rect::even(x as usize, y as usize, width as usize, height as usize),
                fit: region.fit.or(scene.fit).map_or(Fit::Cover, fit_of),
                look: look(scene, Some(region)),
                z,
                covered: false,
            })
        })
        .collect();
    places.sort_by_key(|place| place.z);
    places
}

#[cfg(test)]
mod tests {
    use super::{Place, places};
    use lianmai_compositor::{Fit, Rect, Size};
    use lianmai_mixer_control::scene::{Corner, Layout, Scene, Side};
    use proptest::prelude::{Strategy, prop, proptest};

    const HD: Size = Size::new(1280, 720);
    const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

    fn scene(layout: &str) -> Scene {
        serde_json::from_str(&format!(r#"{{"layout": {layout}}}"#)).expect("a scene")
    }

    fn placed(layout: &str, hosts: usize) -> Vec<Place> {
        places(&scene(layout), HD, &NAMES[..hosts])
    }

    fn hosts(places: &[Place]) -> Vec<usize> {
        places.iter().map(|place| place.host).collect()
    }

    #[test]
    fn a_battle_gives_each_a_column() {
        let rects: Vec<Rect> = placed(r#"{"type": "side_by_side"}"#, 2)
            .iter()
            .map(|place| place.rect)
            .collect();
        assert_eq!(rects, [Rect::even(0, 0, 640, 720), Rect::even(640, 0, 640, 720)]);
        assert_eq!(placed(r#"{"type": "side_by_side"}"#, 1)[0].rect, Rect::of(HD));
    }

    #[test]
    fn the_main_host_is_the_one_named_or_the_first() {
        for (layout, expected) in [
            (r#"{"type": "host"}"#, [0, 1, 2]),
            (r#"{"type": "host", "main": "c"}"#, [2, 0, 1]),
            (r#"{"type": "host", "main": "nobody"}"#, [0, 1, 2]),
            (r#"{"type": "screen", "main": "b"}"#, [1, 0, 2]),
        ] {
            assert_eq!(hosts(&placed(layout, 3)), expected, "{layout}");
        }
    }

    #[test]
    fn windows_lie_over_the_host_on_their_side() {
        let places = placed(r#"{"type": "host", "side": "bottom"}"#, 3);
        assert_eq!(places[0].rect, Rect::of(HD));
        assert_eq!((places[1].rect.width, places[1].rect.height), (320, 180));
        assert!(
            places[1..]
                .iter()
                .all(|place| place.rect.y + 180 == 720 - 16 && place.z > 0)
        );
        assert!(places[1].rect.x + 320 < places[2].rect.x);
        assert_eq!([places[0].covered, places[1].covered], [true, false]);
    }

    #[test]
    fn a_picture_in_a_picture_is_in_its_corner_and_a_third_host_is_not_shown() {
        let places = placed(
            r#"{"type": "picture_in_picture", "corner": "top_left", "percent": 20}"#,
            3,
        );
        assert_eq!(hosts(&places), [0, 1]);
        assert_eq!(places[1].rect, Rect::even(16, 16, 256, 144));
    }

    #[test]
    fn a_screen_is_not_covered() {
        for side in ["left", "right", "top", "bottom"] {
            let places = placed(&format!(r#"{{"type": "screen", "side": "{side}"}}"#), 5);
            assert_eq!(places.len(), 5);
            for (index, place) in places.iter().enumerate() {
                assert!(!place.rect.is_empty());
                assert_eq!(place.fit, Fit::Contain);
                let earlier = &places[..index];
                assert!(
                    earlier
                        .iter()
                        .all(|other| other.rect.intersection(place.rect).is_empty()),
                    "{side} {index}"
                );
            }
            assert!(places[0].rect.width * places[0].rect.height >= 1280 * 720 * 79 / 100);
        }
    }

    #[test]
    fn custom_regions_are_for_those_they_name_and_then_for_the_rest_in_order_of_height() {
        let region = |host: &str, x: u32, z: i32| {
            let host = if host.is_empty() {
                String::new()
            } else {
                format!(r#""host": "{host}", "#)
            };
            format!(r#"{{{host}"x": {x}, "y": 1, "width": 101, "height": 100, "z": {z}, "alpha": 0.5}}"#)
        };
        let regions = [
            region("", 0, 5),
            region("a", 200, 0),
            region("gone", 300, 0),
            region("", 400, -1),
        ];
        let layout = format!(r#"{{"type": "custom", "regions": [{}]}}"#, regions.join(","));
        let places = placed(&layout, 4);
        assert_eq!(hosts(&places), [2, 0, 1]);
        assert_eq!(places[2].rect, Rect::even(0, 2, 100, 98), "inwards to even edges");
        assert_eq!((places[0].look.alpha, places[0].fit), (128, Fit::Cover));
    }

    fn layouts() -> impl Strategy<Value = Layout> {
        let side = prop::sample::select(vec![Side::Left, Side::Right, Side::Top, Side::Bottom]);
        let corner = prop::sample::select(vec![
            Corner::TopLeft,
            Corner::TopRight,
            Corner::BottomLeft,
            Corner::BottomRight,
        ]);
        (0..5, side, corner, 5u32..=50).prop_map(|(kind, side, corner, percent)| match kind {
            0 => Layout::Grid,
            1 => Layout::SideBySide,
            2 => Layout::Host { main: None, side },
            3 => Layout::Screen { main: None, side },
            _ => Layout::PictureInPicture {
                main: None,
                corner,
                percent,
            },
        })
    }

    proptest! {
        #[test]
        fn every_layout_has_even_places_inside_of_every_canvas(
            layout in layouts(), hosts in 0usize..12, width in 32usize..1920, height in 32usize..1080,
        ) {
            let canvas = Size::new(2 * width, 2 * height);
            let scene = Scene { layout, ..Scene::default() };
            for place in places(&scene, canvas, &NAMES[..hosts]) {
                let rect = place.rect;
                assert_eq!(rect.intersection(Rect::of(canvas)), rect);
                assert!([rect.x, rect.y, rect.width, rect.height].iter().all(|value| value % 2 == 0));
            }
        }
    }
}
