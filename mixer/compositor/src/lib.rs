//! Many pictures into one, in I420 (planar YCbCr with 4:2:0 subsampling, 8 bits, limited range).
//!
//! [`Composition`] is the whole: it takes a picture per host and repaints what changed on its canvas. Below it,
//! [`layout`] says where the hosts go, [`Scaler`] brings one picture into its place, [`blend`] puts one over
//! another; [`CrossFade`] goes from one canvas to the next. No I/O, no clock, no threads.
//!
//! Every inner loop exists as a scalar function, which is its specification, and is compiled a second time for
//! AVX2 (the horizontal resampler is written with intrinsics). Both give the same bytes; the choice is made once,
//! in [`Kernels::detect`].
#![forbid(unsafe_code)]

pub mod blend;
mod color;
mod composition;
mod damage;
mod fade;
pub mod filter;
mod frame;
mod kernels;
mod layer;
pub mod layout;
mod mask;
mod placeholder;
mod rect;
mod rotate;
mod scale;
mod sprite;
mod taps;
mod tile;
mod view;
mod window;

pub use color::Color;
pub use composition::{Composed, Composition};
pub use fade::CrossFade;
pub use frame::Frame;
pub use kernels::Kernels;
pub use layer::{Layer, Look, Picture, Placed, Tile, TileKey};
pub use mask::Mask;
pub use placeholder::draw_placeholder;
pub use rect::{Fit, Rect, Size};
pub use rotate::{Rotation, rotate};
pub use scale::Scaler;
pub use sprite::Sprite;
pub use view::{FrameError, MAX_SIDE, Plane, PlaneMut, View, ViewMut};
pub use window::Window;
