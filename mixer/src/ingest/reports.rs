//! Sender reports out of compound RTCP (RFC 3550 §6.4.1).

use lianmai_fanout::Ssrc;
use lianmai_timeline::{NtpTime, RtpTimestamp, clock::SenderReport};

/// The packet type of a sender report.
const SENDER_REPORT: u8 = 200;

/// Type and length, the sender's SSRC, NTP time and RTP time.
const NEEDED: usize = 20;

/// The sender reports in a compound packet, each with whose it is. The walk ends at the first malformed part.
pub(super) fn sender_reports(compound: &[u8]) -> impl Iterator<Item = (Ssrc, SenderReport)> {
    parts(compound).filter_map(sender_report)
}

/// The packets of a compound one, four bytes long each at the least. The walk ends at the first malformed one.
pub(crate) fn parts(mut compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || next_part(&mut compound))
}

/// RFC 3550 §6.4.1: the length counts 32-bit words, less one.
fn next_part<'a>(compound: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [first, _, high, low] = *compound.first_chunk::<4>()?;
    if first >> 6 != 2 {
        return None;
    }
    let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
    let (part, rest) = compound.split_at_checked(length)?;
    *compound = rest;
    Some(part)
}

fn sender_report(part: &[u8]) -> Option<(Ssrc, SenderReport)> {
    let fields = part.first_chunk::<NEEDED>()?;
    if fields[1] != SENDER_REPORT {
        return None;
    }
    let word = |at: usize| u32::from_be_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]]);
    let ntp = NtpTime::from_wire(u64::from(word(8)) << 32 | u64::from(word(12)));
    Some((
        Ssrc(word(4)),
        SenderReport {
            ntp,
            rtp: RtpTimestamp(word(16)),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::sender_reports;
    use lianmai_fanout::Ssrc;
    use lianmai_timeline::{NtpTime, RtpTimestamp};

    fn sender_report(ssrc: u32, rtp: u32) -> Vec<u8> {
        let words = [0x80c8_0006, ssrc, 5, 1 << 31, rtp, 10, 1000];
        words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect()
    }

    fn description() -> Vec<u8> {
        vec![0x81, 202, 0, 2, 0, 0, 0, 1, 1, 1, b'a', 0]
    }

    #[test]
    fn both_reports_of_a_compound_are_found() {
        let compound = [sender_report(7, 70), description(), sender_report(8, 80)].concat();
        let found: Vec<_> = sender_reports(&compound).collect();
        assert_eq!(
            found.iter().map(|(ssrc, _)| *ssrc).collect::<Vec<_>>(),
            [Ssrc(7), Ssrc(8)]
        );
        assert_eq!(found[1].1.rtp, RtpTimestamp(80));
        assert_eq!(found[0].1.ntp, NtpTime(5_500_000_000));
    }

    #[test]
    fn junk_and_every_truncation_yield_nothing_that_is_not_there() {
        let compound = [description(), sender_report(7, 70)].concat();
        for length in 0..compound.len() {
            assert_eq!(sender_reports(&compound[..length]).count(), 0);
        }
        for byte in 0..=255u8 {
            assert_eq!(sender_reports(&[byte; 64]).count(), 0);
        }
    }
}
