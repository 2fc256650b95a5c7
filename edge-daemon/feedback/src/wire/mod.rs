//! RTCP on the wire: a reader for what arrives, writers for what we send.
//!
//! The reader copies nothing that the packet does not hold: what it returns is never larger than a small
//! multiple of the datagram. The `rtcp` crate is the reference that our tests compare with, but it does not
//! read traffic: it panics on a REMB whose SSRC count exceeds its bytes, on a NACK or FIR of eight bytes and on
//! a transport-wide feedback whose chunks pass 65,535 packets, and it lets 36 bytes of the latter allocate a
//! megabyte.

mod build;
mod parse;
mod reader;
#[cfg(test)]
mod tests;
mod twcc;

pub(crate) use build::{Compound, Feedback};
pub use build::{goodbye, relay_sender_report};
pub use parse::parse;
pub(crate) use parse::sign_extend_24;
pub use twcc::{MAX_STATUS_COUNT, TransportFeedback};
pub(crate) use twcc::{TICK, TICKS_PER_REFERENCE, delta_fits};

use crate::ntp::NtpTime;
use lianmai_fanout::{SequenceNumber, Ssrc};

/// Most RTCP packets that one datagram may hold; more is an error.
pub const MAX_PACKETS: usize = 32;
/// Most sequence numbers taken from the NACKs of one datagram; further ones are left out, and asked for again.
pub const MAX_NACKED: usize = 512;
/// Most entries (report blocks, SSRCs, DLRR blocks, SDES chunks) read from one packet.
pub const MAX_ENTRIES: usize = 31;

/// One thing that a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The sender information of an SR (RFC 3550 §6.4.1). Its report blocks follow as a `ReceiverReport`.
    SenderReport(SenderReport),
    /// Report blocks of an SR or RR (RFC 3550 §6.4.2).
    ReceiverReport {
        /// Who reports.
        sender: Ssrc,
        /// At most 31 blocks.
        blocks: Vec<ReceptionBlock>,
    },
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack {
        /// The stream with losses.
        ssrc: Ssrc,
        /// What is missing.
        seqs: Vec<SequenceNumber>,
    },
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli {
        /// The stream that needs a key frame.
        ssrc: Ssrc,
    },
    /// One entry of a full intra request (RFC 5104 §4.3.1).
    Fir {
        /// The stream that needs a key frame.
        ssrc: Ssrc,
        /// Command sequence number: a repetition carries the same one.
        sequence: u8,
    },
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
    TransportFeedback(TransportFeedback),
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).
    Remb {
        /// Bits per second.
        bitrate: u64,
        /// The streams that share it.
        ssrcs: Vec<Ssrc>,
    },
    /// Receiver reference time (RFC 3611 §4.4).
    Rrtr {
        /// Who sent it.
        sender: Ssrc,
        /// Its clock.
        ntp: NtpTime,
    },
    /// One sub-block of a delay since the last receiver report (RFC 3611 §4.5).
    Dlrr {
        /// Whose RRTR is answered.
        ssrc: Ssrc,
        /// The middle 32 bits of that RRTR.
        last_rr: u32,
        /// Between that RRTR and this report, in units of 1/65536 s.
        delay: u32,
    },
    /// The canonical name of an SDES chunk (RFC 3550 §6.5.1); other items are skipped.
    Cname {
        /// Whose name.
        ssrc: Ssrc,
        /// Its bytes, by convention UTF-8, at most 255.
        cname: Vec<u8>,
    },
    /// These streams end (RFC 3550 §6.6).
    Bye {
        /// The streams.
        ssrcs: Vec<Ssrc>,
    },
    /// A packet or format that we have no use for.
    Unknown {
        /// RTCP packet type.
        packet_type: u8,
        /// Format or count field.
        format: u8,
    },
}

/// The sender information of an SR (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The stream.
    pub ssrc: Ssrc,
    /// The sender's clock.
    pub ntp: NtpTime,
    /// The same instant on the stream's RTP clock.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload octets sent so far.
    pub octets: u32,
}

/// One report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceptionBlock {
    /// The stream that is reported on.
    pub ssrc: Ssrc,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; negative with duplicates. 24 bits on the wire.
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_seq: u32,
    /// Interarrival jitter in RTP timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP timestamp, or 0.
    pub last_sr: u32,
    /// Since that SR, in units of 1/65536 s, or 0.
    pub delay_since_last_sr: u32,
}

/// Why a datagram is not RTCP. Nothing of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A length field promises more than there is.
    #[error("RTCP packet type {packet_type} ends early: {needed} bytes needed, {left} left")]
    TooShort {
        /// Which packet.
        packet_type: u8,
        /// Bytes that the next field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Not version 2 (RFC 3550 §6.4.1).
    #[error("RTCP version {0} instead of 2")]
    Version(u8),
    /// A padding count of zero or beyond the packet.
    #[error("RTCP padding of {padding} bytes in a packet with {payload} bytes of payload")]
    Padding {
        /// Its last byte.
        padding: usize,
        /// Bytes behind the header.
        payload: usize,
    },
    /// More packets in a datagram than anybody sends.
    #[error("more than {MAX_PACKETS} RTCP packets in one datagram")]
    TooManyPackets,
    /// A transport-wide feedback that uses the reserved packet status (§3.1.1 of the draft).
    #[error("transport-wide feedback uses the reserved packet status 3")]
    ReservedStatus,
}
