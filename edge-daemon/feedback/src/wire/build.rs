//! The packets that we send.

use super::parse::{
    BLOCK_RRTR, BYE, FMT_APPLICATION, FMT_FIR, FMT_NACK, FMT_PLI, FMT_TRANSPORT_WIDE, PSFB, RR, RTPFB, SDES,
    SDES_CNAME, SR, XR,
};
use super::{MAX_ENTRIES, ReceptionBlock, SenderReport, TransportFeedback};
use crate::ntp::NtpTime;
use lianmai_fanout::Ssrc;

/// Sends a publisher's sender report on to a leg with its content unchanged: a leg keeps the publisher's SSRCs
/// and timestamps, so its clocks hold there too. Report blocks are not relayed, they concern another path.
/// `cname` is the publisher's, by which a receiver knows which streams to play in step (RFC 3550 §6.5.1).
#[must_use]
pub fn relay_sender_report(report: &SenderReport, cname: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    packet(&mut out, SR, 0, |out| {
        out.extend(report.ssrc.0.to_be_bytes());
        out.extend(report.ntp.0.to_be_bytes());
        out.extend(report.rtp.to_be_bytes());
        out.extend(report.packets.to_be_bytes());
        out.extend(report.octets.to_be_bytes());
    });
    description(&mut out, report.ssrc, cname);
    out
}

/// Ends these streams (RFC 3550 §6.6) in a whole compound packet; `None` without a stream.
#[must_use]
pub fn goodbye(ssrcs: &[Ssrc], cname: &[u8]) -> Option<Vec<u8>> {
    let ssrcs = &ssrcs[..ssrcs.len().min(MAX_ENTRIES)];
    let mut out = Compound::report(*ssrcs.first()?, &[], cname).bytes;
    packet(&mut out, BYE, ssrcs.len() as u8, |out| put_ssrcs(out, ssrcs));
    Some(out)
}

/// One datagram that grows.
#[derive(Debug, Default)]
pub(crate) struct Compound {
    bytes: Vec<u8>,
}

/// One feedback message or extended report.
#[derive(Debug)]
pub(crate) enum Feedback<'a> {
    Nack { ssrc: Ssrc, seqs: &'a [u16] },
    Pli { ssrc: Ssrc },
    Fir { ssrc: Ssrc, sequence: u8 },
    Remb { bitrate: u64, ssrcs: &'a [Ssrc] },
    Rrtr { ntp: NtpTime },
    Transport(&'a TransportFeedback),
}

impl Compound {
    /// "All RTCP packets MUST be sent in a compound packet of at least two individual packets": a report, even
    /// an empty one, and the CNAME (RFC 3550 §6.1).
    pub(crate) fn report(ours: Ssrc, blocks: &[ReceptionBlock], cname: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let blocks = &blocks[..blocks.len().min(MAX_ENTRIES)];
        packet(&mut bytes, RR, blocks.len() as u8, |out| {
            out.extend(ours.0.to_be_bytes());
            blocks.iter().for_each(|block| put_block(out, block));
        });
        description(&mut bytes, ours, cname);
        Self { bytes }
    }

    /// Feedback alone (RFC 5506 §3.2).
    pub(crate) fn reduced() -> Self {
        Self::default()
    }

    /// Appends one message. A [`Feedback::Transport`] must be the last, as it may need padding (RFC 3550 §6.4.1).
    pub(crate) fn push(&mut self, ours: Ssrc, feedback: &Feedback<'_>) {
        let out = &mut self.bytes;
        match *feedback {
            Feedback::Nack { ssrc, seqs } => {
                message(out, RTPFB, FMT_NACK, ours, ssrc, |out| put_nacks(out, seqs));
            }
            Feedback::Pli { ssrc } => message(out, PSFB, FMT_PLI, ours, ssrc, |_| {}),
            Feedback::Fir { ssrc, sequence } => {
                // "the "SSRC of media source" is not used and SHALL be set to 0" (RFC 5104 §4.3.1.2)
                message(out, PSFB, FMT_FIR, ours, Ssrc(0), |out| {
                    out.extend(ssrc.0.to_be_bytes());
                    out.extend([sequence, 0, 0, 0]);
                });
            }
            Feedback::Remb { bitrate, ssrcs } => {
                message(out, PSFB, FMT_APPLICATION, ours, Ssrc(0), |out| {
                    put_remb(out, bitrate, ssrcs);
                });
            }
            Feedback::Rrtr { ntp } => packet(out, XR, 0, |out| {
                out.extend(ours.0.to_be_bytes());
                out.extend([BLOCK_RRTR, 0, 0, 2]);
                out.extend(ntp.0.to_be_bytes());
            }),
            Feedback::Transport(feedback) => {
                packet(out, RTPFB, FMT_TRANSPORT_WIDE, |out| feedback.write(out));
            }
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A common header, then `body`, then padding up to a word if it needs any (RFC 3550 §6.4.1).
fn packet(out: &mut Vec<u8>, packet_type: u8, count: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0x80 | count, packet_type, 0, 0]);
    body(out);
    let padding = (4 - (out.len() - start) % 4) % 4;
    if padding > 0 {
        out[start] |= 0x20;
        out.resize(out.len() + padding - 1, 0);
        out.push(padding as u8);
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

/// The head that all feedback shares (RFC 4585 §6.1).
fn message(
    out: &mut Vec<u8>,
    packet_type: u8,
    format: u8,
    ours: Ssrc,
    media: Ssrc,
    body: impl FnOnce(&mut Vec<u8>),
) {
    packet(out, packet_type, format, |out| {
        out.extend(ours.0.to_be_bytes());
        out.extend(media.0.to_be_bytes());
        body(out);
    });
}

/// RFC 3550 §6.5: one chunk with one item, ended by nulls.
fn description(out: &mut Vec<u8>, ssrc: Ssrc, cname: &[u8]) {
    let cname = &cname[..cname.len().min(255)];
    packet(out, SDES, 1, |out| {
        out.extend(ssrc.0.to_be_bytes());
        out.extend([SDES_CNAME, cname.len() as u8]);
        out.extend(cname);
        let used = 6 + cname.len();
        out.resize(out.len() + 4 - used % 4, 0);
    });
}

fn put_ssrcs(out: &mut Vec<u8>, ssrcs: &[Ssrc]) {
    ssrcs.iter().for_each(|ssrc| out.extend(ssrc.0.to_be_bytes()));
}

fn put_block(out: &mut Vec<u8>, block: &ReceptionBlock) {
    out.extend(block.ssrc.0.to_be_bytes());
    out.push(block.fraction_lost);
    out.extend(&block.cumulative_lost.to_be_bytes()[1..]);
    for field in [
        block.highest_seq,
        block.jitter,
        block.last_sr,
        block.delay_since_last_sr,
    ] {
        out.extend(field.to_be_bytes());
    }
}

/// RFC 4585 §6.2.1: as few pairs as the order of the numbers allows.
fn put_nacks(out: &mut Vec<u8>, seqs: &[u16]) {
    let mut seqs = seqs.iter().copied().peekable();
    while let Some(first) = seqs.next() {
        let mut mask = 0_u16;
        while let Some(next) = seqs.next_if(|next| (1..=16).contains(&next.wrapping_sub(first))) {
            mask |= 1 << (next.wrapping_sub(first) - 1);
        }
        out.extend(first.to_be_bytes());
        out.extend(mask.to_be_bytes());
    }
}

/// draft-alvestrand-rmcat-remb-03 §2.2: 6 bits of exponent, 18 of mantissa, rounded down.
fn put_remb(out: &mut Vec<u8>, bitrate: u64, ssrcs: &[Ssrc]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(MAX_ENTRIES)];
    let exponent = (u64::BITS - bitrate.leading_zeros()).saturating_sub(18);
    let mantissa = (bitrate >> exponent) as u32;
    out.extend(b"REMB");
    out.push(ssrcs.len() as u8);
    out.extend(&(exponent << 18 | mantissa).to_be_bytes()[1..]);
    put_ssrcs(out, ssrcs);
}
