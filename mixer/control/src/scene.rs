//! What a room's picture looks like, as people ask for it: plain data, checked before it reaches a mixer.

mod check;

pub use check::{MAX_BORDER, MAX_FADE_MS, MAX_RADIUS, MAX_REGIONS, MAX_TEXT, MAX_WATERMARKS, SceneError};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The picture of a room's mix. All lengths are pixels of the canvas; what is not said has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Scene {
    /// Where the hosts go.
    pub layout: Layout,
    /// How pictures get into their places, if not as the layout has it.
    pub fit: Option<Fit>,
    /// What no host covers, `#rrggbb`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub background: Rgb,
    /// A PNG file over that colour; its name in the directory of images.
    pub background_image: Option<String>,
    /// A PNG file in place of a host without video.
    pub placeholder: Option<String>,
    /// How round the corners of the hosts' pictures are.
    pub corner_radius: u32,
    /// Around every host.
    pub border: Option<Border>,
    /// Around the host who speaks, in place of `border`.
    pub speaker: Option<Border>,
    /// Whether the hosts' names are shown.
    pub labels: bool,
    /// What lies over everything, later ones over earlier ones.
    pub watermarks: Vec<Watermark>,
    /// How long the hosts' places take to change, in milliseconds.
    pub fade_ms: u32,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            fit: None,
            background: Rgb([0x10, 0x14, 0x1a]),
            background_image: None,
            placeholder: None,
            corner_radius: 0,
            border: None,
            speaker: None,
            labels: false,
            watermarks: Vec::new(),
            fade_ms: 300,
        }
    }
}

/// Where the hosts go. Hosts are taken in the order in which they came; `main` names the one who comes first instead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layout {
    /// Equal cells, as square as it goes.
    #[default]
    Grid,
    /// One host on all of the canvas, the others in small windows over it, along one side.
    Host {
        /// Whose picture is the large one.
        #[serde(default)]
        main: Option<String>,
        /// Where the windows are.
        #[serde(default)]
        side: Side,
    },
    /// One host on all of the canvas, and the next in a corner. Further ones are only heard.
    PictureInPicture {
        /// Whose picture is the large one.
        #[serde(default)]
        main: Option<String>,
        /// Where the small one is.
        #[serde(default)]
        corner: Corner,
        /// Its width, in percent of the canvas.
        #[serde(default = "quarter")]
        percent: u32,
    },
    /// All of the height for each (a PK battle).
    SideBySide,
    /// One host, a shared screen, as large as it goes beside a strip with the others. Nothing is covered.
    Screen {
        /// Whose picture is the large one.
        #[serde(default)]
        main: Option<String>,
        /// Where the strip is.
        #[serde(default)]
        side: Side,
    },
    /// Places of one's own.
    Custom {
        /// Hosts without a place are only heard.
        regions: Vec<Region>,
    },
}

const fn quarter() -> u32 {
    25
}

/// One place of a custom layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Whose it is. Places without a name are for the other hosts, in their order.
    #[serde(default)]
    pub host: Option<String>,
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// To the right of it.
    pub width: u32,
    /// Below it.
    pub height: u32,
    /// Higher ones lie over lower ones; of equal ones, the later.
    #[serde(default)]
    pub z: i32,
    /// 0 is not seen, 1 hides what is below.
    #[serde(default = "opaque")]
    pub alpha: f32,
    /// How the picture gets in, if not as the scene has it.
    #[serde(default)]
    pub fit: Option<Fit>,
    /// As in the scene, for this place alone.
    #[serde(default)]
    pub corner_radius: Option<u32>,
    /// As in the scene, for this place alone.
    #[serde(default)]
    pub border: Option<Border>,
}

const fn opaque() -> f32 {
    1.0
}

/// What to do with a picture whose shape is not that of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// All of the place; what does not fit is cut off evenly.
    Fill,
    /// All of the picture, with bars.
    Fit,
    /// All of both, distorted.
    Stretch,
}

/// An edge of the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Side {
    Left,
    #[default]
    Right,
    Top,
    Bottom,
}

/// A corner of the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    #[default]
    BottomRight,
}

/// A line along the inside of a place's edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Border {
    /// How thick.
    pub width: u32,
    /// `#rrggbb`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub color: Rgb,
}

/// Something that lies over the picture, in a corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Watermark {
    /// What it is.
    pub content: Content,
    /// Where it is.
    #[serde(default)]
    pub corner: Corner,
    /// 0 is not seen, 1 hides what is below.
    #[serde(default = "opaque")]
    pub alpha: f32,
}

/// What a watermark is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// A PNG file at its own size.
    Image {
        /// Its name in the directory of images.
        file: String,
    },
    /// A line of text.
    Text {
        /// The line.
        text: String,
        /// Height of its letters.
        #[serde(default = "text_size")]
        size: u32,
        /// `#rrggbb`.
        #[serde(default = "white")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        color: Rgb,
    },
    /// The time of day.
    Clock {
        /// Height of its digits.
        #[serde(default = "text_size")]
        size: u32,
        /// `#rrggbb`.
        #[serde(default = "white")]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        color: Rgb,
        /// How far ahead of UTC.
        #[serde(default)]
        utc_offset_minutes: i32,
    },
}

const fn text_size() -> u32 {
    24
}

const fn white() -> Rgb {
    Rgb([255; 3])
}

/// Red, green, blue; as text, `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rgb(pub [u8; 3]);

/// A text that is no colour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no colour; say #rrggbb")]
pub struct RgbError(String);

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl FromStr for Rgb {
    type Err = RgbError;

    fn from_str(text: &str) -> Result<Self, RgbError> {
        let refused = || RgbError(text.chars().take(32).collect());
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = u32::from_str_radix(digits.ok_or_else(refused)?, 16).map_err(|_| refused())?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl TryFrom<String> for Rgb {
    type Error = RgbError;

    fn try_from(text: String) -> Result<Self, RgbError> {
        text.parse()
    }
}

impl From<Rgb> for String {
    fn from(rgb: Rgb) -> Self {
        rgb.to_string()
    }
}

#[cfg(test)]
mod tests;
