//! When to ask a publisher for a key frame: at once, but not more often than it can serve.

use std::time::{Duration, Instant};

/// Requests closer together than this become one.
const THROTTLE: Duration = Duration::from_millis(500);
/// An unanswered request is repeated at growing distances up to this.
const SLOWEST_REPEAT: Duration = Duration::from_secs(4);
/// A key frame is there this share of the round trip later than that: it is encoded at the next picture, and large.
const MARGIN: u32 = 4;

/// The requests for one video stream.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyFrameRequests {
    wanted: bool,
    tries: u32,
    asked_at: Option<Instant>,
    round_trip: Duration,
    /// Command sequence number (RFC 5104 §4.3.1.1).
    sequence: u8,
}

impl KeyFrameRequests {
    /// Somebody needs a key frame from now on.
    pub(super) const fn request(&mut self) {
        self.wanted = true;
        self.tries = 0;
    }

    /// What is asked for cannot come sooner than this: on a long path, asking again before would give two key frames.
    pub(super) const fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// It came, for everybody who waits.
    pub(super) const fn on_key_frame(&mut self) {
        self.wanted = false;
    }

    pub(super) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        self.wanted
            .then(|| self.asked_at.map_or(now, |at| at + self.wait()))
    }

    /// Whether to ask now, and under which command sequence number.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u8> {
        if self.next_timeout(now)? > now {
            return None;
        }
        if self.tries == 0 {
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.tries += 1;
        self.asked_at = Some(now);
        Some(self.sequence)
    }

    fn wait(&self) -> Duration {
        let doublings = self.tries.saturating_sub(1).min(3);
        let answer = self.round_trip + self.round_trip / MARGIN;
        (THROTTLE.max(answer) * (1 << doublings)).min(SLOWEST_REPEAT)
    }
}

#[cfg(test)]
mod tests {
    use super::KeyFrameRequests;
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_request_goes_at_once_and_a_burst_becomes_one() {
        let now = Instant::now();
        let mut requests = KeyFrameRequests::default();
        let mut sent = 0;
        for _ in 0..50 {
            requests.request();
            sent += u32::from(requests.take_due(now).is_some());
        }
        assert_eq!(sent, 1);
    }

    #[test]
    fn a_request_within_the_throttle_goes_when_it_opens() {
        let now = Instant::now();
        let mut requests = KeyFrameRequests::default();
        requests.request();
        assert_eq!(requests.take_due(now), Some(1));
        requests.on_key_frame();
        requests.request();
        assert_eq!(requests.take_due(now + 499 * MS), None);
        assert_eq!(requests.next_timeout(now), Some(now + 500 * MS));
        assert_eq!(requests.take_due(now + 500 * MS), Some(2));
    }

    #[test]
    fn on_a_long_path_a_request_is_repeated_only_once_its_answer_is_overdue() {
        let now = Instant::now();
        let mut requests = KeyFrameRequests::default();
        requests.set_round_trip(800 * MS);
        requests.request();
        assert_eq!(requests.take_due(now), Some(1));
        requests.request();
        assert_eq!(requests.next_timeout(now), Some(now + 1_000 * MS));
    }

    // "The sequence number SHALL be increased by 1 modulo 256 for each new command. A repetition SHALL NOT
    // increase the sequence number." (RFC 5104 §4.3.1.1)
    #[test]
    fn an_unanswered_request_is_repeated_ever_more_slowly_until_the_key_frame() {
        let start = Instant::now();
        let mut requests = KeyFrameRequests::default();
        requests.request();
        let mut times = Vec::new();
        for tick in 0..1_000_u32 {
            let now = start + tick * 10 * MS;
            times.extend(requests.take_due(now).map(|sequence| (tick * 10, sequence)));
        }
        assert_eq!(times, [(0, 1), (500, 1), (1_500, 1), (3_500, 1), (7_500, 1)]);
        requests.on_key_frame();
        assert_eq!(requests.next_timeout(start), None);
    }
}
