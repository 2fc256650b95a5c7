//! What is done to the pictures of one host before they are mixed.
//!
//! Each filter is a pure function of a picture, but for the one that takes out noise, which knows what it showed before. All work
//! on any size, and all give the same bytes with every choice of [`Kernels`].

mod blur;
mod denoise;
mod levels;
mod mirror;
mod sharpen;
mod shelf;

use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::rect::Size;
use crate::rotate::{Rotation, rotate};
use crate::view::{FrameError, View};
use blur::Blur;
use denoise::Denoise;
use levels::Levels;
use sharpen::Sharpen;
use shelf::Shelf;

pub use blur::MAX_RADIUS;

/// One step of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filter {
    /// Lighter or darker: 1 makes black white, -1 white black, 0 changes nothing.
    Brightness(f32),
    /// How far luma is from middle grey, times this, 0 to 4.
    Contrast(f32),
    /// How far chroma is from grey, times this, 0 to 4.
    Saturation(f32),
    /// Unsharp mask over 3 x 3 samples of luma: how many times the detail is added, 0 to 4.
    Sharpen(f32),
    /// Three boxes of this radius, 1 to [`MAX_RADIUS`]: close to a Gaussian whose sigma is half a sample more.
    Blur(usize),
    /// What differs little from the picture before is noise, and taken out: how much of it, 0 to 1.
    Denoise(f32),
    /// Turned clockwise.
    Rotate(Rotation),
    /// Mirrored.
    Mirror(Axis),
}

/// What is swapped by a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Left and right.
    Horizontal,
    /// Top and bottom.
    Vertical,
}

/// Filters one after the other, over the pictures of one host. It keeps the frames that it needs in between.
#[derive(Debug)]
pub struct FilterChain {
    steps: Vec<Step>,
    kernels: Kernels,
    shelf: Shelf,
}

/// A filter with what it keeps from picture to picture.
#[derive(Debug)]
enum Step {
    Levels(Levels),
    Sharpen(Sharpen),
    Blur(Blur),
    Denoise(Denoise),
    Rotate(Rotation),
    Mirror(Axis),
}

impl FilterChain {
    /// Without filters it does nothing. Values out of range count as the nearest that is in it.
    #[must_use]
    pub fn new(filters: &[Filter], kernels: Kernels) -> Self {
        Self {
            steps: filters.iter().map(|filter| Step::new(*filter)).collect(),
            kernels,
            shelf: Shelf::default(),
        }
    }

    /// The size that a picture of this size has after it.
    #[must_use]
    pub fn turned(&self, size: Size) -> Size {
        self.steps.iter().fold(size, |size, step| match step {
            Step::Rotate(rotation) => rotation.turned(size),
            Step::Levels(_) | Step::Sharpen(_) | Step::Blur(_) | Step::Denoise(_) | Step::Mirror(_) => size,
        })
    }

    /// A copy of `view`, turned by `rotation` and filtered. `reuse` is a frame that may be painted on.
    pub fn run(
        &mut self,
        view: &View<'_>,
        rotation: Rotation,
        reuse: Option<Frame>,
    ) -> Result<Frame, FrameError> {
        self.shelf.put(reuse);
        let mut frame = rotate(view, rotation, self.shelf.take(rotation.turned(view.size())))?;
        for step in &mut self.steps {
            frame = step.run(frame, &mut self.shelf, self.kernels)?;
        }
        Ok(frame)
    }

    /// The next picture has nothing to do with those before it.
    pub fn restart(&mut self) {
        for step in &mut self.steps {
            if let Step::Denoise(denoise) = step {
                denoise.restart();
            }
        }
    }
}

impl Step {
    fn new(filter: Filter) -> Self {
        match filter {
            Filter::Brightness(amount) => Self::Levels(Levels::brightness(amount)),
            Filter::Contrast(factor) => Self::Levels(Levels::contrast(factor)),
            Filter::Saturation(factor) => Self::Levels(Levels::saturation(factor)),
            Filter::Sharpen(amount) => Self::Sharpen(Sharpen::new(amount)),
            Filter::Blur(radius) => Self::Blur(Blur::new(radius)),
            Filter::Denoise(strength) => Self::Denoise(Denoise::new(strength)),
            Filter::Rotate(rotation) => Self::Rotate(rotation),
            Filter::Mirror(axis) => Self::Mirror(axis),
        }
    }

    fn run(&mut self, mut frame: Frame, shelf: &mut Shelf, kernels: Kernels) -> Result<Frame, FrameError> {
        match self {
            Self::Levels(levels) => levels.run(&mut frame, kernels),
            Self::Denoise(denoise) => denoise.run(&mut frame, shelf, kernels)?,
            Self::Mirror(axis) => mirror::mirror(&mut frame, *axis),
            Self::Rotate(rotation) => {
                let turned = shelf.take(rotation.turned(frame.size()));
                let out = rotate(&frame.view(), *rotation, turned)?;
                shelf.put(Some(std::mem::replace(&mut frame, out)));
            }
            Self::Sharpen(sharpen) => {
                let out = shelf.frame(frame.size())?;
                frame = shelf.swap(frame, out, |from, to| sharpen.run(from, to, kernels));
            }
            Self::Blur(blur) => {
                let out = shelf.frame(frame.size())?;
                frame = shelf.swap(frame, out, |from, to| blur.run(from, to, kernels));
            }
        }
        Ok(frame)
    }
}

#[cfg(test)]
mod tests;
