//! What the daemon and a mixer process say to each other.
//!
//! The daemon makes a private directory for each mixer with listening sockets in it:
//!
//! * `control.sock` (`SOCK_STREAM`): one JSON object per line, [`ToMixer`] one way and [`FromMixer`] the other;
//! * `media.sock` (`SOCK_SEQPACKET`): one [`media`] message per packet, from the daemon to the mixer only.
//!
//! The mixer connects to both, then says [`FromMixer::Hello`]. It ends when either is closed. To a third one,
//! `pictures.sock`, it connects when it has a [snapshot](SnapshotHeader) to hand over.
#![forbid(unsafe_code)]

mod coding;
pub mod filter;
mod forward;
mod line;
pub mod media;
mod messages;
mod record;
pub mod scene;
mod snapshot;
mod target;
mod volume;

pub use coding::{AudioCodec, Coding, Profile, UnnamedCodecs, VideoCodec};
pub use forward::{Forward, ForwardError, ForwardId, ForwardStats, MAX_KEY_FRAME_SECONDS};
pub use line::{LineError, MAX_LINE, decode, encode};
pub use messages::{
    AudioSource, Canvas, Codec, FromMixer, HostStats, MixStats, SeiKind, Settings, TargetId, TargetState,
    ToMixer, VERSION, VideoSource, VisionStats,
};
pub use record::{Record, RecordingState, RecordingStats};
pub use snapshot::{
    MAX_JPEG, MAX_SNAPSHOT_HEADER, NoSnapshot, PICTURES_SOCKET, SnapshotHeader, SnapshotId, SnapshotSettings,
};
pub use target::{TagNames, TargetOptions, TargetOptionsError, TargetStats, TargetUrl, WhenFull};
pub use volume::{Volume, VolumeError};

/// File name of the control socket inside a mixer's directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// File name of the socket that the mixer listens on for a vision program, inside its directory.
pub const VISION_SOCKET: &str = "vision.sock";

/// File name of the media socket inside a mixer's directory.
pub const MEDIA_SOCKET: &str = "media.sock";
