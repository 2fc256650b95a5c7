//! What of a room is recorded, and what became of it.

use serde::{Deserialize, Serialize};

/// What of a room is recorded from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The mix: H.264 and AAC.
    pub mix: bool,
    /// Each host, as it came: H.264 and Opus.
    pub hosts: bool,
}

impl Record {
    /// Whether anything is.
    #[must_use]
    pub const fn is_anything(self) -> bool {
        self.mix || self.hosts
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingStats {
    /// Names it within the life of the mixer process.
    pub id: u32,
    /// The name of the file in the directory of recordings.
    pub file: String,
    /// Whose it is; absent for the mix.
    pub host: Option<String>,
    /// What it does.
    pub state: RecordingState,
    /// Its length so far.
    pub bytes: u64,
    /// Pictures and frames of sound that are missing in it because the disk was slow.
    pub dropped_frames: u64,
}

/// What a recording does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecordingState {
    /// It grows.
    Recording,
    /// The disk is too slow: there is a hole, until it has caught up.
    Behind,
    /// The file system refused; there is no further attempt, and what was written stays.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was stopped, or its host left.
    Ended,
}
