//! The canvas, and what has to be painted on it.

use crate::blend::{Alpha, blend_part};
use crate::color::Color;
use crate::damage::Damage;
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::layer::{Layer, Tile};
use crate::rect::{Fit, Rect, Size};
use crate::scale::Scaler;
use crate::tile::TileState;
use crate::view::{FrameError, View};

/// The canvas after painting.
#[derive(Debug)]
pub struct Composed<'a> {
    /// All of it.
    pub frame: &'a Frame,
    /// How many layers were painted; zero means that it is the same as before.
    pub painted: usize,
}

/// Composes pictures of a mix. It keeps the canvas, and paints only what is new: a tile with a new picture, what
/// lies over it, or everything once the tiles are arranged anew. Later layers lie over earlier ones.
#[derive(Debug)]
pub struct Composition {
    canvas: Frame,
    background: Color,
    backdrop: Option<Frame>,
    kernels: Kernels,
    tiles: Vec<TileState>,
    sprites: Vec<SpriteState>,
    /// Nothing on the canvas counts.
    void: bool,
}

/// Which sprite is where: how many tiles are below it, its number, its place.
type SpriteState = (usize, u64, Rect);

impl Composition {
    /// An empty canvas of an even size.
    pub fn new(size: Size, background: Color, kernels: Kernels) -> Result<Self, FrameError> {
        let mut canvas = Frame::new(size)?;
        canvas.fill(background);
        Ok(Self {
            canvas,
            background,
            backdrop: None,
            kernels,
            tiles: Vec::new(),
            sprites: Vec::new(),
            void: false,
        })
    }

    /// The size of the canvas.
    #[must_use]
    pub fn size(&self) -> Size {
        self.canvas.size()
    }

    /// The canvas as it was painted last.
    #[must_use]
    pub fn canvas(&self) -> &Frame {
        &self.canvas
    }

    /// What no tile covers from now on: a colour, and a picture over all of it, cut to the shape of the canvas.
    pub fn set_background(&mut self, color: Color, picture: Option<&View<'_>>) -> Result<(), FrameError> {
        self.background = color;
        self.backdrop = picture.map(|view| self.cover(view)).transpose()?;
        self.void = true;
        self.tiles.iter_mut().for_each(TileState::forget);
        Ok(())
    }

    fn cover(&self, view: &View<'_>) -> Result<Frame, FrameError> {
        let mut frame = Frame::new(self.size())?;
        let all = Rect::of(self.size());
        Scaler::new(view.size(), all, Fit::Cover, self.kernels).draw(view, &mut frame.view_mut());
        Ok(frame)
    }

    /// Whether the tiles are where they were, and of the same hosts.
    #[must_use]
    pub fn is_arranged_as(&self, layers: &[Layer<'_>]) -> bool {
        let canvas = Rect::of(self.canvas.size());
        let mut old = self.tiles.iter();
        let same = tiles(layers).all(|new| {
            old.next().is_some_and(|old| {
                (old.key, old.rect, old.fit) == (new.key, new.rect.intersection(canvas), new.fit)
            })
        });
        same && old.next().is_none()
    }

    /// Paints the next picture of the mix.
    pub fn compose(&mut self, layers: &[Layer<'_>]) -> Composed<'_> {
        if !self.is_arranged_as(layers) {
            self.arrange(layers);
        }
        let damage = self.damage(layers);
        let painted = damage
            .rects()
            .iter()
            .map(|rect| self.paint(layers, *rect))
            .sum::<usize>();
        self.void = false;
        Composed {
            frame: &self.canvas,
            painted: painted.max(usize::from(!damage.is_empty())),
        }
    }

    fn arrange(&mut self, layers: &[Layer<'_>]) {
        let canvas = Rect::of(self.canvas.size());
        let rects: Vec<Rect> = tiles(layers).map(|tile| tile.rect.intersection(canvas)).collect();
        let shared = |index: usize| {
            let others = rects.iter().enumerate().filter(|(other, _)| *other != index);
            others
                .map(|(_, rect)| rect)
                .any(|rect| rect.overlaps(rects[index]))
        };
        self.tiles = tiles(layers)
            .enumerate()
            .map(|(index, tile)| TileState::new(tile, rects[index], shared(index)))
            .collect();
        self.void = true;
    }

    /// What is to be painted. What tiles that are kept show is drawn on the way.
    fn damage(&mut self, layers: &[Layer<'_>]) -> Damage {
        let mut damage = Damage::default();
        if self.void {
            damage.add(Rect::of(self.canvas.size()));
        }
        for (state, tile) in self.tiles.iter_mut().zip(tiles(layers)) {
            if !state.shows(tile) {
                state.update(tile, self.background, self.kernels);
                damage.add(state.rect);
            }
        }
        self.place_sprites(layers, &mut damage);
        // Of a tile that is not kept, all or nothing is painted. That grows the damage, which may touch another one.
        while let Some(cut) = self
            .tiles
            .iter()
            .find(|state| state.is_direct() && damage.cuts(state.rect))
        {
            damage.add(cut.rect);
        }
        damage
    }

    fn place_sprites(&mut self, layers: &[Layer<'_>], damage: &mut Damage) {
        let canvas = Rect::of(self.canvas.size());
        let mut below = 0;
        let mut sprites = Vec::with_capacity(self.sprites.len());
        for layer in layers {
            match layer {
                Layer::Tile(_) => below += 1,
                Layer::Sprite(placed) => {
                    sprites.push((below, placed.id, placed.rect().intersection(canvas)));
                }
            }
        }
        for index in 0..sprites.len().max(self.sprites.len()) {
            let (old, new) = (self.sprites.get(index), sprites.get(index));
            if old != new {
                old.into_iter()
                    .chain(new)
                    .for_each(|(_, _, rect)| damage.add(*rect));
            }
        }
        self.sprites = sprites;
    }

    /// Paints one rectangle from below; returns of how many layers.
    fn paint(&mut self, layers: &[Layer<'_>], clip: Rect) -> usize {
        let covered = self
            .tiles
            .iter()
            .rposition(|state| state.is_opaque() && state.rect.intersection(clip) == clip);
        if covered.is_none() {
            self.clear(clip);
        }
        let (mut index, mut painted) = (0, 0);
        for layer in layers {
            let is_hidden = covered.is_some_and(|covered| index < covered);
            match layer {
                Layer::Tile(tile) => {
                    let state = &mut self.tiles[index];
                    index += 1;
                    if !is_hidden && state.rect.overlaps(clip) {
                        state.paint(
                            &mut self.canvas,
                            clip,
                            &tile.picture,
                            self.background,
                            self.kernels,
                        );
                        painted += 1;
                    }
                }
                // A sprite below the tile that covers everything has as many tiles below as that one, or less.
                Layer::Sprite(placed) => {
                    let is_hidden = covered.is_some_and(|covered| index <= covered);
                    if !is_hidden && placed.rect().overlaps(clip) {
                        let (sprite, rect) = (placed.sprite, placed.rect());
                        let alpha = Alpha::Mask(&sprite.mask);
                        blend_part(
                            &mut self.canvas.view_mut(),
                            clip,
                            rect,
                            &sprite.frame.view(),
                            alpha,
                            self.kernels,
                        );
                        painted += 1;
                    }
                }
            }
        }
        painted
    }

    fn clear(&mut self, clip: Rect) {
        let Some(backdrop) = &self.backdrop else {
            return self.canvas.fill_rect(clip, self.background);
        };
        let all = Rect::of(self.canvas.size());
        blend_part(
            &mut self.canvas.view_mut(),
            clip,
            all,
            &backdrop.view(),
            Alpha::OPAQUE,
            self.kernels,
        );
    }
}

fn tiles<'a, 'b>(layers: &'b [Layer<'a>]) -> impl Iterator<Item = &'b Tile<'a>> {
    layers.iter().filter_map(|layer| match layer {
        Layer::Tile(tile) => Some(tile),
        Layer::Sprite(_) => None,
    })
}

#[cfg(test)]
mod tests;
