//! The room: what every output tick shows and sounds like. No I/O and no clock in here.

mod interleave;
mod keys;
mod mix;
mod sei;
mod stage;

pub(crate) use mix::{Mix, MixError};
