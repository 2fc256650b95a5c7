//! One tile between two pictures of the mix.

use crate::blend::{Alpha, blend_color, blend_part};
use crate::color::Color;
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::layer::{Look, Picture, Tile, TileKey};
use crate::mask::Mask;
use crate::placeholder::draw_placeholder;
use crate::rect::{Fit, Rect};
use crate::scale::Scaler;
use crate::view::View;

/// What a tile on the canvas shows, and what of it is kept.
///
/// A tile that hides what is below, and with which no other one shares a sample, is scaled straight into its place.
/// Every other one is kept as a surface, which is scaled once a picture: parts of it are then laid on the canvas whenever
/// something beside it moves.
#[derive(Debug)]
pub(crate) struct TileState {
    pub(crate) key: TileKey,
    pub(crate) rect: Rect,
    pub(crate) fit: Fit,
    look: Look,
    content: Content,
    surface: Option<Box<Surface>>,
    /// Another tile has samples in common with it.
    shared: bool,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Placeholder,
    Frame { id: u64, scaler: Box<Scaler> },
}

#[derive(Debug)]
struct Surface {
    frame: Frame,
    /// What is seen of it, if not all.
    mask: Option<Mask>,
    /// The inner edge of the border's round corners.
    corners: Option<Mask>,
}

impl TileState {
    pub(crate) fn new(tile: &Tile<'_>, rect: Rect, shared: bool) -> Self {
        Self {
            key: tile.key,
            rect,
            fit: tile.fit,
            look: tile.look,
            content: Content::Nothing,
            surface: None,
            shared,
        }
    }

    /// Whether all of it is what `tile` shows.
    pub(crate) fn shows(&self, tile: &Tile<'_>) -> bool {
        self.look == tile.look
            && match (&self.content, &tile.picture) {
                (Content::Nothing, Picture::Frame { .. } | Picture::Placeholder) => false,
                (Content::Placeholder, Picture::Placeholder) => true,
                (Content::Frame { id: old, scaler }, Picture::Frame { view, id }) => {
                    old == id && scaler.source() == view.size()
                }
                (Content::Placeholder, Picture::Frame { .. })
                | (Content::Frame { .. }, Picture::Placeholder) => false,
            }
    }

    /// Paints it anew next time, whatever it shows.
    pub(crate) fn forget(&mut self) {
        self.content = Content::Nothing;
    }

    /// Whether parts of it can be painted without the picture.
    pub(crate) fn is_direct(&self) -> bool {
        !self.shared && self.look == Look::PLAIN
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.look.is_opaque()
    }

    /// Takes what it is to show from now on; a surface is drawn, a direct tile is left to [`Self::paint`].
    pub(crate) fn update(&mut self, tile: &Tile<'_>, background: Color, kernels: Kernels) {
        if self.look != tile.look {
            self.look = tile.look;
            self.content = Content::Nothing;
            self.surface = None;
        }
        if self.is_direct() || self.rect.is_empty() {
            return;
        }
        let Some(mut surface) = self
            .surface
            .take()
            .or_else(|| Surface::new(self.rect, self.look).map(Box::new))
        else {
            return;
        };
        let all = Rect::of(self.rect.size());
        let inner = self.look.border.map_or(all, |(width, _)| all.inset(width));
        // Of a tile that is all border the picture is drawn too, so that it is known.
        let target = if inner.is_empty() { all } else { inner };
        self.draw(&mut surface.frame, target, &tile.picture, background, kernels);
        surface.draw_border(self.look, all, inner, kernels);
        self.surface = Some(surface);
    }

    /// Paints the part of it that is in `clip`; of a direct tile, all of it.
    pub(crate) fn paint(
        &mut self,
        canvas: &mut Frame,
        clip: Rect,
        picture: &Picture<'_>,
        background: Color,
        kernels: Kernels,
    ) {
        if self.is_direct() {
            return self.draw(canvas, self.rect, picture, background, kernels);
        }
        let Some(surface) = &self.surface else { return };
        let alpha = surface
            .mask
            .as_ref()
            .map_or(Alpha::Even(self.look.alpha), Alpha::Mask);
        blend_part(
            &mut canvas.view_mut(),
            clip,
            self.rect,
            &surface.frame.view(),
            alpha,
            kernels,
        );
    }

    fn draw(
        &mut self,
        canvas: &mut Frame,
        rect: Rect,
        picture: &Picture<'_>,
        background: Color,
        kernels: Kernels,
    ) {
        if rect.is_empty() {
            return;
        }
        let Picture::Frame { view, id } = picture else {
            draw_placeholder(canvas, rect);
            self.content = Content::Placeholder;
            return;
        };
        let mut scaler = self.scaler(view, rect, kernels);
        if scaler.target() != rect {
            canvas.fill_rect(rect, background);
        }
        scaler.draw(view, &mut canvas.view_mut());
        self.content = Content::Frame { id: *id, scaler };
    }

    fn scaler(&mut self, view: &View<'_>, rect: Rect, kernels: Kernels) -> Box<Scaler> {
        match std::mem::replace(&mut self.content, Content::Nothing) {
            Content::Frame { scaler, .. } if scaler.source() == view.size() => scaler,
            Content::Frame { .. } | Content::Placeholder | Content::Nothing => {
                Box::new(Scaler::new(view.size(), rect, self.fit, kernels))
            }
        }
    }
}

impl Surface {
    fn new(rect: Rect, look: Look) -> Option<Self> {
        let size = rect.size();
        let mask = (look.radius > 0).then(|| Mask::rounded(size, look.radius).dimmed(look.alpha));
        let corners = look.border.and_then(|(width, _)| {
            let inner = Rect::of(size).inset(width);
            let radius = look.radius.saturating_sub(width);
            (radius > 0 && !inner.is_empty()).then(|| Mask::rounded(inner.size(), radius).inverted())
        });
        Some(Self {
            frame: Frame::new(size).ok()?,
            mask,
            corners,
        })
    }

    fn draw_border(&mut self, look: Look, all: Rect, inner: Rect, kernels: Kernels) {
        let Some((_, color)) = look.border else { return };
        if inner.is_empty() {
            return self.frame.fill(color);
        }
        let (right, bottom) = (inner.x + inner.width, inner.y + inner.height);
        for side in [
            Rect::even(0, 0, all.width, inner.y),
            Rect::even(0, bottom, all.width, all.height - bottom),
            Rect::even(0, inner.y, inner.x, inner.height),
            Rect::even(right, inner.y, all.width - right, inner.height),
        ] {
            self.frame.fill_rect(side, color);
        }
        if let Some(corners) = &self.corners {
            blend_color(
                &mut self.frame.view_mut(),
                inner,
                color,
                Alpha::Mask(corners),
                kernels,
            );
        }
    }
}
