//! One room's mixer: the RTP of all hosts in, one picture and one sound out, as H.264 and AAC to RTMP.
//!
//! The daemon starts one process a room and owns the room's policy; the mixer has no privileges and no keys, and may
//! crash. In the order in which a packet meets them: `link`, `ingest`, `video` and `audio`, `room`,
//! `encode`, `output`; `art` reads images and writes letters. `engine` holds the threads together.
//!
//! Architecture invariants: output ticks come from the monotonic clock alone; nothing waits for the daemon, a target
//! or a disk; `ingest` and `room` read no clock and do no I/O.

mod art;
mod audio;
pub mod clock;
mod daemon;
mod encode;
pub mod engine;
mod ingest;
mod link;
mod mixing;
mod offstage;
mod output;
mod room;
mod stats;
mod video;
