//! Round trips, from any echo of a time of ours.

use crate::ntp::from_short;
use std::time::{Duration, Instant};

/// A longer round trip is a stale or made-up echo, not a path.
const LONGEST: Duration = Duration::from_secs(10);
/// Weight of a new sample (RFC 6298 §2.3).
const WEIGHT: u32 = 8;
/// The smallest round trip is looked for in windows of this length; the last two count.
const WINDOW: Duration = Duration::from_secs(15);

/// What is known of a path's round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// Smoothed, for timers.
    pub smoothed: Duration,
    /// The smallest of the last 15 to 30 seconds: the path without its queues.
    pub least: Duration,
    /// The latest sample.
    pub last: Duration,
}

/// Collects samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoundTripMeter {
    current: Option<RoundTrip>,
    window_least: Option<Duration>,
    window_began: Option<Instant>,
}

impl RoundTripMeter {
    pub(crate) const fn get(&self) -> Option<RoundTrip> {
        self.current
    }

    /// The echo of a middle timestamp came back at `now_middle` after `delay` at the peer (RFC 3550 §6.4.1,
    /// RFC 3611 §4.5): A - LSR - DLSR.
    pub(crate) fn on_echo(&mut self, now: Instant, now_middle: u32, echoed: u32, delay: u32) {
        let units = now_middle.wrapping_sub(echoed).wrapping_sub(delay).cast_signed();
        // Clocks that count in 15 us steps may make a loopback's round trip negative by one.
        if echoed != 0 && units >= -16 {
            self.on_sample(now, from_short(units.max(0).cast_unsigned()));
        }
    }

    pub(crate) fn on_sample(&mut self, now: Instant, last: Duration) {
        if last > LONGEST {
            return;
        }
        let before = self.current.unwrap_or(RoundTrip {
            smoothed: last,
            least: last,
            last,
        });
        let smoothed = (before.smoothed * (WEIGHT - 1) + last) / WEIGHT;
        let least = self.least_with(now, last);
        self.current = Some(RoundTrip {
            smoothed,
            least,
            last,
        });
    }

    fn least_with(&mut self, now: Instant, last: Duration) -> Duration {
        let before = self.current.map_or(last, |current| current.least);
        let began = *self.window_began.get_or_insert(now);
        if now.saturating_duration_since(began) < WINDOW {
            let here = self.window_least.map_or(last, |least| least.min(last));
            self.window_least = Some(here);
            return before.min(last);
        }
        let previous = self.window_least.replace(last).unwrap_or(last);
        self.window_began = Some(now);
        previous.min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::RoundTripMeter;
    use std::time::{Duration, Instant};

    const MS: Duration = Duration::from_millis(1);

    // Figure 2 of RFC 3550 §6.4.1.
    #[test]
    fn the_example_of_rfc_3550_gives_its_six_seconds_and_an_eighth() {
        let mut meter = RoundTripMeter::default();
        meter.on_echo(Instant::now(), 0xb710_8000, 0xb705_2000, 0x0005_4000);
        assert_eq!(meter.get().unwrap().last, Duration::from_millis(6_125));
    }

    #[test]
    fn an_echo_of_nothing_and_an_echo_from_the_future_are_ignored() {
        let mut meter = RoundTripMeter::default();
        meter.on_echo(Instant::now(), 0x0010_0000, 0, 0);
        meter.on_echo(Instant::now(), 0x0010_0000, 0x0020_0000, 0);
        assert_eq!(meter.get(), None);
    }

    #[test]
    fn the_least_follows_a_path_that_became_longer() {
        let start = Instant::now();
        let mut meter = RoundTripMeter::default();
        for second in 0..60 {
            let sample = if second < 10 { 20 * MS } else { 90 * MS };
            meter.on_sample(start + second * 1_000 * MS, sample);
        }
        let known = meter.get().unwrap();
        assert_eq!(known.least, 90 * MS);
        assert!(known.smoothed > 85 * MS);
    }
}
