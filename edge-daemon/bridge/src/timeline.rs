//! The stream's own clock on ours. Pictures and sound share it, so that they stay together.

use std::time::{Duration, Instant};

/// Where the stream's time zero lies. The earliest arrival decides: nothing comes before it was made, and what is late was
/// held up on its way. A publisher whose clock is fast moves it on, one whose clock is slow falls behind it.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Microseconds from `epoch`.
    zero: Option<i64>,
    epoch: Instant,
}

impl Timeline {
    /// `epoch` is any moment before everything else.
    pub(crate) const fn new(epoch: Instant) -> Self {
        Self { zero: None, epoch }
    }

    /// Something of this time came.
    pub(crate) fn arrived(&mut self, arrival: Instant, at_ms: i64) {
        let arrival = micros(arrival.saturating_duration_since(self.epoch));
        let zero = arrival.saturating_sub(at_ms.saturating_mul(1000));
        self.zero = Some(self.zero.map_or(zero, |earlier| earlier.min(zero)));
    }

    /// When this was made, `now` at the latest.
    pub(crate) fn instant(&self, at_us: i64, now: Instant) -> Instant {
        let made = self.zero.unwrap_or_default().saturating_add(at_us);
        let since = Duration::from_micros(u64::try_from(made).unwrap_or_default());
        self.epoch.checked_add(since).map_or(now, |made| made.min(now))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Timeline;
    use std::time::{Duration, Instant};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_late_was_made_when_its_time_says() {
        let start = Instant::now();
        let mut timeline = Timeline::new(start);
        for (arrival, at) in [(100, 5000), (133, 5033), (450, 5066)] {
            timeline.arrived(start + ms(arrival), at);
        }
        assert_eq!(timeline.instant(5_066_000, start + ms(450)), start + ms(166));
    }

    #[test]
    fn the_earliest_arrival_moves_the_whole_line() {
        let start = Instant::now();
        let mut timeline = Timeline::new(start);
        timeline.arrived(start + ms(500), 0);
        timeline.arrived(start + ms(500), 400);
        assert_eq!(timeline.instant(0, start + ms(500)), start + ms(100));
    }

    #[test]
    fn nothing_was_made_after_now_or_before_the_beginning() {
        let start = Instant::now();
        let mut timeline = Timeline::new(start);
        timeline.arrived(start + ms(10), 0);
        let now = start + ms(20);
        assert_eq!(timeline.instant(i64::MAX, now), now);
        assert_eq!(timeline.instant(i64::MIN, now), start);
    }
}
