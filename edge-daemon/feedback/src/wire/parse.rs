//! From a datagram to [`Incoming`]s.

use super::reader::Reader;
use super::twcc::TransportFeedback;
use super::{Incoming, MAX_ENTRIES, MAX_NACKED, MAX_PACKETS, ParseError, ReceptionBlock, SenderReport};
use crate::ntp::NtpTime;
use lianmai_fanout::SequenceNumber;

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
pub(super) const SR: u8 = 200;
pub(super) const RR: u8 = 201;
pub(super) const SDES: u8 = 202;
pub(super) const BYE: u8 = 203;
pub(super) const RTPFB: u8 = 205;
pub(super) const PSFB: u8 = 206;
pub(super) const XR: u8 = 207;
/// Feedback formats (RFC 4585 §6.2 and §6.3, RFC 5104 §4.3.1, the drafts of REMB and of transport-wide feedback).
pub(super) const FMT_NACK: u8 = 1;
pub(super) const FMT_TRANSPORT_WIDE: u8 = 15;
pub(super) const FMT_PLI: u8 = 1;
pub(super) const FMT_FIR: u8 = 4;
pub(super) const FMT_APPLICATION: u8 = 15;
/// Block types of XR (RFC 3611 §4.4, §4.5).
pub(super) const BLOCK_RRTR: u8 = 4;
pub(super) const BLOCK_DLRR: u8 = 5;
/// SDES items (RFC 3550 §6.5).
const SDES_END: u8 = 0;
pub(super) const SDES_CNAME: u8 = 1;

/// Reads a datagram, compound (RFC 3550 §6.1) or reduced (RFC 5506).
///
/// # Errors
/// When any part of it contradicts itself; then nothing of it counts.
pub fn parse(datagram: &[u8]) -> Result<Vec<Incoming>, ParseError> {
    let mut found = Vec::new();
    let mut rest = datagram;
    let mut nacks_left = MAX_NACKED;
    for _ in 0..MAX_PACKETS {
        let (header, body, next) = split(rest)?;
        packet(header, body, &mut nacks_left, &mut found)?;
        if next.is_empty() {
            return Ok(found);
        }
        rest = next;
    }
    Err(ParseError::TooManyPackets)
}

#[derive(Clone, Copy)]
struct Header {
    packet_type: u8,
    /// Count of entries, or format.
    count: u8,
}

/// The first packet's header, its body without padding, and what follows it.
fn split(datagram: &[u8]) -> Result<(Header, &[u8], &[u8]), ParseError> {
    let packet_type = datagram.get(1).copied().unwrap_or(0);
    let mut reader = Reader::new(packet_type, datagram);
    let first = reader.u8()?;
    if first >> 6 != 2 {
        return Err(ParseError::Version(first >> 6));
    }
    reader.u8()?;
    let words = reader.u16()?;
    let body = reader.take(usize::from(words) * 4)?;
    let body = if first & 0x20 == 0 { body } else { unpad(body)? };
    let next = reader.take(reader.left())?;
    Ok((
        Header {
            packet_type,
            count: first & 0x1f,
        },
        body,
        next,
    ))
}

/// "The last octet of the padding is a count of how many padding octets should be ignored, including itself."
/// (RFC 3550 §6.4.1)
fn unpad(body: &[u8]) -> Result<&[u8], ParseError> {
    let padding = usize::from(body.last().copied().unwrap_or(0));
    let wrong = ParseError::Padding {
        padding,
        payload: body.len(),
    };
    let kept = body
        .len()
        .checked_sub(padding)
        .filter(|_| padding > 0)
        .ok_or(wrong)?;
    Ok(&body[..kept])
}

fn packet(
    header: Header,
    body: &[u8],
    nacks_left: &mut usize,
    found: &mut Vec<Incoming>,
) -> Result<(), ParseError> {
    let mut reader = Reader::new(header.packet_type, body);
    match (header.packet_type, header.count) {
        (SR, count) => sender_report(&mut reader, count, found)?,
        (RR, count) => {
            let sender = reader.ssrc()?;
            found.push(Incoming::ReceiverReport {
                sender,
                blocks: blocks(&mut reader, count)?,
            });
        }
        (SDES, count) => descriptions(&mut reader, count, found)?,
        (BYE, count) => found.push(Incoming::Bye {
            ssrcs: reader.ssrcs(usize::from(count))?,
        }),
        (RTPFB, FMT_NACK) => found.push(nack(&mut reader, nacks_left)?),
        (RTPFB, FMT_TRANSPORT_WIDE) => {
            found.push(Incoming::TransportFeedback(TransportFeedback::read(&mut reader)?));
        }
        (PSFB, FMT_PLI) => {
            reader.ssrc()?;
            found.push(Incoming::Pli { ssrc: reader.ssrc()? });
        }
        (PSFB, FMT_FIR) => full_intra(&mut reader, found)?,
        (PSFB, FMT_APPLICATION) => found.push(application(&mut reader)?),
        (XR, _) => extended(&mut reader, found)?,
        (packet_type, format) => found.push(Incoming::Unknown { packet_type, format }),
    }
    Ok(())
}

fn sender_report(reader: &mut Reader<'_>, count: u8, found: &mut Vec<Incoming>) -> Result<(), ParseError> {
    let report = SenderReport {
        ssrc: reader.ssrc()?,
        ntp: NtpTime(reader.u64()?),
        rtp: reader.u32()?,
        packets: reader.u32()?,
        octets: reader.u32()?,
    };
    found.push(Incoming::SenderReport(report));
    let blocks = blocks(reader, count)?;
    if !blocks.is_empty() {
        found.push(Incoming::ReceiverReport {
            sender: report.ssrc,
            blocks,
        });
    }
    Ok(())
}

fn blocks(reader: &mut Reader<'_>, count: u8) -> Result<Vec<ReceptionBlock>, ParseError> {
    (0..count).map(|_| block(reader)).collect()
}

fn block(reader: &mut Reader<'_>) -> Result<ReceptionBlock, ParseError> {
    Ok(ReceptionBlock {
        ssrc: reader.ssrc()?,
        fraction_lost: reader.u8()?,
        cumulative_lost: sign_extend_24(reader.u24()?),
        highest_seq: reader.u32()?,
        jitter: reader.u32()?,
        last_sr: reader.u32()?,
        delay_since_last_sr: reader.u32()?,
    })
}

pub(crate) const fn sign_extend_24(value: u32) -> i32 {
    (value << 8).cast_signed() >> 8
}

/// RFC 3550 §6.5: chunks of items, each chunk ended by at least one null and filled up to a word.
fn descriptions(reader: &mut Reader<'_>, count: u8, found: &mut Vec<Incoming>) -> Result<(), ParseError> {
    for _ in 0..count {
        let before = reader.left();
        let ssrc = reader.ssrc()?;
        if let Some(cname) = canonical_name(reader)? {
            found.push(Incoming::Cname { ssrc, cname });
        }
        align(reader, before)?;
    }
    Ok(())
}

/// Reads the items of a chunk up to its end; the length byte bounds each at 255.
fn canonical_name(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, ParseError> {
    let mut name = None;
    loop {
        let item = reader.u8()?;
        if item == SDES_END {
            return Ok(name);
        }
        let length = usize::from(reader.u8()?);
        let text = reader.take(length)?;
        if item == SDES_CNAME && name.is_none() {
            name = Some(text.to_vec());
        }
    }
}

fn align(reader: &mut Reader<'_>, before: usize) -> Result<(), ParseError> {
    let used = before - reader.left();
    reader.take((4 - used % 4) % 4).map(|_| ())
}

/// RFC 4585 §6.2.1: pairs of a number and a bitmask of the sixteen behind it.
fn nack(reader: &mut Reader<'_>, nacks_left: &mut usize) -> Result<Incoming, ParseError> {
    reader.ssrc()?;
    let ssrc = reader.ssrc()?;
    let mut seqs = Vec::new();
    while reader.left() > 0 {
        let first = reader.u16()?;
        let mask = u32::from(reader.u16()?) << 1 | 1;
        let missing = (0..17_u16).filter(|bit| mask >> bit & 1 == 1);
        let before = seqs.len();
        seqs.extend(
            missing
                .take(*nacks_left)
                .map(|bit| SequenceNumber(first.wrapping_add(bit))),
        );
        *nacks_left = nacks_left.saturating_sub(seqs.len() - before);
    }
    Ok(Incoming::Nack { ssrc, seqs })
}

/// RFC 5104 §4.3.1.1.
fn full_intra(reader: &mut Reader<'_>, found: &mut Vec<Incoming>) -> Result<(), ParseError> {
    reader.take(8)?;
    for _ in 0..MAX_ENTRIES {
        if reader.left() == 0 {
            break;
        }
        let ssrc = reader.ssrc()?;
        let sequence = reader.u8()?;
        reader.take(3)?;
        found.push(Incoming::Fir { ssrc, sequence });
    }
    Ok(())
}

/// draft-alvestrand-rmcat-remb-03 §2.2, or an application's own message.
fn application(reader: &mut Reader<'_>) -> Result<Incoming, ParseError> {
    reader.take(8)?;
    if reader.left() < 4 || reader.take(4)? != b"REMB" {
        return Ok(Incoming::Unknown {
            packet_type: PSFB,
            format: FMT_APPLICATION,
        });
    }
    let count = usize::from(reader.u8()?);
    let packed = reader.u24()?;
    let (exponent, mantissa) = (packed >> 18, u64::from(packed & 0x3_ffff));
    let bitrate = mantissa
        .checked_shl(exponent)
        .filter(|rate| rate >> exponent == mantissa);
    let ssrcs = reader.ssrcs(count.min(MAX_ENTRIES))?;
    Ok(Incoming::Remb {
        bitrate: bitrate.unwrap_or(u64::MAX),
        ssrcs,
    })
}

/// RFC 3611 §2 and §3: blocks with a length of their own, so that unknown ones can be skipped.
fn extended(reader: &mut Reader<'_>, found: &mut Vec<Incoming>) -> Result<(), ParseError> {
    let sender = reader.ssrc()?;
    let mut entries = 0;
    while reader.left() > 0 && entries < MAX_ENTRIES {
        let block_type = reader.u8()?;
        reader.u8()?;
        let length = usize::from(reader.u16()?) * 4;
        let mut block = Reader::new(XR, reader.take(length)?);
        match block_type {
            BLOCK_RRTR => {
                found.push(Incoming::Rrtr {
                    sender,
                    ntp: NtpTime(block.u64()?),
                });
                entries += 1;
            }
            BLOCK_DLRR => {
                while block.left() > 0 && entries < MAX_ENTRIES {
                    let (ssrc, last_rr, delay) = (block.ssrc()?, block.u32()?, block.u32()?);
                    found.push(Incoming::Dlrr { ssrc, last_rr, delay });
                    entries += 1;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
