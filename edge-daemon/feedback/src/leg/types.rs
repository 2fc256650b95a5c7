//! What goes into a leg machine and what comes out.

use lianmai_fanout::{SequenceNumber, Ssrc};

/// A packet on its way to the subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its transport-wide sequence number; the numbers of a leg go up by one.
    pub transport_seq: Option<u16>,
    /// Bytes of the whole RTP packet.
    pub size: usize,
    /// Its stream: the media stream, or the RTX stream of this leg.
    pub ssrc: Ssrc,
    /// Its sequence number.
    pub seq: SequenceNumber,
}

/// What a subscriber needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send these packets again, as far as the history has them.
    Retransmit {
        /// The media stream.
        ssrc: Ssrc,
        /// At most [`crate::wire::MAX_NACKED`] numbers, none of them sent again within a round trip.
        seqs: Vec<SequenceNumber>,
    },
    /// Ask the source for a key frame.
    KeyFrame {
        /// The media stream.
        ssrc: Ssrc,
    },
}

/// Totals since the leg began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegCounters {
    /// Sequence numbers that the subscriber asked for.
    pub nacked: u64,
    /// Those that were passed on for retransmission.
    pub retransmitted: u64,
    /// Key frames it asked for.
    pub key_frames_wanted: u64,
    /// Transport-wide feedback packets.
    pub feedbacks: u64,
    /// Feedback about streams or packets that this leg never sent.
    pub unknown: u64,
    /// Times that the path showed itself overused.
    pub overuses: u64,
}
