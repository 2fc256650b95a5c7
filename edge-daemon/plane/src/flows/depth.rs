//! How many packets a flow is prepared for.

use lianmai_webrtc::media::Kind;
use std::time::{Duration, Instant};

/// Slots of a ring, at least and at most.
const LEAST: u32 = 256;
const MOST: u32 = 8_192;

/// What lies ahead of the newest packet carries this much of the stream, in tenths of a second: a daemon that is started
/// again takes less.
const CARRY: u64 = 22;

/// Over this time the rate is taken.
const SPAN: Duration = Duration::from_secs(1);

/// After so many spans with too high a rate rings become deeper.
const SPANS: u8 = 2;

/// Slots for newer packets than the newest, of a ring with this many; the rest is for older ones that come late.
pub(crate) const fn ahead(depth: u32) -> u64 {
    depth as u64 * 3 / 4
}

/// With what a flow begins: enough for 50 and for 300 packets per second.
pub(crate) const fn first(kind: Kind) -> u32 {
    match kind {
        Kind::Audio => LEAST,
        Kind::Video => 1_024,
    }
}

/// Tokens are small, and a stream keeps those that it has while its pads become more; so pictures have as many from the beginning
/// on as a stream can ever need.
pub(crate) const fn tokens_for(kind: Kind) -> u32 {
    match kind {
        Kind::Audio => LEAST,
        Kind::Video => MOST,
    }
}

/// Enough for this many packets per second, or as much as there is.
pub(crate) fn for_rate(packets: u64) -> u32 {
    for_packets(packets.saturating_mul(CARRY).div_ceil(10))
}

/// Enough for this many packets ahead, or as much as there is.
pub(crate) fn for_packets(packets: u64) -> u32 {
    let mut depth = LEAST;
    while depth < MOST && ahead(depth) < packets {
        depth *= 2;
    }
    depth
}

/// The rate of a stream, by the progress of its packet indices.
#[derive(Debug)]
pub(crate) struct Rate {
    since: Instant,
    from: u64,
    too_fast: u8,
}

impl Rate {
    pub(crate) const fn new(now: Instant, highest: u64) -> Self {
        Self {
            since: now,
            from: highest,
            too_fast: 0,
        }
    }

    /// The stream got so far. Returns the depth that it needs, once it has been too fast for this one for some time.
    pub(crate) fn update(&mut self, now: Instant, highest: u64, depth: u32) -> Option<u32> {
        let span = now.saturating_duration_since(self.since);
        if span < SPAN {
            return None;
        }
        let packets = u128::from(highest.saturating_sub(self.from)) * 1_000_000 / span.as_micros().max(1);
        (self.since, self.from) = (now, highest);
        let needed = for_rate(u64::try_from(packets).unwrap_or(u64::MAX));
        self.too_fast = if needed > depth { self.too_fast + 1 } else { 0 };
        (self.too_fast >= SPANS).then_some(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Rate, ahead, first, for_rate};
    use lianmai_webrtc::media::Kind;
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_ahead_carries_more_than_two_seconds_until_there_is_no_more() {
        for packets in [0, 1, 50, 87, 88, 300, 349, 350, 1_000, 2_700] {
            let depth = for_rate(packets);
            assert!(
                depth.is_power_of_two() && ahead(depth) * 10 >= packets * 22,
                "{packets}: {depth}"
            );
        }
        assert_eq!((for_rate(10_000), for_rate(u64::MAX)), (8_192, 8_192));
    }

    #[test]
    fn a_stream_begins_with_what_its_kind_usually_needs() {
        assert_eq!(first(Kind::Audio), for_rate(50));
        assert_eq!(first(Kind::Video), for_rate(300));
    }

    fn run(packets_per_second: u64, depth: u32) -> Option<u32> {
        let start = Instant::now();
        let mut rate = Rate::new(start, 70_000);
        (1..=500).find_map(|turn| {
            let now = start + Duration::from_millis(5) * turn;
            rate.update(now, 70_000 + packets_per_second * u64::from(turn) / 200, depth)
        })
    }

    #[test]
    fn a_stream_that_stays_too_fast_is_told_what_it_needs() {
        assert_eq!(run(1_000, 1_024), Some(4_096));
        assert_eq!(run(340, 1_024), None);
        assert_eq!(run(100_000, 8_192), None, "there is no more");
    }

    #[test]
    fn a_burst_of_one_second_changes_nothing() {
        let start = Instant::now();
        let mut rate = Rate::new(start, 0);
        let second = Duration::from_secs(1);
        assert_eq!(rate.update(start + second, 5_000, 1_024), None);
        assert_eq!(rate.update(start + 2 * second, 5_100, 1_024), None);
        assert_eq!(rate.update(start + 3 * second, 10_000, 1_024), None);
    }
}
