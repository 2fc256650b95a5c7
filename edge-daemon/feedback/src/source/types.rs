//! What goes into a source machine and what comes out.

use lianmai_fanout::{SequenceNumber, Ssrc};
use lianmai_webrtc::media::{Kind, Track};
use std::time::{Duration, Instant};

/// How the edge talks to one publisher.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Our own SSRC towards this publisher.
    pub ours: Ssrc,
    /// Our canonical name (RFC 3550 §6.5.1), at most 255 bytes.
    pub cname: String,
    /// Whether feedback may go without a report before it (RFC 5506, `a=rtcp-rsize`).
    pub reduced_size: bool,
    /// What the publisher sends, with the feedback that was negotiated for each track.
    pub tracks: Vec<Track>,
}

/// An authenticated RTP packet of the publisher.
#[derive(Clone, Copy, Debug)]
pub struct RtpArrival {
    /// Its stream.
    pub ssrc: Ssrc,
    /// The track it belongs to.
    pub kind: Kind,
    /// Its sequence number, as it arrived.
    pub seq: SequenceNumber,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// When it arrived, as early as that was noted.
    pub arrival: Instant,
    /// Its transport-wide sequence number.
    pub transport_seq: Option<u16>,
    /// Bytes of the whole RTP packet.
    pub size: usize,
    /// Level of the client-to-mixer extension in -dBov (RFC 6464): 0 is loudest, 127 is silence.
    pub audio_level: Option<u8>,
    /// What it carries.
    pub carries: Carries,
}

/// What an RTP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A new packet of a track.
    Media,
    /// On the RTX stream, this packet of that stream once more (RFC 4588 §4). It counts as arrived: do not
    /// report it a second time.
    Retransmission(Ssrc, SequenceNumber),
    /// On the RTX stream, padding that probes the path.
    Probe,
}

/// What a source machine wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Seal this RTCP datagram and send it to the publisher.
    Rtcp(Vec<u8>),
    /// The publisher's voice changed; at most five times a second.
    AudioLevel {
        /// Smoothed, in -dBov: 0 is loudest, 127 is silence.
        level: u8,
        /// Whether this counts as speech.
        speaking: bool,
    },
}

/// Totals since the source began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Sequence numbers asked for again, repetitions included.
    pub nacked: u64,
    /// Missing packets that came late or as retransmissions.
    pub recovered: u64,
    /// Missing packets that were given up.
    pub given_up: u64,
    /// Key frames that somebody asked for.
    pub key_frames_wanted: u64,
    /// Key frame requests that went out, repetitions included.
    pub key_frames_requested: u64,
    /// Transport-wide feedback packets.
    pub feedbacks: u64,
    /// Streams forgotten because the publisher opened too many.
    pub streams_evicted: u64,
    /// RTCP datagrams dropped because nobody polled.
    pub outputs_dropped: u64,
}

/// One received stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamStatistics {
    /// The stream.
    pub ssrc: Ssrc,
    /// Its track.
    pub kind: Kind,
    /// Whether it carries retransmissions.
    pub is_rtx: bool,
    /// Packets received, duplicates included.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets lost so far; negative with duplicates.
    pub lost: i64,
    /// Loss of the last report, 0 to 1.
    pub fraction_lost: f32,
    /// Interarrival jitter.
    pub jitter: Duration,
}
