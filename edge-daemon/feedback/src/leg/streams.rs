//! The streams of a leg, and what its receiver reports say about them.

use crate::ntp::{NtpTime, from_short};
use crate::wire::ReceptionBlock;
use lianmai_fanout::Ssrc;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Audio and video with their RTX streams, and as many that replaced them.
const MAX_STREAMS: usize = 16;
/// Relayed sender reports that an echo may still speak of: the newest is enough but for reordering.
const MAX_REPORTS: usize = 8;
/// A larger step in the highest sequence number is a new sequence, not packets.
const MAX_STEP: u32 = 50_000;

/// Every stream that was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams {
    known: BTreeMap<Ssrc, Stream>,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    /// Middle of the NTP timestamp and when it was relayed.
    reports: VecDeque<(u32, Instant)>,
    highest_seq: Option<u32>,
    sent: u64,
}

impl Streams {
    pub(super) fn on_sent(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.known.get_mut(&ssrc) {
            stream.sent += 1;
            return;
        }
        if self.known.len() >= MAX_STREAMS {
            let least = self.known.iter().min_by_key(|(_, stream)| stream.sent);
            if let Some(ssrc) = least.map(|(ssrc, _)| *ssrc) {
                self.known.remove(&ssrc);
            }
        }
        self.known.insert(
            ssrc,
            Stream {
                sent: 1,
                ..Stream::default()
            },
        );
    }

    pub(super) fn contains(&self, ssrc: Ssrc) -> bool {
        self.known.contains_key(&ssrc)
    }

    pub(super) fn on_sender_report_sent(&mut self, now: Instant, ssrc: Ssrc, ntp: NtpTime) {
        let Some(stream) = self.known.get_mut(&ssrc) else {
            return;
        };
        if stream.reports.len() >= MAX_REPORTS {
            stream.reports.pop_front();
        }
        stream.reports.push_back((ntp.middle(), now));
    }

    /// The round trip that a block proves. The clock in a relayed report is the publisher's, so the echo is
    /// looked up, not computed with.
    pub(super) fn round_trip(&self, now: Instant, block: &ReceptionBlock) -> Option<Duration> {
        let reports = &self.known.get(&block.ssrc)?.reports;
        let echoed = reports.iter().rev().filter(|_| block.last_sr != 0);
        let (_, relayed_at) = *echoed.into_iter().find(|(middle, _)| *middle == block.last_sr)?;
        let elapsed = now.saturating_duration_since(relayed_at);
        elapsed.checked_sub(from_short(block.delay_since_last_sr))
    }

    /// Packets lost and expected since the last block of this stream.
    pub(super) fn losses(&mut self, block: &ReceptionBlock) -> Option<(u64, u64)> {
        let stream = self.known.get_mut(&block.ssrc)?;
        let before = stream.highest_seq.replace(block.highest_seq)?;
        let expected = block.highest_seq.wrapping_sub(before);
        if expected > MAX_STEP {
            return None;
        }
        let lost = u64::from(block.fraction_lost) * u64::from(expected) / 256;
        Some((lost, u64::from(expected)))
    }
}
