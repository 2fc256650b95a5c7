//! Where the mix goes: RTMP targets and a recording.

mod recorder;
mod targets;

pub(crate) use recorder::Recorder;
pub(crate) use targets::Targets;
