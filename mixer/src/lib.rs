//! One room's mixer: the RTP of all hosts in, one picture and one sound out, as H.264 and AAC to RTMP.
//!
//! The daemon starts one process a room and owns the room's policy; the mixer has no privileges and no keys, and may
//! crash. In the order in which a packet meets them: `link`, `ingest`, `video` and `audio`, `room`,
//! `encode`, `output`; `record` keeps what came and what went; `art` reads images and writes letters, `snapshot` makes JPEGs of
//! what was decoded and mixed, `forward` sends packets on as they came, `vision` shows pictures to a program. `engine` holds the
//! threads together.
//!
//! Architecture invariants: output ticks come from the monotonic clock alone; nothing waits for the daemon, a target
//! or a disk; `ingest` and `room` read no clock and do no I/O.

mod art;
mod audio;
pub mod clock;
mod daemon;
mod encode;
pub mod engine;
mod forward;
mod ingest;
mod link;
mod mixing;
mod offstage;
mod output;
mod record;
mod room;
mod snapshot;
mod stats;
#[cfg(test)]
mod testing;
mod video;
mod vision;
