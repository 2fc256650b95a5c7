//! The measurements, and what disturbs them.

pub(crate) mod busy;
pub(crate) mod cost;
pub(crate) mod latency;
pub(crate) mod programs;
pub(crate) mod rate;
pub(crate) mod usage;
