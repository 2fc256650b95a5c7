//! A stream that would outrun its rings between two turns of the daemon.

use super::depth::{ahead, for_packets};
use std::time::{Duration, Instant};

/// Over this time or longer a burst is measured: so short that rings outlast it, and so long that a picture is none.
const SPAN: Duration = Duration::from_millis(20);

/// So long a daemon on a busy machine may have to wait for its turn: the packets of this time must lie ahead, in milliseconds ...
const COVER: u64 = 50;

/// ... and of this time, once rings are made deeper for it.
const ROOM: u64 = 150;

/// How many packets the kernel took lately. Gaps in the indices of a stream are no burst, so it is packets that count.
#[derive(Debug)]
pub(crate) struct Burst {
    since: Instant,
    from: u64,
}

impl Burst {
    pub(crate) const fn new(now: Instant, packets: u64) -> Self {
        Self {
            since: now,
            from: packets,
        }
    }

    /// The kernel took so many packets of the stream by now. Returns the depth that such a rate needs, if it is more than this one.
    pub(crate) fn update(&mut self, now: Instant, packets: u64, depth: u32) -> Option<u32> {
        let span = now.saturating_duration_since(self.since);
        if span < SPAN {
            return None;
        }
        let taken = packets.saturating_sub(self.from);
        (self.since, self.from) = (now, packets);
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let within = |time: u64| taken.saturating_mul(time) / millis;
        if within(COVER) <= ahead(depth) {
            return None;
        }
        Some(for_packets(within(ROOM))).filter(|needed| *needed > depth)
    }
}

#[cfg(test)]
mod tests {
    use super::Burst;
    use std::time::{Duration, Instant};

    /// What is asked for after so many packets in so many milliseconds.
    fn needed(packets: u64, millis: u64, depth: u32) -> Option<u32> {
        let start = Instant::now();
        let mut burst = Burst::new(start, 1_000);
        burst.update(start + Duration::from_millis(millis), 1_000 + packets, depth)
    }

    #[test]
    fn a_stream_that_a_late_turn_would_find_without_pads_gets_three_times_as_many() {
        assert_eq!(needed(400, 20, 1_024), Some(4_096));
        assert_eq!(needed(1_000, 20, 1_024), Some(8_192));
        assert_eq!(needed(1 << 40, 20, 1_024), Some(8_192));
    }

    #[test]
    fn a_picture_is_no_burst() {
        assert_eq!(needed(250, 20, 1_024), None);
        assert_eq!(needed(5_000, 500, 1_024), None);
    }

    #[test]
    fn what_comes_within_a_moment_is_not_measured_yet() {
        assert_eq!(needed(700, 19, 1_024), None);
    }

    #[test]
    fn there_is_no_more_than_the_longest_ring() {
        assert_eq!(needed(100_000, 20, 8_192), None);
    }
}
