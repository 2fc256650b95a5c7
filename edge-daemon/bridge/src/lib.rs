//! The bridge of one RTMP co-host: what the origin was sent goes into a room as if a browser had published it.
//!
//! The daemon starts one for each. H.264 is passed through, AAC becomes Opus, and all of it leaves by a PeerConnection of its
//! own, so that the data plane, the mixer and the other hosts see a publisher like any other. Decoders of what strangers send
//! live in here and not in the daemon.
#![forbid(unsafe_code)]

mod avcc;
mod bridge;
mod input;
mod peer;
mod pictures;
mod refusal;
mod sound;
mod timeline;

pub use bridge::run;
