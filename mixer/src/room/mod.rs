//! The room: what every output tick shows and sounds like. No I/O and no clock in here.

mod boxes;
mod cast;
mod dressing;
mod interleave;
mod keys;
mod mix;
mod placing;
mod seat;
mod sei;
mod shown;
mod stage;
mod transition;

pub(crate) use mix::{Mix, MixError};
