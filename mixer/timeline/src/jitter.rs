//! RTP packets in any order in, packets or access units in order out.
//!
//! Loss is decided by time: a missing packet may still come (late, or as a retransmission) until what it belongs
//! to has to be decoded, and the caller says when that is. Where the caller cannot tell, the next complete access
//! unit decides. Everything is bounded; `T` is whatever the caller keeps of a packet.

mod audio;
mod reorder;
mod video;

pub use audio::{AudioItem, AudioJitter};
pub use reorder::{Counters, Pushed};
pub use video::{AccessUnit, VideoJitter};

use crate::time::RtpTimestamp;

/// What a jitter buffer has to know of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<T> {
    /// The sequence number (RFC 3550 §5.1): it wraps.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: RtpTimestamp,
    /// For video: the last packet of an access unit (RFC 6184 §5.1).
    pub marker: bool,
    /// The rest.
    pub payload: T,
}
