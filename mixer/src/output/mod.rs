//! Where the mix goes: RTMP targets.

mod targets;

pub(crate) use targets::Targets;
