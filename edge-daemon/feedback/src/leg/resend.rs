//! Which requests for retransmission to serve.

use lianmai_fanout::{SequenceNumber, Ssrc};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Taken before the round trip is known, and the bounds of what is believed.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(500);
/// A packet is sent again this often at most.
const MAX_TIMES: u8 = 10;
/// Packets sent again in one second at most: a subscriber must not make us multiply its traffic.
const MAX_PER_SECOND: usize = 500;
/// How long it is remembered that a packet was sent again.
const MEMORY: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

/// What was sent again of late. Bounded by rate and memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Resends {
    recent: BTreeMap<(Ssrc, u16), (Instant, u8)>,
    second_began: Option<Instant>,
    this_second: usize,
}

impl Resends {
    /// The numbers to send now: not within a round trip of the last time, not too often, not too many.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        seqs: &[SequenceNumber],
        round_trip: Option<Duration>,
    ) -> Vec<SequenceNumber> {
        let wait = round_trip.unwrap_or(ASSUMED_ROUND_TRIP).clamp(SHORTEST, LONGEST);
        self.begin_second(now);
        let admitted = seqs
            .iter()
            .copied()
            .filter(|seq| self.admit_one(now, (ssrc, seq.0), wait));
        admitted.collect()
    }

    fn admit_one(&mut self, now: Instant, key: (Ssrc, u16), wait: Duration) -> bool {
        if self.this_second >= MAX_PER_SECOND {
            return false;
        }
        let times = match self.recent.get(&key) {
            Some((at, _)) if now.saturating_duration_since(*at) < wait => return false,
            Some((_, times)) if *times >= MAX_TIMES => return false,
            Some((_, times)) => *times,
            None => 0,
        };
        self.recent.insert(key, (now, times + 1));
        self.this_second += 1;
        true
    }

    fn begin_second(&mut self, now: Instant) {
        if self
            .second_began
            .is_some_and(|began| now.saturating_duration_since(began) < SECOND)
        {
            return;
        }
        self.second_began = Some(now);
        self.this_second = 0;
        self.recent
            .retain(|_, (at, _)| now.saturating_duration_since(*at) < MEMORY);
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PER_SECOND, Resends};
    use lianmai_fanout::{SequenceNumber, Ssrc};
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);
    const ROUND_TRIP: Option<Duration> = Some(Duration::from_millis(60));

    fn seqs(range: std::ops::Range<u16>) -> Vec<SequenceNumber> {
        range.map(SequenceNumber).collect()
    }

    #[test]
    fn the_same_packet_is_not_sent_twice_within_a_round_trip() {
        let now = Instant::now();
        let mut resends = Resends::default();
        assert_eq!(resends.admit(now, Ssrc(1), &seqs(5..7), ROUND_TRIP), seqs(5..7));
        assert_eq!(
            resends.admit(now + 59 * MS, Ssrc(1), &seqs(5..8), ROUND_TRIP),
            seqs(7..8)
        );
        assert_eq!(
            resends.admit(now + 60 * MS, Ssrc(1), &seqs(5..6), ROUND_TRIP),
            seqs(5..6)
        );
    }

    #[test]
    fn a_number_repeated_within_one_request_counts_once() {
        let twice = [SequenceNumber(9), SequenceNumber(9)];
        let admitted = Resends::default().admit(Instant::now(), Ssrc(1), &twice, ROUND_TRIP);
        assert_eq!(admitted, seqs(9..10));
    }

    #[test]
    fn a_flood_of_requests_is_cut_to_a_rate_and_forgotten() {
        let start = Instant::now();
        let mut resends = Resends::default();
        let mut served = 0;
        for request in 0..10_000_u32 {
            let first = (request * 97) as u16;
            let wanted = seqs(first..first.saturating_add(50));
            served += resends
                .admit(start + request * MS, Ssrc(request % 7), &wanted, ROUND_TRIP)
                .len();
        }
        assert!(served <= 11 * MAX_PER_SECOND, "{served}");
        assert!(
            resends.recent.len() <= 4 * MAX_PER_SECOND,
            "{}",
            resends.recent.len()
        );
    }
}
