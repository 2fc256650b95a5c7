//! Left and right, or top and bottom, swapped.

use super::Axis;
use crate::frame::Frame;
use crate::view::PlaneMut;

pub(super) fn mirror(frame: &mut Frame, axis: Axis) {
    for plane in frame.view_mut().planes_mut() {
        match axis {
            Axis::Horizontal => {
                for y in 0..plane.size().height {
                    plane.row_mut(y).reverse();
                }
            }
            Axis::Vertical => turn_over(plane),
        }
    }
}

fn turn_over(plane: &mut PlaneMut<'_>) {
    let (height, width, stride) = (plane.size.height, plane.size.width, plane.stride);
    for y in 0..height / 2 {
        let (top, bottom) = plane.data.split_at_mut((height - 1 - y) * stride);
        top[y * stride..][..width].swap_with_slice(&mut bottom[..width]);
    }
}
