//! The canvas, and what has to be painted on it.

use crate::color::Color;
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::placeholder::draw_placeholder;
use crate::rect::{Fit, Rect, Size};
use crate::scale::Scaler;
use crate::view::{FrameError, View};

/// Names a tile from one picture of the mix to the next: a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileKey(pub u64);

/// What one tile shows in the next picture of the mix.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// Whose it is.
    pub key: TileKey,
    /// Where it is. What is outside of the canvas is cut off.
    pub rect: Rect,
    /// How the picture gets into it.
    pub fit: Fit,
    /// What is in it.
    pub picture: Picture<'a>,
}

/// What is in a tile.
#[derive(Clone, Copy, Debug)]
pub enum Picture<'a> {
    /// A picture.
    Frame {
        /// The picture.
        view: View<'a>,
        /// Another number for another picture of the same tile: with the same one, nothing is painted.
        id: u64,
    },
    /// The silhouette of a host without video.
    Placeholder,
}

/// The canvas after painting.
#[derive(Debug)]
pub struct Composed<'a> {
    /// All of it.
    pub frame: &'a Frame,
    /// How many tiles were painted; zero means that it is the same as before.
    pub painted: usize,
}

/// Composes pictures of a mix. It keeps the canvas, and paints only what is new: a tile with a new picture, what
/// lies over it, or everything once the tiles are arranged anew. Later tiles lie over earlier ones.
#[derive(Debug)]
pub struct Composition {
    canvas: Frame,
    background: Color,
    kernels: Kernels,
    tiles: Vec<Painted>,
}

/// What a tile on the canvas shows.
#[derive(Debug)]
struct Painted {
    key: TileKey,
    rect: Rect,
    fit: Fit,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Placeholder,
    Frame { id: u64, scaler: Box<Scaler> },
}

impl Composition {
    /// An empty canvas of an even size.
    pub fn new(size: Size, background: Color, kernels: Kernels) -> Result<Self, FrameError> {
        let mut canvas = Frame::new(size)?;
        canvas.fill(background);
        Ok(Self {
            canvas,
            background,
            kernels,
            tiles: Vec::new(),
        })
    }

    /// The size of the canvas.
    #[must_use]
    pub fn size(&self) -> Size {
        self.canvas.size()
    }

    /// Paints the next picture of the mix.
    pub fn compose(&mut self, tiles: &[Tile<'_>]) -> Composed<'_> {
        let mut painted = 0;
        if !self.is_arranged_as(tiles) {
            self.arrange(tiles);
            painted = 1;
        }
        let mut fresh: Vec<Rect> = Vec::new();
        for (old, new) in self.tiles.iter_mut().zip(tiles) {
            let is_covered = fresh.iter().any(|rect| !rect.intersection(old.rect).is_empty());
            if !is_covered && old.shows(&new.picture) {
                continue;
            }
            old.paint(&mut self.canvas, &new.picture, self.background, self.kernels);
            fresh.push(old.rect);
        }
        painted = painted.max(fresh.len());
        Composed {
            frame: &self.canvas,
            painted,
        }
    }

    fn is_arranged_as(&self, tiles: &[Tile<'_>]) -> bool {
        let canvas = Rect::of(self.canvas.size());
        self.tiles.len() == tiles.len()
            && self.tiles.iter().zip(tiles).all(|(old, new)| {
                (old.key, old.rect, old.fit) == (new.key, new.rect.intersection(canvas), new.fit)
            })
    }

    fn arrange(&mut self, tiles: &[Tile<'_>]) {
        let canvas = Rect::of(self.canvas.size());
        self.canvas.fill(self.background);
        self.tiles = tiles
            .iter()
            .map(|tile| Painted {
                key: tile.key,
                rect: tile.rect.intersection(canvas),
                fit: tile.fit,
                content: Content::Nothing,
            })
            .collect();
    }
}

impl Painted {
    fn shows(&self, picture: &Picture<'_>) -> bool {
        match (&self.content, picture) {
            (Content::Nothing, Picture::Frame { .. } | Picture::Placeholder) => false,
            (Content::Placeholder, Picture::Placeholder) => true,
            (Content::Frame { id: old, scaler }, Picture::Frame { view, id }) => {
                old == id && scaler.source() == view.size()
            }
            (Content::Placeholder, Picture::Frame { .. }) | (Content::Frame { .. }, Picture::Placeholder) => {
                false
            }
        }
    }

    fn paint(&mut self, canvas: &mut Frame, picture: &Picture<'_>, background: Color, kernels: Kernels) {
        if self.rect.is_empty() {
            return;
        }
        let Picture::Frame { view, id } = picture else {
            draw_placeholder(canvas, self.rect);
            self.content = Content::Placeholder;
            return;
        };
        let old = std::mem::replace(&mut self.content, Content::Nothing);
        let mut scaler = match old {
            Content::Frame { scaler, .. } if scaler.source() == view.size() => scaler,
            Content::Frame { .. } | Content::Placeholder | Content::Nothing => {
                Box::new(Scaler::new(view.size(), self.rect, self.fit, kernels))
            }
        };
        if scaler.target() != self.rect {
            canvas.fill_rect(self.rect, background);
        }
        scaler.draw(view, &mut canvas.view_mut());
        self.content = Content::Frame { id: *id, scaler };
    }
}

#[cfg(test)]
mod tests {
    use super::{Composition, Picture, Tile, TileKey};
    use crate::color::Color;
    use crate::frame::Frame;
    use crate::kernels::Kernels;
    use crate::layout::grid;
    use crate::rect::{Fit, Rect, Size};

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
            picture,
        }
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
                .compose(&[tile(1, rects[0], &grey, first), tile(2, rects[1], &white, second)])
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
        composition.compose(&[tile(1, rects[0], &grey, 1), tile(2, rects[1], &grey, 1)]);
        let alone = grid(1, CANVAS);
        let composed = composition.compose(&[tile(1, alone[0], &grey, 1)]);
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
        composition.compose(&[tile(1, rect, &wide, 1)]);
        assert_eq!(luma(&composition, 0, 0), 200);
        composition.compose(&[tile(1, rect, &tall, 2)]);
        assert_eq!((luma(&composition, 0, 0), luma(&composition, 64, 36)), (16, 90));
    }

    #[test]
    fn what_lies_over_a_new_picture_is_painted_again() {
        let mut composition = composition();
        let (below, above) = (flat(Size::new(64, 36), 100), flat(Size::new(64, 36), 235));
        let corner = Rect::even(96, 54, 32, 18);
        let mut compose = |id| {
            let tiles = [tile(1, Rect::of(CANVAS), &below, id), tile(2, corner, &above, 1)];
            composition.compose(&tiles).painted
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
        assert_eq!(composition.compose(&[hidden]).painted, 1);
        assert_ne!(luma(&composition, 64, 30), 100);
        assert_eq!(composition.compose(&[hidden]).painted, 0);
        assert_eq!(composition.compose(&[tile(1, rect, &grey, 1)]).painted, 1);
        assert_eq!(luma(&composition, 64, 30), 100);
    }

    #[test]
    fn tiles_outside_of_the_canvas_are_cut_off() {
        let mut composition = composition();
        let grey = flat(Size::new(64, 36), 100);
        let rects = [Rect::even(120, 60, 64, 36), Rect::even(500, 500, 10, 10)];
        composition.compose(&[tile(1, rects[0], &grey, 1), tile(2, rects[1], &grey, 1)]);
        assert_eq!(luma(&composition, 124, 66), 100);
    }
}
