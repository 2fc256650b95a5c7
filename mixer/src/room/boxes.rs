//! What a vision program saw in one host's picture, as lines and letters over it.

use super::dressing::Dressing;
use crate::art::{Line, color};
use crate::vision::Mark;
use lianmai_compositor::{Placed, Rect, Size, Sprite, Window};
use lianmai_timeline::{EdgeTime, Span};

/// Boxes that are drawn anew in one picture of the mix; the others have to wait for the next one.
pub(super) const PER_TICK: usize = 24;

/// For so long what was said last is shown.
const SHOWN_FOR: Span = Span::from_millis(500);

/// Behind the letters: as dense as this.
const PLATE: u8 = 200;

/// All boxes of one host.
#[derive(Default)]
pub(super) struct Boxes {
    marks: Vec<Mark>,
    /// What was said is not drawn yet.
    new: bool,
    /// When it is too old; known with the first picture of the mix that shows it.
    until: Option<EdgeTime>,
    /// Where the picture was for which it was drawn.
    window: Option<Window>,
    drawn: Vec<Drawn>,
}

/// One sprite at one place or two.
struct Drawn {
    sprite: Sprite,
    number: u64,
    corners: Vec<(usize, usize)>,
}

impl Boxes {
    /// In place of what was said before.
    pub(super) fn say(&mut self, marks: Vec<Mark>) {
        self.marks = marks;
        self.new = true;
        self.until = None;
    }

    /// Whether nothing of it is to be shown any more.
    pub(super) fn is_over(&mut self, at: EdgeTime) -> bool {
        at >= *self.until.get_or_insert(at + SHOWN_FOR)
    }

    /// Draws what was said over the picture in this window; without a window there is no picture. What is new waits if there is
    /// nothing left of the `budget`.
    pub(super) fn draw(&mut self, window: Option<Window>, dressing: &mut Dressing, budget: &mut usize) {
        if !self.new && self.window == window {
            return;
        }
        let Some(window) = window else {
            (self.window, self.drawn) = (None, Vec::new());
            return;
        };
        let Some(left) = budget.checked_sub(self.marks.len()) else {
            return;
        };
        *budget = left;
        (self.window, self.new) = (Some(window), false);
        self.drawn.clear();
        for mark in &self.marks {
            if let Some(rect) = window.place(mark.part) {
                self.drawn.extend(lines(mark, rect, &window, dressing));
                self.drawn.extend(letters(mark, rect, &window, dressing));
            }
        }
    }

    /// What was drawn, in its places.
    pub(super) fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        self.drawn.iter().flat_map(|drawn| {
            drawn.corners.iter().map(|(x, y)| Placed {
                sprite: &drawn.sprite,
                id: drawn.number,
                x: *x,
                y: *y,
            })
        })
    }
}

/// Thicker in larger windows.
fn thickness(window: &Window) -> usize {
    (window.target().height / 180).clamp(1, 4) * 2
}

/// Two that lie and two that stand.
fn lines(mark: &Mark, rect: Rect, window: &Window, dressing: &mut Dressing) -> Vec<Drawn> {
    let Rect { x, y, width, height } = rect;
    let thick = thickness(window).min(width).min(height);
    let (right, bottom) = (x + width - thick, y + height - thick);
    let mut side = |size, corners| {
        let sprite = Sprite::plain(size, color(mark.color)).ok()?;
        let number = dressing.number();
        Some(Drawn {
            sprite,
            number,
            corners,
        })
    };
    let lying = side(Size::new(width, thick), vec![(x, y), (x, bottom)]);
    let standing = side(Size::new(thick, height), vec![(x, y), (right, y)]);
    lying.into_iter().chain(standing).collect()
}

/// Over the box, or within it where there is no room over it.
fn letters(mark: &Mark, rect: Rect, window: &Window, dressing: &mut Dressing) -> Option<Drawn> {
    if mark.label.is_empty() {
        return None;
    }
    let target = window.target();
    let size = (target.height / 20).clamp(10, 28);
    let [red, green, blue] = mark.color.0;
    let dark = u32::from(red) * 2 + u32::from(green) * 5 + u32::from(blue) < 1024;
    let line = Line {
        size,
        color: if dark { [255; 3] } else { [0; 3] },
        max_width: target.x + target.width - rect.x,
        plate: Some(([red, green, blue, PLATE], size / 5)),
        alpha: 256,
    };
    let sprite = dressing.write(&mark.label, line)?;
    let height = sprite.size().height;
    let y = if rect.y >= target.y + height {
        rect.y - height
    } else {
        rect.y
    };
    Some(Drawn {
        sprite,
        number: dressing.number(),
        corners: vec![(rect.x, y)],
    })
}
