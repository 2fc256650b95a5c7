//! What lies on the canvas.

use crate::color::Color;
use crate::rect::{Fit, Rect};
use crate::sprite::Sprite;
use crate::view::View;

/// One thing on the canvas.
#[derive(Clone, Copy, Debug)]
pub enum Layer<'a> {
    /// A host.
    Tile(Tile<'a>),
    /// A label, a clock, an image.
    Sprite(Placed<'a>),
}

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
    /// What is drawn around it.
    pub look: Look,
    /// What is in it.
    pub picture: Picture<'a>,
}

/// How a tile is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// How much of it is seen: 0 is nothing, 256 hides what is below.
    pub alpha: u16,
    /// How round its corners are, in samples.
    pub radius: usize,
    /// A line along the inside of its edge: how thick, rounded up to even, and of what colour.
    pub border: Option<(usize, Color)>,
}

impl Look {
    /// Corners, no border, nothing below is seen.
    pub const PLAIN: Self = Self {
        alpha: 256,
        radius: 0,
        border: None,
    };

    /// Whether nothing of what is below is seen.
    pub(crate) const fn is_opaque(self) -> bool {
        self.alpha >= 256 && self.radius == 0
    }
}

impl Default for Look {
    fn default() -> Self {
        Self::PLAIN
    }
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

/// A sprite in its place.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// What.
    pub sprite: &'a Sprite,
    /// Another number for another sprite.
    pub id: u64,
    /// Its left edge.
    pub x: usize,
    /// Its top edge.
    pub y: usize,
}

impl Placed<'_> {
    pub(crate) fn rect(&self) -> Rect {
        self.sprite.at(self.x, self.y)
    }
}

impl<'a> From<Tile<'a>> for Layer<'a> {
    fn from(tile: Tile<'a>) -> Self {
        Self::Tile(tile)
    }
}

impl<'a> From<Placed<'a>> for Layer<'a> {
    fn from(placed: Placed<'a>) -> Self {
        Self::Sprite(placed)
    }
}
