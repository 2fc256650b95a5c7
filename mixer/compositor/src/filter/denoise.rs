//! Noise differs from picture to picture, and little; what moves differs much.

use super::shelf::Shelf;
use crate::frame::Frame;
use crate::kernels::Kernels;
use crate::view::FrameError;

/// All of a difference.
const ALL: f32 = 256.0;

/// The least share of a difference that is shown at once, at full strength.
const LEAST: f32 = 48.0;

/// Differences from here on are movement: without strength, and at full strength.
const MOVEMENT: (f32, f32) = (6.0, 24.0);

/// Each picture is moved from the one that was shown before towards what came: by a share that grows with the difference, up to
/// all of it.
#[derive(Debug)]
pub(super) struct Denoise {
    /// The share of the smallest difference.
    floor: u16,
    /// More for each level of difference.
    slope: u16,
    before: Option<Frame>,
}

impl Denoise {
    pub(super) fn new(strength: f32) -> Self {
        let strength = strength.clamp(0.0, 1.0);
        let floor = ALL - strength * (ALL - LEAST);
        let movement = MOVEMENT.0 + strength * (MOVEMENT.1 - MOVEMENT.0);
        Self {
            floor: floor.round() as u16,
            slope: ((ALL - floor) / movement).ceil() as u16,
            before: None,
        }
    }

    pub(super) fn restart(&mut self) {
        self.before = None;
    }

    pub(super) fn run(
        &mut self,
        frame: &mut Frame,
        shelf: &mut Shelf,
        kernels: Kernels,
    ) -> Result<(), FrameError> {
        let Some(before) = self
            .before
            .as_mut()
            .filter(|before| before.size() == frame.size())
        else {
            shelf.put(self.before.take());
            let mut first = shelf.frame(frame.size())?;
            first.copy_from(&frame.view());
            self.before = Some(first);
            return Ok(());
        };
        let (mut before, mut new) = (before.view_mut(), frame.view_mut());
        for (before, new) in before.planes_mut().iter_mut().zip(new.planes_mut()) {
            for y in 0..new.size().height {
                kernels.settle(before.row_mut(y), new.row_mut(y), self.floor, self.slope);
            }
        }
        Ok(())
    }
}
