//! Snapshots: JPEG pictures of hosts and of the mix, and how they come from a mixer to the daemon.
//!
//! The first picture makes the mixer connect to `pictures.sock` (`SOCK_STREAM`) in its directory. On it each picture is one
//! line of JSON, its [`SnapshotHeader`], and then as many bytes of JPEG as the line says.

use crate::media::HostId;
use serde::{Deserialize, Serialize};

/// File name of the pictures' socket inside a mixer's directory.
pub const PICTURES_SOCKET: &str = "pictures.sock";

/// The longest JPEG that is sent, in bytes.
pub const MAX_JPEG: usize = 1 << 20;

/// The longest header line, in bytes with its line feed.
pub const MAX_SNAPSHOT_HEADER: usize = 512;

/// Names one snapshot that was asked for; what a mixer answers has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub u32);

/// How snapshots are made, and which of them unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSettings {
    /// Between two of the same host, or of the mix; without it they are made on demand only.
    pub interval_ms: Option<u32>,
    /// Of the JPEG, 1 to 100.
    pub quality: u8,
    /// A picture with a longer side is scaled down to this one, in pixels.
    pub largest_side: u32,
}

impl Default for SnapshotSettings {
    fn default() -> Self {
        Self {
            interval_ms: None,
            quality: 80,
            largest_side: 1280,
        }
    }
}

/// What goes before the bytes of a JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotHeader {
    /// Of whom; of the mix if of nobody.
    pub host: Option<HostId>,
    /// What it answers; nothing if its time had come.
    pub request: Option<SnapshotId>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// When the picture was decoded or composed: milliseconds since 1970.
    pub taken_ms: u64,
    /// Length of the JPEG that follows, [`MAX_JPEG`] at most.
    pub bytes: u32,
}

/// Why there is no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoSnapshot {
    /// The host is not in the mix, or the mixer decodes no video of it.
    #[error(
        "the mixer decodes no video of this host: it sends none, or sends it in a codec that is not decoded"
    )]
    NoVideo,
    /// None of its pictures was decoded lately.
    #[error(
        "no picture of this host was decoded in the last seconds: its camera is off, or its packets do not arrive"
    )]
    NoPicture,
    /// As many are being made as may be at a time.
    #[error("as many snapshots are being made as may be at a time: ask again in a second")]
    Busy,
    /// It cannot be encoded or handed over; the mixer's log says why.
    #[error("the snapshot could not be made; the log of the mixer says why")]
    Failed,
}
