//! Lines of text.

use cosmic_text::fontdb::Database;
use cosmic_text::{
    Attrs, Buffer, Color, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, Metrics, Shaping, SwashCache,
    Wrap,
};
use lianmai_compositor::{Size, Sprite};
use std::io;
use std::path::Path;

/// Where Debian's `fonts-wqy-microhei` has it: Latin, Greek, Cyrillic, Chinese, Japanese, Korean in 5 MB.
const DEFAULT_FONT: &str = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc";

/// Glyphs are kept until there are so many.
const MAX_GLYPHS: usize = 4096;

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// Height of the letters in samples.
    pub(crate) size: usize,
    /// Red, green, blue.
    pub(crate) color: [u8; 3],
    /// The line is cut, and ends in dots, where it would be wider.
    pub(crate) max_width: usize,
    /// What is behind the letters, red, green, blue and alpha, and how far it reaches beyond them.
    pub(crate) plate: Option<([u8; 4], usize)>,
    /// Of all of it, 0 to 256.
    pub(crate) alpha: u16,
}

/// Why there are no letters.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FontError {
    /// The file cannot be read.
    #[error("the font {0} cannot be read: {1}")]
    Unreadable(String, io::Error),
    /// There is no font in it.
    #[error("there is no font in {0}")]
    Empty(String),
}

/// Writes with one font.
pub(crate) struct Lettering {
    fonts: FontSystem,
    glyphs: SwashCache,
    family: String,
}

impl Lettering {
    /// Letters of the font in this file, or of the default one.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, FontError> {
        let path = file.unwrap_or(DEFAULT_FONT.as_ref());
        let mut database = Database::new();
        database
            .load_font_file(path)
            .map_err(|error| FontError::Unreadable(path.display().to_string(), error))?;
        let family = database
            .faces()
            .next()
            .and_then(|face| face.families.first())
            .map(|(name, _)| name.clone());
        Ok(Self {
            family: family.ok_or_else(|| FontError::Empty(path.display().to_string()))?,
            fonts: FontSystem::new_with_locale_and_db("en".to_owned(), database),
            glyphs: SwashCache::new(),
        })
    }

    /// Writes one line. Nothing, if nothing of it can be seen.
    pub(crate) fn write(&mut self, text: &str, line: Line) -> Option<Sprite> {
        if self.glyphs.image_cache.len() > MAX_GLYPHS {
            self.glyphs.image_cache.clear();
        }
        let size = line.size as f32;
        let margin = line.plate.map_or(0, |(_, margin)| margin);
        let mut buffer = Buffer::new(&mut self.fonts, Metrics::relative(size, 1.25));
        let room = line.max_width.saturating_sub(2 * margin);
        buffer.set_size(Some(room as f32), None);
        buffer.set_wrap(Wrap::None);
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(1)));
        let attributes = Attrs::new().family(Family::Name(&self.family));
        buffer.set_text(&one_line(text), &attributes, Shaping::Advanced, None);
        buffer.shape_until_scroll(&mut self.fonts, false);
        let (width, height) = {
            let run = buffer.layout_runs().next()?;
            (
                run.line_w.ceil().min(room as f32) as usize,
                run.line_height.ceil() as usize,
            )
        };
        if width == 0 {
            return None;
        }
        let canvas = Size::new(width + 2 * margin, height + 2 * margin);
        let mut page = Page::new(canvas, line.plate.map(|(color, _)| color).unwrap_or_default());
        let [red, green, blue] = line.color;
        let color = Color::rgb(red, green, blue);
        buffer.draw(
            &mut self.fonts,
            &mut self.glyphs,
            color,
            |x, y, width, height, color| {
                for (dx, dy) in (0..height as i32).flat_map(|dy| (0..width as i32).map(move |dx| (dx, dy))) {
                    page.put(x + dx + margin as i32, y + dy + margin as i32, color.as_rgba());
                }
            },
        );
        Sprite::from_rgba(canvas, &page.pixels, line.alpha).ok()
    }
}

/// Names may hold what would begin another line, or turn the rest of the line around.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}'))
        .collect()
}

struct Page {
    size: Size,
    pixels: Vec<[u8; 4]>,
}

impl Page {
    fn new(size: Size, color: [u8; 4]) -> Self {
        Self {
            size,
            pixels: vec![color; size.width * size.height],
        }
    }

    /// Puts a colour over what is there; what is outside is ignored.
    fn put(&mut self, x: i32, y: i32, [red, green, blue, alpha]: [u8; 4]) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x >= self.size.width || y >= self.size.height || alpha == 0 {
            return;
        }
        let below = &mut self.pixels[y * self.size.width + x];
        let (over, under) = (
            u32::from(alpha),
            u32::from(below[3]) * (255 - u32::from(alpha)) / 255,
        );
        let both = over + under;
        let mix = |over_part: u8, under_part: u8| {
            ((u32::from(over_part) * over + u32::from(under_part) * under + both / 2) / both) as u8
        };
        *below = [
            mix(red, below[0]),
            mix(green, below[1]),
            mix(blue, below[2]),
            both as u8,
        ];
    }
}

#[cfg(test)]
mod tests {
    use super::{FontError, Lettering, Line};
    use lianmai_compositor::Sprite;
    use std::io::Write;

    const PLAIN: Line = Line {
        size: 32,
        color: [255, 255, 255],
        max_width: 1000,
        plate: None,
        alpha: 256,
    };

    fn lettering() -> Lettering {
        Lettering::open(None).expect("the font of `cargo xtask setup`: fonts-wqy-microhei")
    }

    fn width(text: &str, line: Line) -> usize {
        lettering()
            .write(text, line)
            .map_or(0, |sprite| sprite.size().width)
    }

    /// How many samples are bright.
    fn ink(sprite: &Sprite) -> usize {
        let view = sprite.frame().view();
        view.planes()[0]
            .rows()
            .flatten()
            .filter(|sample| **sample > 200)
            .count()
    }

    #[test]
    fn latin_and_chinese_letters_are_not_boxes() {
        let mut lettering = lettering();
        let mut inks = Vec::new();
        for text in ["i", "m", "连", "麦", "一"] {
            inks.push(ink(&lettering.write(text, PLAIN).expect("letters")));
        }
        let [i, m, lian, mai, one] = inks[..] else {
            panic!("five")
        };
        assert!(i < m && one < lian && one < mai && lian != mai, "{inks:?}");
    }

    #[test]
    fn a_long_name_is_cut_to_its_room() {
        let long = "a name that goes on and on and on";
        assert!(width(long, PLAIN) > 300);
        let narrow = Line {
            max_width: 200,
            ..PLAIN
        };
        assert!(
            (100..=202).contains(&width(long, narrow)),
            "{}",
            width(long, narrow)
        );
    }

    #[test]
    fn a_plate_reaches_beyond_the_letters() {
        let plate = Line {
            plate: Some(([0, 0, 0, 128], 10)),
            ..PLAIN
        };
        let (bare, plated) = (width("ann", PLAIN), width("ann", plate));
        assert!((18..=22).contains(&(plated - bare)), "{bare} {plated}");
    }

    #[test]
    fn nothing_to_see_is_nothing() {
        assert!(lettering().write("", PLAIN).is_none());
        let no_room = Line {
            plate: Some(([0; 4], 10)),
            max_width: 20,
            ..PLAIN
        };
        assert!(lettering().write("ann", no_room).is_none());
    }

    #[test]
    fn a_name_cannot_begin_a_second_line_or_turn_the_text_around() {
        assert_eq!(super::one_line("a\nb\u{202e}c\u{2028}\td"), "a bc d");
        let mut lettering = lettering();
        let one = lettering.write("ann", PLAIN).expect("letters");
        let two = lettering.write("ann\nbob", PLAIN).expect("letters");
        assert_eq!(one.size().height, two.size().height);
    }

    #[test]
    fn a_font_that_is_not_there_or_none_is_an_error_that_names_it() {
        let error = Lettering::open(Some("/nowhere/x.ttf".as_ref()))
            .err()
            .expect("not there");
        assert!(
            matches!(&error, FontError::Unreadable(name, _) if name == "/nowhere/x.ttf"),
            "{error}"
        );
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"this is not a font").expect("written");
        assert!(Lettering::open(Some(file.path())).is_err());
    }
}
