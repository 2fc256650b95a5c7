//! Labels, watermarks and clocks: made once, kept as long as they are the same.

use super::placing::{Place, in_corner};
use crate::art::{Lettering, Line, share};
use lianmai_compositor::{Placed, Rect, Size, Sprite};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::{Content, Corner, Watermark};
use std::collections::BTreeMap;
use std::time::Duration;

/// Behind the letters of a label.
const PLATE: [u8; 4] = [0, 0, 0, 140];

const DAY: i64 = 24 * 60 * 60;

/// All that lies over the hosts' pictures.
#[derive(Default)]
pub(super) struct Dressing {
    lettering: Option<Lettering>,
    labels: BTreeMap<HostId, Label>,
    marks: Vec<Mark>,
    numbers: u64,
}

/// A host's name, as it was made for a place.
struct Label {
    name: String,
    size: Size,
    sprite: Option<Sprite>,
    number: u64,
}

struct Mark {
    corner: Corner,
    sprite: Option<Sprite>,
    number: u64,
    /// What writes it anew every second, and the second that it shows.
    clock: Option<(Line, i32, Option<i64>)>,
}

impl Dressing {
    /// What to write with.
    pub(super) fn set_lettering(&mut self, lettering: Lettering) {
        self.lettering = Some(lettering);
    }

    /// Makes the watermarks of a scene; `images` are those that are images.
    pub(super) fn set_marks(&mut self, marks: &[Watermark], images: Vec<Option<Sprite>>, canvas: Size) {
        self.marks = marks
            .iter()
            .zip(images)
            .map(|(mark, image)| self.mark(mark, image, canvas))
            .collect();
    }

    fn mark(&mut self, mark: &Watermark, image: Option<Sprite>, canvas: Size) -> Mark {
        let line = |size: u32, color: lianmai_mixer_control::scene::Rgb| Line {
            size: size as usize,
            color: color.0,
            max_width: canvas.width,
            plate: None,
            alpha: share(mark.alpha),
        };
        let (sprite, clock) = match &mark.content {
            Content::Image { .. } => (image, None),
            Content::Text { text, size, color } => (self.write(text, line(*size, *color)), None),
            Content::Clock {
                size,
                color,
                utc_offset_minutes,
            } => (None, Some((line(*size, *color), *utc_offset_minutes, None))),
        };
        Mark {
            corner: mark.corner,
            sprite,
            number: self.number(),
            clock,
        }
    }

    /// Sets the clocks to the time since 1970.
    pub(super) fn set_clocks(&mut self, now: Duration) {
        let now = i64::try_from(now.as_secs()).unwrap_or_default();
        for index in 0..self.marks.len() {
            let Some((line, offset, shown)) = self.marks[index].clock else {
                continue;
            };
            if shown == Some(now) {
                continue;
            }
            let sprite = self.write(&time_of_day(now, offset), line);
            let number = self.number();
            let mark = &mut self.marks[index];
            mark.clock = Some((line, offset, Some(now)));
            mark.sprite = sprite;
            mark.number = number;
        }
    }

    /// Makes the labels of these hosts in their places, and forgets all others.
    pub(super) fn set_labels<'a>(&mut self, hosts: impl Iterator<Item = (HostId, &'a str, &'a Place)>) {
        let mut old = std::mem::take(&mut self.labels);
        for (host, name, place) in hosts {
            let size = place.rect.size();
            let kept = old
                .remove(&host)
                .filter(|label| label.size == size && label.name == name);
            let label = kept.unwrap_or_else(|| Label {
                name: name.to_owned(),
                size,
                sprite: self.write(name, label_line(size)),
                number: self.number(),
            });
            self.labels.insert(host, label);
        }
    }

    /// A host's label: at the bottom left of its place, inside of its border; at the top left if others lie below there.
    pub(super) fn label(&self, host: HostId, place: &Place) -> Option<Placed<'_>> {
        let label = self.labels.get(&host)?;
        let sprite = label.sprite.as_ref()?;
        let Rect { x, y, height, .. } = place.rect;
        let margin = label_margin(label.size);
        Some(Placed {
            sprite,
            id: label.number,
            x: x + margin,
            y: if place.covered {
                y + margin
            } else {
                (y + height).saturating_sub(sprite.size().height + margin)
            },
        })
    }

    /// Everything in the corners of the canvas.
    pub(super) fn marks(&self, canvas: Size) -> impl Iterator<Item = Placed<'_>> {
        self.marks.iter().filter_map(move |mark| {
            let sprite = mark.sprite.as_ref()?;
            let (x, y) = in_corner(canvas, mark.corner, sprite.size());
            Some(Placed {
                sprite,
                id: mark.number,
                x,
                y,
            })
        })
    }

    pub(super) fn write(&mut self, text: &str, line: Line) -> Option<Sprite> {
        self.lettering.as_mut()?.write(text, line)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

/// From the edge of the place, beyond its border and the round of its corners.
fn label_margin(place: Size) -> usize {
    place.height / 24 + 4
}

fn label_line(place: Size) -> Line {
    let size = (place.height / 14).clamp(12, 40);
    Line {
        size,
        color: [255; 3],
        max_width: place.width.saturating_sub(2 * label_margin(place)),
        plate: Some((PLATE, size / 4)),
        alpha: 256,
    }
}

/// `HH:MM:SS` so many minutes east of UTC.
fn time_of_day(seconds: i64, utc_offset_minutes: i32) -> String {
    let second = (seconds + i64::from(utc_offset_minutes) * 60).rem_euclid(DAY);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::time_of_day;

    #[test]
    fn the_time_of_day_turns_over_at_midnight_wherever_that_is() {
        assert_eq!(time_of_day(0, 0), "00:00:00");
        assert_eq!(time_of_day(86_399, 0), "23:59:59");
        assert_eq!(time_of_day(86_400 + 61, 480), "08:01:01");
        assert_eq!(time_of_day(60, -720), "12:01:00");
    }
}
