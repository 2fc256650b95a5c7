//! Images and letters: what of a scene is not hosts.

mod image;
mod loader;
mod text;

pub(crate) use loader::{Loader, Prepared, Sources};
pub(crate) use text::{Lettering, Line};

use lianmai_compositor::Color;
use lianmai_mixer_control::scene::Rgb;

/// A scene's colour on the canvas.
pub(crate) const fn color(Rgb([red, green, blue]): Rgb) -> Color {
    Color::from_rgb(red, green, blue)
}

/// A scene's alpha, 0 to 1, as 0 to 256.
pub(crate) fn share(alpha: f32) -> u16 {
    (alpha.clamp(0.0, 1.0) * 256.0).round() as u16
}
