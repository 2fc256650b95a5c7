//! What a mixer can show.

use super::{Border, Content, Layout, Region, Scene, Watermark};
use crate::messages::Canvas;

/// Places of a custom layout.
pub const MAX_REGIONS: usize = 16;
/// Watermarks of a scene.
pub const MAX_WATERMARKS: usize = 8;
/// Characters of a text watermark.
pub const MAX_TEXT: usize = 200;
/// The roundest corner.
pub const MAX_RADIUS: u32 = 200;
/// The thickest border.
pub const MAX_BORDER: u32 = 40;
/// The longest cross-fade.
pub const MAX_FADE_MS: u32 = 2_000;

/// Heights of letters.
const TEXT_SIZES: std::ops::RangeInclusive<u32> = 8..=200;
/// Widths of the small picture of a picture in picture, in percent.
const PERCENT: std::ops::RangeInclusive<u32> = 5..=50;
/// The smallest place.
const MIN_SIDE: u32 = 16;
/// Characters of a file's name.
const MAX_FILE: usize = 64;
/// Names of hosts are not longer.
const MAX_NAME_BYTES: usize = 128;
/// East of UTC+14 and west of UTC-12 nobody lives.
const UTC_OFFSETS: std::ops::RangeInclusive<i32> = -720..=840;

/// Why a scene cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// A custom layout of nothing, or of too much.
    #[error("layout: {0} regions; a custom layout has 1 to {MAX_REGIONS}")]
    Regions(usize),
    /// A place that is not on the canvas.
    #[error(
        "layout: region {index} ({width}x{height} at {x},{y}) does not lie on the canvas of {canvas_width}x{canvas_height}"
    )]
    OutOfCanvas {
        /// Which, from 0.
        index: usize,
        /// Its left edge.
        x: u32,
        /// Its top edge.
        y: u32,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The canvas.
        canvas_width: u32,
        /// The canvas.
        canvas_height: u32,
    },
    /// A place in which nothing can be seen.
    #[error("layout: region {index} is {width}x{height}; each side must be {MIN_SIDE} or more")]
    TooSmall {
        /// Which, from 0.
        index: usize,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Two places for one host.
    #[error("layout: host {0:?} has two regions; one host is shown once")]
    Twice(String),
    /// A name that no host can have.
    #[error("layout: the name of a host has {0} bytes; names have 1 to {MAX_NAME_BYTES}")]
    Name(usize),
    /// A small picture that is too small or too large.
    #[error("layout: percent is {0}; it must be from {least} to {most}", least = PERCENT.start(), most = PERCENT.end())]
    Percent(u32),
    /// An alpha out of range.
    #[error("{what}: alpha is {alpha}; it must be from 0 to 1")]
    Alpha {
        /// Whose.
        what: String,
        /// What was said.
        alpha: String,
    },
    /// Corners that are too round.
    #[error("corner_radius is {0}; it must be from 0 to {MAX_RADIUS}")]
    Radius(u32),
    /// A border that is none, or covers the picture.
    #[error("a border's width is {0}; it must be from 1 to {MAX_BORDER}")]
    Border(u32),
    /// Too many watermarks.
    #[error("watermarks: {0} of them; at most {MAX_WATERMARKS} are shown")]
    Watermarks(usize),
    /// A text that is none, or does not fit.
    #[error("watermarks: a text of {0} characters; it must be one line of 1 to {MAX_TEXT}")]
    Text(usize),
    /// Letters that are too small or too large.
    #[error("watermarks: size is {0}; it must be from {least} to {most}", least = TEXT_SIZES.start(), most = TEXT_SIZES.end())]
    TextSize(u32),
    /// No place on earth has this time.
    #[error("watermarks: utc_offset_minutes is {0}; it must be from {least} to {most}", least = UTC_OFFSETS.start(), most = UTC_OFFSETS.end())]
    UtcOffset(i32),
    /// A file that is not one of the directory.
    #[error(
        "{0:?} is no image: say the name of a .png file in the directory of images, made of letters, digits, '.', '-' and '_', at most {MAX_FILE}"
    )]
    File(String),
    /// A fade that is too long.
    #[error("fade_ms is {0}; it must be from 0 to {MAX_FADE_MS}")]
    Fade(u32),
}

impl Scene {
    /// Whether it can be shown on this canvas.
    pub fn check(&self, canvas: Canvas) -> Result<(), SceneError> {
        self.layout.check(canvas)?;
        radius(self.corner_radius)?;
        self.border.iter().chain(&self.speaker).try_for_each(border)?;
        self.background_image
            .iter()
            .chain(&self.placeholder)
            .try_for_each(|name| file(name))?;
        if self.watermarks.len() > MAX_WATERMARKS {
            return Err(SceneError::Watermarks(self.watermarks.len()));
        }
        self.watermarks.iter().try_for_each(Watermark::check)?;
        if self.fade_ms > MAX_FADE_MS {
            return Err(SceneError::Fade(self.fade_ms));
        }
        Ok(())
    }

    /// Whether there is anything to write.
    #[must_use]
    pub fn has_text(&self) -> bool {
        let is_text = |mark: &Watermark| match mark.content {
            Content::Image { .. } => false,
            Content::Text { .. } | Content::Clock { .. } => true,
        };
        self.labels || self.watermarks.iter().any(is_text)
    }

    /// Files of the directory of images that it needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let marks = self.watermarks.iter().filter_map(|mark| match &mark.content {
            Content::Image { file } => Some(file),
            Content::Text { .. } | Content::Clock { .. } => None,
        });
        let own = self.background_image.iter().chain(&self.placeholder);
        own.chain(marks).map(String::as_str)
    }
}

impl Layout {
    fn check(&self, canvas: Canvas) -> Result<(), SceneError> {
        match self {
            Self::Grid | Self::SideBySide => Ok(()),
            Self::Host { main, .. } | Self::Screen { main, .. } => {
                main.iter().try_for_each(|main| name(main))
            }
            Self::PictureInPicture { main, percent, .. } => {
                if !PERCENT.contains(percent) {
                    return Err(SceneError::Percent(*percent));
                }
                main.iter().try_for_each(|main| name(main))
            }
            Self::Custom { regions } => custom(regions, canvas),
        }
    }
}

fn custom(regions: &[Region], canvas: Canvas) -> Result<(), SceneError> {
    if regions.is_empty() || regions.len() > MAX_REGIONS {
        return Err(SceneError::Regions(regions.len()));
    }
    for (index, region) in regions.iter().enumerate() {
        region.check(index, canvas)?;
        let earlier = regions[..index].iter().filter_map(|region| region.host.as_ref());
        if let Some(host) = &region.host
            && earlier.clone().any(|other| other == host)
        {
            return Err(SceneError::Twice(host.clone()));
        }
    }
    Ok(())
}

impl Region {
    fn check(&self, index: usize, canvas: Canvas) -> Result<(), SceneError> {
        let Self {
            x, y, width, height, ..
        } = *self;
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(SceneError::TooSmall { index, width, height });
        }
        let inside = |at: u32, len: u32, end: u32| at.checked_add(len).is_some_and(|at| at <= end);
        if !inside(x, width, canvas.width) || !inside(y, height, canvas.height) {
            return Err(SceneError::OutOfCanvas {
                index,
                x,
                y,
                width,
                height,
                canvas_width: canvas.width,
                canvas_height: canvas.height,
            });
        }
        alpha(|| format!("region {index}"), self.alpha)?;
        self.host.iter().try_for_each(|host| name(host))?;
        self.corner_radius.into_iter().try_for_each(radius)?;
        self.border.iter().try_for_each(border)
    }
}

impl Watermark {
    fn check(&self) -> Result<(), SceneError> {
        alpha(|| "watermarks".to_owned(), self.alpha)?;
        match &self.content {
            Content::Image { file: name } => file(name),
            Content::Text { text, size, .. } => {
                let length = text.chars().count();
                if length == 0 || length > MAX_TEXT || text.chars().any(char::is_control) {
                    return Err(SceneError::Text(length));
                }
                text_size(*size)
            }
            Content::Clock {
                size,
                utc_offset_minutes,
                ..
            } => {
                if !UTC_OFFSETS.contains(utc_offset_minutes) {
                    return Err(SceneError::UtcOffset(*utc_offset_minutes));
                }
                text_size(*size)
            }
        }
    }
}

fn text_size(size: u32) -> Result<(), SceneError> {
    let good = TEXT_SIZES.contains(&size);
    good.then_some(()).ok_or(SceneError::TextSize(size))
}

fn alpha(what: impl FnOnce() -> String, alpha: f32) -> Result<(), SceneError> {
    if (0.0..=1.0).contains(&alpha) {
        return Ok(());
    }
    Err(SceneError::Alpha {
        what: what(),
        alpha: alpha.to_string(),
    })
}

fn radius(radius: u32) -> Result<(), SceneError> {
    (radius <= MAX_RADIUS)
        .then_some(())
        .ok_or(SceneError::Radius(radius))
}

fn border(border: &Border) -> Result<(), SceneError> {
    (1..=MAX_BORDER)
        .contains(&border.width)
        .then_some(())
        .ok_or(SceneError::Border(border.width))
}

fn name(name: &str) -> Result<(), SceneError> {
    (1..=MAX_NAME_BYTES)
        .contains(&name.len())
        .then_some(())
        .ok_or(SceneError::Name(name.len()))
}

fn file(name: &str) -> Result<(), SceneError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let good = name.len() <= MAX_FILE
        && !name.starts_with('.')
        && name.len() > ".png".len()
        && name.ends_with(".png")
        && name.bytes().all(plain);
    good.then_some(())
        .ok_or_else(|| SceneError::File(name.chars().take(MAX_FILE).collect()))
}
