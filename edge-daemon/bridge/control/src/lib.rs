//! What the daemon and the bridge of an RTMP co-host say to each other.
//!
//! The bridge speaks on its standard output, in lines of JSON: first its offer, then once a second what it did. On its standard
//! input it reads one line, the answer, and behind it the co-host's stream as FLV without end. The end of that is its own.
#![forbid(unsafe_code)]

pub use lianmai_mixer_control::{LineError, MAX_LINE, decode, encode};

use serde::{Deserialize, Serialize};

/// Changes with every change in here.
pub const VERSION: u32 = 1;

/// What the bridge says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromBridge {
    /// It wants to publish; it says nothing else before.
    Offer {
        /// [`VERSION`].
        version: u32,
        /// As it would stand in a WHIP request.
        sdp: String,
    },
    /// Once a second.
    Stats(BridgeStats),
    /// The stream cannot be shown to the others, and will not get better. It says nothing else after.
    Refused {
        /// What the publisher has to change.
        reason: String,
    },
}

/// What a bridge did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeStats {
    /// Pictures passed on.
    pub pictures: u64,
    /// Pictures left out because they made no sense.
    pub bad_pictures: u64,
    /// Packets of sound passed on, 20 ms each.
    pub sounds: u64,
    /// Pieces of sound that were silence instead because they could not be decoded.
    pub bad_sounds: u64,
    /// Holes in the sound, by its timestamps.
    pub sound_gaps: u64,
    /// The longest time between two key frames, in milliseconds.
    pub longest_gop_ms: u64,
    /// Key frames that somebody asked for; the publisher cannot be asked.
    pub key_frames_asked: u64,
}

/// What the daemon says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToBridge {
    /// To its offer.
    Answer {
        /// As it would stand in the answer to a WHIP request.
        sdp: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{BridgeStats, FromBridge, decode, encode};

    #[test]
    fn what_a_bridge_says_is_a_line_that_can_be_read() {
        for message in [
            FromBridge::Offer {
                version: 1,
                sdp: "v=0\r\n".to_owned(),
            },
            FromBridge::Stats(BridgeStats::default()),
            FromBridge::Refused {
                reason: "no".to_owned(),
            },
        ] {
            let line = encode(&message).expect("short");
            assert!(line.ends_with('\n') && !line.trim_end().contains('\n'), "{line}");
            assert_eq!(decode::<FromBridge>(&line).expect("ours"), message);
        }
    }
}
