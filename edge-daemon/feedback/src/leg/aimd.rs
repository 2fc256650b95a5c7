//! The rate that the delay allows: additive or multiplicative increase, multiplicative decrease
//! (draft-ietf-rmcat-gcc-02 §5.5).

use super::trendline::Usage;
use std::time::{Duration, Instant};

/// A decrease goes to this share of what got through (§5.5: beta).
const BETA: f64 = 0.85;
/// Far from the known capacity the rate grows by this factor per second (§5.5).
const GROWTH_PER_SECOND: f64 = 1.08;
/// The estimate may not run further ahead of what is really sent (§5.5): more was never tried.
const HEADROOM: f64 = 1.5;
const HEADROOM_BITS: f64 = 10_000.0;
/// A stream thinner than this fills no queue; its delay says nothing about how much would fit.
const THIN: u64 = 100_000;
/// The lowest estimate.
pub(super) const MIN_BITRATE: f64 = 30_000.0;
/// Near the known capacity: one packet per response time, and no less than this per second.
const PACKET_BITS: f64 = 9_600.0;
const FRAMES_PER_SECOND: f64 = 30.0;
const MIN_STEP: f64 = 4_000.0;

/// The delay-based rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Aimd {
    rate: Option<f64>,
    state: State,
    capacity: Capacity,
    changed_at: Option<Instant>,
    fell_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Increase,
    Hold,
}

impl Aimd {
    /// `None` until the path was overused for the first time.
    pub(super) fn rate(&self) -> Option<u64> {
        self.rate.map(|rate| rate as u64)
    }

    /// Follows the detector; `through` is what got through. Tells whether the rate fell.
    pub(super) fn update(
        &mut self,
        now: Instant,
        usage: Usage,
        through: Option<u64>,
        round_trip: Duration,
    ) -> bool {
        match usage {
            Usage::Over => return self.decrease(now, through, round_trip),
            Usage::Under => self.state = State::Hold,
            Usage::Normal => self.increase(now, through, round_trip),
        }
        false
    }

    fn decrease(&mut self, now: Instant, through: Option<u64>, round_trip: Duration) -> bool {
        let Some(through) = through.filter(|through| *through >= THIN) else {
            return false;
        };
        let through = through as f64;
        if !self.may_fall(now, through, round_trip) {
            return false;
        }
        self.capacity.on_overuse(through);
        let target = (through * BETA).max(MIN_BITRATE);
        let fell = self.rate.is_none_or(|rate| target < rate);
        self.rate = Some(self.rate.map_or(target, |rate| rate.min(target)));
        self.state = State::Hold;
        self.fell_at = Some(now);
        self.changed_at = Some(now);
        fell
    }

    /// Once per round trip, as the effect of the last fall is not seen earlier; at once if far too high.
    fn may_fall(&self, now: Instant, through: f64, round_trip: Duration) -> bool {
        let wait = round_trip.clamp(Duration::from_millis(10), Duration::from_millis(200));
        let waited = self
            .fell_at
            .is_none_or(|at| now.saturating_duration_since(at) >= wait);
        waited || self.rate.is_some_and(|rate| through < rate / 2.0)
    }

    fn increase(&mut self, now: Instant, through: Option<u64>, round_trip: Duration) {
        let elapsed = self
            .changed_at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.changed_at = Some(now);
        if std::mem::replace(&mut self.state, State::Increase) == State::Hold {
            return;
        }
        let (Some(rate), Some(through)) = (self.rate, through) else {
            return;
        };
        let through = through as f64;
        self.capacity.on_throughput(through);
        let grown = if self.capacity.is_known() {
            rate + step_per_second(rate, round_trip) * elapsed.min(1.0)
        } else {
            rate * GROWTH_PER_SECOND.powf(elapsed.min(1.0))
        };
        let ceiling = (HEADROOM * through + HEADROOM_BITS).max(rate);
        self.rate = Some(grown.min(ceiling));
    }
}

/// §5.5: half a packet per response time.
fn step_per_second(rate: f64, round_trip: Duration) -> f64 {
    let frame = rate / FRAMES_PER_SECOND;
    let packet = frame / (frame / PACKET_BITS).ceil().max(1.0);
    let response = 2.0 * (round_trip + Duration::from_millis(100)).as_secs_f64();
    (packet / response).max(MIN_STEP)
}

/// What got through whenever the path was overused: an average with its deviation, both in kbit/s (§5.5).
#[derive(Clone, Debug, Default)]
struct Capacity {
    mean: Option<f64>,
    /// Variance over mean.
    deviation: f64,
}

impl Capacity {
    const WEIGHT: f64 = 0.05;

    const fn is_known(&self) -> bool {
        self.mean.is_some()
    }

    fn on_overuse(&mut self, through: f64) {
        let sample = through / 1_000.0;
        self.forget_unless(|low, _| sample >= low);
        let mean = self
            .mean
            .map_or(sample, |mean| mean + Self::WEIGHT * (sample - mean));
        let error = mean - sample;
        self.deviation += Self::WEIGHT * (error * error / mean.max(1.0) - self.deviation);
        self.deviation = self.deviation.clamp(0.4, 2.5);
        self.mean = Some(mean);
    }

    /// More than ever gets through: the path has changed, look for its capacity quickly again.
    fn on_throughput(&mut self, through: f64) {
        self.forget_unless(|_, high| through / 1_000.0 <= high);
    }

    fn forget_unless(&mut self, holds: impl Fn(f64, f64) -> bool) {
        let Some(mean) = self.mean else {
            return;
        };
        let spread = 3.0 * (self.deviation * mean).sqrt();
        if !holds(mean - spread, mean + spread) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Aimd, Usage};
    use std::time::{Duration, Instant};

    const ROUND_TRIP: Duration = Duration::from_millis(50);

    fn after_overuse_at(through: u64, now: Instant) -> Aimd {
        let mut aimd = Aimd::default();
        assert!(aimd.update(now, Usage::Over, Some(through), ROUND_TRIP));
        aimd
    }

    #[test]
    fn a_path_that_was_never_overused_has_no_known_limit() {
        let start = Instant::now();
        let mut aimd = Aimd::default();
        for second in 0..100 {
            aimd.update(
                start + Duration::from_secs(second),
                Usage::Normal,
                Some(5_000_000),
                ROUND_TRIP,
            );
        }
        assert_eq!(aimd.rate(), None);
    }

    #[test]
    fn overuse_goes_to_85_percent_of_what_got_through_and_not_below_it_again() {
        let now = Instant::now();
        let mut aimd = after_overuse_at(1_000_000, now);
        assert_eq!(aimd.rate(), Some(850_000));
        aimd.update(
            now + Duration::from_secs(1),
            Usage::Over,
            Some(1_000_000),
            ROUND_TRIP,
        );
        assert_eq!(aimd.rate(), Some(850_000));
    }

    #[test]
    fn the_estimate_does_not_sink_because_less_is_sent_nor_run_away_from_what_is_sent() {
        let start = Instant::now();
        let mut aimd = after_overuse_at(1_000_000, start);
        for tick in 0..600 {
            aimd.update(
                start + tick * Duration::from_millis(100),
                Usage::Normal,
                Some(40_000),
                ROUND_TRIP,
            );
        }
        assert_eq!(aimd.rate(), Some(850_000));
        for tick in 600..3_000 {
            aimd.update(
                start + tick * Duration::from_millis(100),
                Usage::Normal,
                Some(800_000),
                ROUND_TRIP,
            );
        }
        assert_eq!(aimd.rate(), Some(1_210_000));
    }

    #[test]
    fn jitter_on_a_thin_stream_is_no_reason_to_fall() {
        let mut aimd = Aimd::default();
        assert!(!aimd.update(Instant::now(), Usage::Over, Some(40_000), ROUND_TRIP));
        assert_eq!(aimd.rate(), None);
    }

    #[test]
    fn underuse_holds_until_the_queue_is_empty() {
        let start = Instant::now();
        let mut aimd = after_overuse_at(1_000_000, start);
        for tick in 1..20 {
            aimd.update(
                start + tick * Duration::from_millis(100),
                Usage::Under,
                Some(900_000),
                ROUND_TRIP,
            );
        }
        assert_eq!(aimd.rate(), Some(850_000));
    }
}
