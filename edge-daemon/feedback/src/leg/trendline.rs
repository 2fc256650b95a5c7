//! Whether the queue of a path grows: the delay gradient over packet groups, its trend and an adaptive threshold
//! (draft-ietf-rmcat-gcc-02 §5.2 to §5.4, with a least squares line in the place of the Kalman filter).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets sent within this time are one group, and so are those that arrive in one burst (§5.2).
const GROUP: Duration = Duration::from_millis(5);
/// A burst is no longer than this.
const MAX_BURST_US: i64 = 100_000;
/// Points of the line.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// Makes the slope comparable with the threshold, in ms.
const GAIN: f64 = 4.0;
/// The gain counts this many deltas at most.
const MAX_DELTAS: u32 = 60;
/// The threshold in ms: where it begins and stays (§5.4).
const THRESHOLD: f64 = 12.5;
const THRESHOLD_RANGE: (f64, f64) = (6.0, 600.0);
/// How fast it follows upwards and downwards, per ms (§5.4: K_u, K_d).
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// Jumps beyond the threshold by more than this do not move it (§5.4).
const OUTLIER: f64 = 15.0;
/// The trend must lie above the threshold for this long (§5.4: overuse_time_th).
const OVERUSE_MS: f64 = 10.0;

/// What the path does with what is sent (§5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// The queue neither grows nor shrinks.
    #[default]
    Normal,
    /// The queue grows.
    Over,
    /// The queue shrinks.
    Under,
}

/// The delay side of the estimator.
#[derive(Clone, Debug)]
pub(super) struct Trendline {
    current: Option<Group>,
    previous: Option<Group>,
    deltas: u32,
    accumulated: f64,
    smoothed: f64,
    /// (arrival, smoothed delay), both in ms.
    points: VecDeque<(f64, f64)>,
    origin_us: Option<i64>,
    threshold: f64,
    threshold_at_ms: Option<f64>,
    over_for_ms: Option<f64>,
    over_count: u32,
    last_slope: f64,
    usage: Usage,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Instant,
    last_sent: Instant,
    first_arrived_us: i64,
    last_arrived_us: i64,
}

impl Default for Trendline {
    fn default() -> Self {
        Self {
            current: None,
            previous: None,
            deltas: 0,
            accumulated: 0.0,
            smoothed: 0.0,
            points: VecDeque::new(),
            origin_us: None,
            threshold: THRESHOLD,
            threshold_at_ms: None,
            over_for_ms: None,
            over_count: 0,
            last_slope: 0.0,
            usage: Usage::Normal,
        }
    }
}

impl Trendline {
    pub(super) const fn usage(&self) -> Usage {
        self.usage
    }

    /// One packet that arrived, in the order of arrival.
    pub(super) fn on_packet(&mut self, sent_at: Instant, arrived_us: i64) {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::of(sent_at, arrived_us));
            return;
        };
        if sent_at < current.first_sent {
            return;
        }
        if current.takes(sent_at, arrived_us) {
            current.last_sent = current.last_sent.max(sent_at);
            current.last_arrived_us = current.last_arrived_us.max(arrived_us);
            return;
        }
        let done = *current;
        self.current = Some(Group::of(sent_at, arrived_us));
        if let Some(previous) = self.previous.replace(done) {
            self.on_groups(previous, done);
        }
    }

    fn on_groups(&mut self, previous: Group, group: Group) {
        let sent_ms = millis(group.last_sent.saturating_duration_since(previous.last_sent));
        let arrived_ms = (group.last_arrived_us - previous.last_arrived_us) as f64 / 1_000.0;
        let origin = *self.origin_us.get_or_insert(group.last_arrived_us);
        let at_ms = (group.last_arrived_us - origin) as f64 / 1_000.0;
        self.deltas = (self.deltas + 1).min(MAX_DELTAS);
        self.accumulated += arrived_ms - sent_ms;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        self.points.push_back((at_ms, self.smoothed));
        if self.points.len() > WINDOW {
            self.points.pop_front();
        }
        let slope = if self.points.len() == WINDOW {
            slope(&self.points)
        } else {
            0.0
        };
        self.decide(slope, sent_ms, at_ms);
    }

    fn decide(&mut self, slope: f64, sent_ms: f64, at_ms: f64) {
        let trend = f64::from(self.deltas) * slope * GAIN;
        if trend > self.threshold {
            let over_for = self.over_for_ms.map_or(sent_ms / 2.0, |before| before + sent_ms);
            self.over_for_ms = Some(over_for);
            self.over_count += 1;
            if over_for > OVERUSE_MS && self.over_count > 1 && slope >= self.last_slope {
                self.over_for_ms = Some(0.0);
                self.over_count = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_for_ms = None;
            self.over_count = 0;
            self.usage = if trend < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.last_slope = slope;
        self.adapt(trend.abs(), at_ms);
    }

    /// §5.4: the threshold follows the trend, so that a path shared with TCP is not starved.
    fn adapt(&mut self, trend: f64, at_ms: f64) {
        let elapsed = (at_ms - self.threshold_at_ms.unwrap_or(at_ms)).clamp(0.0, 100.0);
        self.threshold_at_ms = Some(at_ms);
        if trend > self.threshold + OUTLIER {
            return;
        }
        let follow = if trend < self.threshold {
            FOLLOW_DOWN
        } else {
            FOLLOW_UP
        };
        self.threshold += follow * (trend - self.threshold) * elapsed;
        self.threshold = self.threshold.clamp(THRESHOLD_RANGE.0, THRESHOLD_RANGE.1);
    }
}

impl Group {
    const fn of(sent_at: Instant, arrived_us: i64) -> Self {
        Self {
            first_sent: sent_at,
            last_sent: sent_at,
            first_arrived_us: arrived_us,
            last_arrived_us: arrived_us,
        }
    }

    fn takes(&self, sent_at: Instant, arrived_us: i64) -> bool {
        if sent_at.saturating_duration_since(self.first_sent) <= GROUP {
            return true;
        }
        let arrived = arrived_us - self.last_arrived_us;
        let sent = sent_at.saturating_duration_since(self.last_sent).as_micros() as i64;
        arrived <= GROUP.as_micros() as i64
            && arrived < sent
            && arrived_us - self.first_arrived_us < MAX_BURST_US
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Least squares.
fn slope(points: &VecDeque<(f64, f64)>) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x) * (x - mean_x)).sum();
    if variance > 0.0 {
        covariance / variance
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Trendline, Usage};
    use std::time::{Duration, Instant};

    /// Packets every 10 ms whose delay changes by `drift_us` from one to the next.
    fn drive(
        line: &mut Trendline,
        packets: u32,
        start: u32,
        drift_us: i64,
        delay_us: &mut i64,
    ) -> Vec<Usage> {
        let epoch = Instant::now();
        (start..start + packets)
            .map(|packet| {
                *delay_us += drift_us;
                let sent_us = i64::from(packet) * 10_000;
                line.on_packet(epoch + Duration::from_micros(sent_us as u64), sent_us + *delay_us);
                line.usage()
            })
            .collect()
    }

    #[test]
    fn a_constant_delay_is_normal_whatever_the_clocks() {
        let mut delay = 123_456_789;
        let usages = drive(&mut Trendline::default(), 300, 0, 0, &mut delay);
        assert!(usages.iter().all(|usage| *usage == Usage::Normal));
    }

    #[test]
    fn a_growing_queue_is_overuse_and_a_draining_one_underuse() {
        let (mut line, mut delay) = (Trendline::default(), 0);
        let growing = drive(&mut line, 100, 0, 1_000, &mut delay);
        let noticed = growing
            .iter()
            .position(|usage| *usage == Usage::Over)
            .expect("noticed");
        assert!(noticed < 40, "{noticed} packets");
        let mut line = Trendline::default();
        drive(&mut line, 50, 0, 0, &mut delay);
        assert!(drive(&mut line, 60, 50, -1_000, &mut delay).contains(&Usage::Under));
    }

    #[test]
    fn jitter_without_a_trend_is_normal() {
        let epoch = Instant::now();
        let mut line = Trendline::default();
        for packet in 0..600_i64 {
            let sent_us = packet * 10_000;
            let jitter_us = (packet * 7_919 % 13) * 400;
            line.on_packet(epoch + Duration::from_micros(sent_us as u64), sent_us + jitter_us);
            assert_ne!(line.usage(), Usage::Over, "packet {packet}");
        }
    }
}
