//! What the daemon and a mixer process say to each other.
//!
//! The daemon makes a private directory for each mixer with two listening sockets in it:
//!
//! * `control.sock` (`SOCK_STREAM`): one JSON object per line, [`ToMixer`] one way and [`FromMixer`] the other;
//! * `media.sock` (`SOCK_SEQPACKET`): one [`media`] message per packet, from the daemon to the mixer only.
//!
//! The mixer connects to both, then says [`FromMixer::Hello`]. It ends when either is closed.
#![forbid(unsafe_code)]

mod coding;
mod line;
pub mod media;
mod messages;
pub mod scene;
mod target;

pub use coding::{AudioCodec, Coding, Profile, UnnamedCodecs, VideoCodec};
pub use line::{LineError, MAX_LINE, decode, encode};
pub use messages::{
    AudioSource, Canvas, Codec, FromMixer, HostStats, MixStats, SeiKind, Settings, TargetId, TargetState,
    ToMixer, VERSION, VideoSource,
};
pub use target::{TagNames, TargetOptions, TargetOptionsError, TargetStats, TargetUrl, WhenFull};

/// File name of the control socket inside a mixer's directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// File name of the media socket inside a mixer's directory.
pub const MEDIA_SOCKET: &str = "media.sock";
