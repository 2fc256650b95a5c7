//! Receiver statistics of one stream (RFC 3550 §6.4.1, appendices A.1, A.3 and A.8).

use crate::ntp::to_short;
use crate::seq::low_bits;
use crate::wire::{ReceptionBlock, SenderReport};
use lianmai_fanout::{SequenceNumber, Ssrc};
use std::time::{Duration, Instant};

/// A larger step ahead is not a loss but another sequence (RFC 3550 A.1).
const MAX_DROPOUT: u16 = 3_000;
/// A step back this far is a late packet. More than RFC 3550 A.1 proposes: retransmissions come on the same
/// stream where RTX was not negotiated.
const MAX_MISORDER: u16 = 1_000;
/// A larger change of transit time is a timestamp that jumped, not jitter.
const MAX_TRANSIT_STEP: Duration = Duration::from_secs(5);

/// Counts of one stream.
#[derive(Clone, Debug)]
pub(super) struct Reception {
    clock_rate: u32,
    epoch: Instant,
    sequence: Option<Sequence>,
    total_packets: u64,
    total_bytes: u64,
    transit: Option<u32>,
    /// Jitter in 1/16 timestamp units, as A.8 keeps it.
    jitter: u64,
    fraction_lost: u8,
    last_sr: Option<(u32, Instant)>,
    news: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sequence {
    first: i64,
    highest: i64,
    /// Where a sequence would go on that we did not believe at its first packet.
    other: Option<u16>,
    received: i64,
    expected_prior: i64,
    received_prior: i64,
}

/// Where a packet belongs, in extended sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Ahead of all: `missing` is the first number between the old highest and it, or the packet itself.
    Ahead { missing: i64, seq: i64 },
    /// A late packet or a duplicate.
    Behind(i64),
    /// Far away, and alone so far.
    Stray,
    /// The stream began, or began anew.
    Began,
}

impl Reception {
    pub(super) const fn new(epoch: Instant, clock_rate: u32) -> Self {
        Self {
            clock_rate,
            epoch,
            sequence: None,
            total_packets: 0,
            total_bytes: 0,
            transit: None,
            jitter: 0,
            fraction_lost: 0,
            last_sr: None,
            news: false,
        }
    }

    pub(super) fn on_packet(
        &mut self,
        seq: SequenceNumber,
        timestamp: u32,
        arrival: Instant,
        size: usize,
    ) -> Place {
        self.total_packets += 1;
        self.total_bytes += size as u64;
        self.news = true;
        let place = self.place(seq.0);
        if matches!(place, Place::Ahead { .. } | Place::Began) {
            self.measure_jitter(timestamp, arrival);
        }
        place
    }

    pub(super) fn on_sender_report(&mut self, now: Instant, report: &SenderReport) {
        self.last_sr = Some((report.ntp.middle(), now));
    }

    /// The extended form of a number near the newest.
    pub(super) fn extend(&self, seq: SequenceNumber) -> Option<i64> {
        let highest = self.sequence?.highest;
        Some(highest + i64::from(seq.0.wrapping_sub(low_bits(highest)).cast_signed()))
    }

    /// The block for the next report, if the stream sent anything since the last one; the interval begins anew.
    pub(super) fn take_block(&mut self, now: Instant, ssrc: Ssrc) -> Option<ReceptionBlock> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let sequence = self.sequence.as_mut()?;
        self.fraction_lost = sequence.take_fraction_lost();
        Some(ReceptionBlock {
            ssrc,
            fraction_lost: self.fraction_lost,
            cumulative_lost: sequence.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_seq: (sequence.highest & 0xffff_ffff) as u32,
            jitter: u32::try_from(self.jitter >> 4).unwrap_or(u32::MAX),
            last_sr: self.last_sr.map_or(0, |(middle, _)| middle),
            delay_since_last_sr: self
                .last_sr
                .map_or(0, |(_, at)| to_short(now.saturating_duration_since(at))),
        })
    }

    pub(super) const fn packets(&self) -> u64 {
        self.total_packets
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.total_bytes
    }

    pub(super) fn lost(&self) -> i64 {
        self.sequence.map_or(0, |sequence| sequence.lost())
    }

    pub(super) fn fraction_lost(&self) -> f32 {
        f32::from(self.fraction_lost) / 256.0
    }

    pub(super) fn jitter(&self) -> Duration {
        Duration::from_secs_f64((self.jitter >> 4) as f64 / f64::from(self.clock_rate))
    }

    fn place(&mut self, seq: u16) -> Place {
        let Some(sequence) = &mut self.sequence else {
            self.sequence = Some(Sequence::begin(seq));
            return Place::Began;
        };
        let ahead = seq.wrapping_sub(low_bits(sequence.highest));
        if ahead > 0 && ahead < MAX_DROPOUT {
            let missing = sequence.highest + 1;
            sequence.highest += i64::from(ahead);
            sequence.count();
            return Place::Ahead {
                missing,
                seq: sequence.highest,
            };
        }
        let back = ahead.wrapping_neg();
        if back <= MAX_MISORDER {
            sequence.count();
            return Place::Behind(sequence.highest - i64::from(back));
        }
        // "Two sequential packets -- assume that the other side restarted without telling us" (RFC 3550 A.1).
        if sequence.other == Some(seq) {
            self.transit = None;
            self.sequence = Some(Sequence::begin(seq));
            return Place::Began;
        }
        sequence.other = Some(seq.wrapping_add(1));
        Place::Stray
    }

    /// RFC 3550 A.8: J += (|D| - J) / 16, in sixteenths to keep the fraction.
    fn measure_jitter(&mut self, timestamp: u32, arrival: Instant) {
        let elapsed = arrival.saturating_duration_since(self.epoch);
        let units = elapsed.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        let transit = ((units & 0xffff_ffff) as u32).wrapping_sub(timestamp);
        let Some(before) = self.transit.replace(transit) else {
            return;
        };
        let step = u64::from(transit.wrapping_sub(before).cast_signed().unsigned_abs());
        if step < MAX_TRANSIT_STEP.as_secs() * u64::from(self.clock_rate) {
            self.jitter = self.jitter + step - ((self.jitter + 8) >> 4);
        }
    }
}

impl Sequence {
    fn begin(seq: u16) -> Self {
        let first = i64::from(seq);
        Self {
            first,
            highest: first,
            other: None,
            received: 1,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    const fn count(&mut self) {
        self.received += 1;
        self.other = None;
    }

    const fn expected(&self) -> i64 {
        self.highest - self.first + 1
    }

    const fn lost(&self) -> i64 {
        self.expected() - self.received
    }

    /// RFC 3550 A.3 and §6.4.1: "the integer part after multiplying the loss fraction by 256".
    fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        if expected <= 0 || received >= expected {
            return 0;
        }
        (((expected - received) << 8) / expected).min(255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Reception};
    use crate::ntp::NtpTime;
    use crate::wire::{ReceptionBlock, SenderReport};
    use lianmai_fanout::{SequenceNumber, Ssrc};
    use std::time::{Duration, Instant};

    const SSRC: Ssrc = Ssrc(7);

    fn receive(reception: &mut Reception, start: Instant, seqs: impl IntoIterator<Item = u16>) {
        for seq in seqs {
            reception.on_packet(SequenceNumber(seq), 0, start, 100);
        }
    }

    fn block(reception: &mut Reception, now: Instant) -> ReceptionBlock {
        reception.take_block(now, SSRC).expect("packets arrived")
    }

    // "This fraction is defined to be the number of packets lost divided by the number of packets expected."
    // (RFC 3550 §6.4.1)
    #[test]
    fn one_of_four_lost_is_64_of_256_in_each_interval_alone() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        receive(&mut reception, now, (0..400).filter(|seq| seq % 4 != 1));
        let first = block(&mut reception, now);
        assert_eq!(
            (first.fraction_lost, first.cumulative_lost, first.highest_seq),
            (64, 100, 399)
        );
        receive(&mut reception, now, 400..500);
        let second = block(&mut reception, now);
        assert_eq!(
            (second.fraction_lost, second.cumulative_lost, second.highest_seq),
            (0, 100, 499)
        );
    }

    // "the loss may be negative if there are duplicates"; then "the fraction lost is set to zero" (RFC 3550 §6.4.1).
    #[test]
    fn duplicates_make_the_loss_negative_and_its_fraction_zero() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        receive(&mut reception, now, [10, 11, 11, 11, 12]);
        let block = block(&mut reception, now);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -2));
    }

    #[test]
    fn the_highest_number_counts_its_cycles() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        receive(&mut reception, now, [65_534, 65_535, 0, 1, 65_533]);
        assert_eq!(block(&mut reception, now).highest_seq, (1 << 16) | 1);
    }

    #[test]
    fn a_late_packet_and_a_gap_are_placed() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        let mut place = |seq| reception.on_packet(SequenceNumber(seq), 0, now, 1);
        assert_eq!(place(65_535), Place::Began);
        assert_eq!(
            place(3),
            Place::Ahead {
                missing: 65_536,
                seq: 65_539
            }
        );
        assert_eq!(place(1), Place::Behind(65_537));
    }

    #[test]
    fn one_stray_number_changes_nothing_and_two_in_order_begin_anew() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        let mut place = |seq| reception.on_packet(SequenceNumber(seq), 0, now, 1);
        assert_eq!(place(100), Place::Began);
        assert_eq!(place(30_000), Place::Stray);
        assert_eq!(
            place(101),
            Place::Ahead {
                missing: 101,
                seq: 101
            }
        );
        assert_eq!(place(40_000), Place::Stray);
        assert_eq!(place(40_001), Place::Began);
        assert_eq!(block(&mut reception, now).highest_seq, 40_001);
    }

    #[test]
    fn jitter_of_a_steady_alternation_converges_to_its_size() {
        let start = Instant::now();
        let mut reception = Reception::new(start, 90_000);
        for seq in 0..1_000_u16 {
            let late = if seq % 2 == 0 { 0 } else { 4 };
            let arrival = start + Duration::from_millis(u64::from(seq) * 20 + late);
            reception.on_packet(SequenceNumber(seq), u32::from(seq) * 1_800, arrival, 100);
        }
        // 4 ms at 90 kHz are 360 units.
        let jitter = block(&mut reception, start).jitter;
        assert!((350..=360).contains(&jitter), "{jitter}");
    }

    #[test]
    fn a_timestamp_that_jumps_is_not_jitter() {
        let start = Instant::now();
        let mut reception = Reception::new(start, 90_000);
        for (seq, timestamp) in [(0, 0), (1, 0), (2, 0x8000_0000), (3, 0x8000_0000)] {
            reception.on_packet(SequenceNumber(seq), timestamp, start, 100);
        }
        assert_eq!(block(&mut reception, start).jitter, 0);
    }

    // "The delay ... between receiving the last SR packet from source SSRC_n and sending this reception report
    // block. If no SR packet has been received yet from SSRC_n, the DLSR field is set to zero." (RFC 3550 §6.4.1)
    #[test]
    fn the_last_sender_report_is_echoed_with_its_age() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        receive(&mut reception, now, [1]);
        let before = block(&mut reception, now);
        assert_eq!((before.last_sr, before.delay_since_last_sr), (0, 0));
        let ntp = NtpTime(0x1122_3344_5566_7788);
        reception.on_sender_report(
            now,
            &SenderReport {
                ssrc: SSRC,
                ntp,
                rtp: 0,
                packets: 0,
                octets: 0,
            },
        );
        receive(&mut reception, now, [2]);
        let after = block(&mut reception, now + Duration::from_millis(500));
        assert_eq!((after.last_sr, after.delay_since_last_sr), (0x3344_5566, 32_768));
    }

    #[test]
    fn a_stream_that_sent_nothing_since_the_last_report_has_no_block() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000);
        receive(&mut reception, now, [1]);
        block(&mut reception, now);
        assert_eq!(reception.take_block(now, SSRC), None);
    }
}
