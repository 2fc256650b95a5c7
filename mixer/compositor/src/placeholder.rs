//! What is shown of a host without video.

use crate::color::Color;
use crate::frame::Frame;
use crate::rect::Rect;

const TILE: Color = Color::from_rgb(0x1b, 0x22, 0x2e);
const DISC: Color = Color::from_rgb(0x2b, 0x36, 0x48);
const PERSON: Color = Color::from_rgb(0xe8, 0x4a, 0x5f);

/// Steps per sample and direction in which coverage is measured.
const OVERSAMPLING: usize = 4;

/// Paints a dark tile with a disc and a person's silhouette on it, drawn from ellipses.
pub fn draw_placeholder(canvas: &mut Frame, rect: Rect) {
    let rect = rect.intersection(Rect::of(canvas.size()));
    canvas.fill_rect(rect, TILE);
    let side = rect.width.min(rect.height);
    let centre = (
        rect.x as f32 + rect.width as f32 / 2.0,
        rect.y as f32 + rect.height as f32 / 2.0,
    );
    let shape = Shape {
        centre,
        radius: side as f32 * 0.3,
    };
    for (index, plane) in canvas.view_mut().planes_mut().iter_mut().enumerate() {
        let (rect, step) = if index == 0 {
            (rect, 1.0)
        } else {
            (rect.chroma(), 2.0)
        };
        let colors = [TILE, DISC, PERSON].map(|color| color.planes()[index]);
        for y in rect.y..rect.y + rect.height {
            let row = plane.span_mut(rect.x, y, rect.width);
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = shape.sample((rect.x + x) as f32 * step, y as f32 * step, step, colors);
            }
        }
    }
}

struct Shape {
    centre: (f32, f32),
    radius: f32,
}

impl Shape {
    /// The mean of the colours over one sample of `step` by `step` at `(left, top)`.
    fn sample(&self, left: f32, top: f32, step: f32, colors: [u8; 3]) -> u8 {
        if !self.is_near(left, top, step) {
            return colors[0];
        }
        let mut sum = 0u32;
        for row in 0..OVERSAMPLING {
            for column in 0..OVERSAMPLING {
                let at = |n: usize| (n as f32 + 0.5) / OVERSAMPLING as f32 * step;
                sum += u32::from(colors[self.part(left + at(column), top + at(row))]);
            }
        }
        let count = (OVERSAMPLING * OVERSAMPLING) as u32;
        ((sum + count / 2) / count) as u8
    }

    fn is_near(&self, left: f32, top: f32, step: f32) -> bool {
        let reach = self.radius + step;
        (left - self.centre.0).abs() <= reach && (top - self.centre.1).abs() <= reach
    }

    /// 0 is the tile, 1 the disc, 2 the person.
    fn part(&self, x: f32, y: f32) -> usize {
        let (x, y) = (
            (x - self.centre.0) / self.radius,
            (y - self.centre.1) / self.radius,
        );
        let within =
            |cx: f32, cy: f32, rx: f32, ry: f32| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) <= 1.0;
        if !within(0.0, 0.0, 1.0, 1.0) {
            return 0;
        }
        let head = within(0.0, -0.25, 0.32, 0.36);
        let torso = within(0.0, 0.85, 0.66, 0.62);
        if head || torso { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::{DISC, PERSON, TILE, draw_placeholder};
    use crate::color::Color;
    use crate::frame::Frame;
    use crate::rect::{Rect, Size};

    #[test]
    fn the_tile_has_a_person_in_its_middle_and_ends_at_its_edges() {
        let mut canvas = Frame::new(Size::new(320, 180)).expect("a picture");
        let rect = Rect::even(160, 0, 160, 90);
        draw_placeholder(&mut canvas, rect);
        let view = canvas.view();
        let [luma, _, red] = view.planes();
        assert_eq!(luma.row(10)[159], Color::BLACK.y);
        assert_eq!(luma.row(1)[160], TILE.y);
        assert_eq!(luma.row(38)[240], PERSON.y, "head");
        assert_eq!(luma.row(60)[240], PERSON.y, "torso");
        assert_eq!(luma.row(45)[218], DISC.y, "beside the head");
        assert_eq!(red.row(19)[120], PERSON.v);
        assert_eq!(luma.row(90)[240], Color::BLACK.y);
    }

    #[test]
    fn the_silhouette_is_symmetric() {
        let mut canvas = Frame::new(Size::new(128, 72)).expect("a picture");
        draw_placeholder(&mut canvas, Rect::of(Size::new(128, 72)));
        for row in canvas.view().planes().iter().flat_map(crate::view::Plane::rows) {
            assert!(row.iter().eq(row.iter().rev()));
        }
    }

    #[test]
    fn a_tile_outside_of_the_canvas_is_clipped() {
        let mut canvas = Frame::new(Size::new(64, 64)).expect("a picture");
        draw_placeholder(&mut canvas, Rect::even(60, 60, 1000, 1000));
        draw_placeholder(&mut canvas, Rect::even(600, 600, 10, 10));
    }
}
