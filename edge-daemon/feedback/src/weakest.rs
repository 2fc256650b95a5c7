//! The rate that a publisher may use: what its weakest leg can take, damped, and never below a floor.

use lianmai_webrtc::EndpointId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// No leg can press a publisher below this: one bad line must not make the whole room look bad.
pub const FLOOR: u64 = 150_000;
/// A rise waits this long after the last fall, so that a leg that wavers does not make the picture waver.
const HOLD: Duration = Duration::from_secs(2);
/// And then goes up by at most this share per second.
const RISE_PER_SECOND: f64 = 0.25;
/// Legs beyond these are not watched; a plane has its own, lower bound on legs.
const MAX_LEGS: usize = 4_096;

/// Minimum over the legs of one source.
#[derive(Clone, Debug)]
pub struct Weakest {
    floor: u64,
    legs: BTreeMap<EndpointId, u64>,
    allowed: Option<u64>,
    fell_at: Option<Instant>,
    moved_at: Option<Instant>,
}

impl Default for Weakest {
    fn default() -> Self {
        Self::new(FLOOR)
    }
}

impl Weakest {
    /// No legs yet; `floor` in bits per second.
    #[must_use]
    pub const fn new(floor: u64) -> Self {
        Self {
            floor,
            legs: BTreeMap::new(),
            allowed: None,
            fell_at: None,
            moved_at: None,
        }
    }

    /// What a leg can take; `None` while it has shown no limit. Call it at every estimate, or a few times a
    /// second, so that the damped rise goes on; returns [`Weakest::allowed`].
    pub fn update(&mut self, now: Instant, leg: EndpointId, estimate: Option<u64>) -> Option<u64> {
        match estimate {
            None => {
                self.legs.remove(&leg);
            }
            Some(bitrate) => {
                if self.legs.len() < MAX_LEGS || self.legs.contains_key(&leg) {
                    self.legs.insert(leg, bitrate);
                }
            }
        }
        self.settle(now)
    }

    /// A leg has left; returns [`Weakest::allowed`].
    pub fn remove(&mut self, now: Instant, leg: EndpointId) -> Option<u64> {
        self.update(now, leg, None)
    }

    /// Bits per second for [`crate::Source::set_allowed_bitrate`]; `None` when no leg has shown a limit.
    #[must_use]
    pub const fn allowed(&self) -> Option<u64> {
        self.allowed
    }

    fn settle(&mut self, now: Instant) -> Option<u64> {
        let target = self.legs.values().min().map(|&weakest| weakest.max(self.floor));
        self.allowed = match (self.allowed, target) {
            (_, None) => None,
            (None, Some(target)) => self.fall(now, target),
            (Some(current), Some(target)) if target < current => self.fall(now, target),
            (Some(current), Some(target)) => Some(self.rise(now, current, target)),
        };
        self.allowed
    }

    fn fall(&mut self, now: Instant, target: u64) -> Option<u64> {
        self.fell_at = Some(now);
        self.moved_at = Some(now);
        Some(target)
    }

    fn rise(&mut self, now: Instant, current: u64, target: u64) -> u64 {
        let held = self
            .fell_at
            .is_some_and(|at| now.saturating_duration_since(at) < HOLD);
        let elapsed = self
            .moved_at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.moved_at = Some(now);
        if held {
            return current;
        }
        let step = (current as f64 * RISE_PER_SECOND * elapsed.min(1.0)) as u64;
        current.saturating_add(step).min(target)
    }
}

#[cfg(test)]
mod tests {
    use super::{FLOOR, Weakest};
    use lianmai_webrtc::EndpointId;
    use std::time::{Duration, Instant};

    const A: EndpointId = EndpointId(1);
    const B: EndpointId = EndpointId(2);

    #[test]
    fn nobody_knows_a_limit_so_there_is_none() {
        let mut weakest = Weakest::default();
        assert_eq!(weakest.update(Instant::now(), A, None), None);
    }

    #[test]
    fn the_weakest_leg_decides_at_once() {
        let now = Instant::now();
        let mut weakest = Weakest::default();
        assert_eq!(weakest.update(now, A, Some(2_000_000)), Some(2_000_000));
        assert_eq!(weakest.update(now, B, Some(600_000)), Some(600_000));
    }

    #[test]
    fn a_very_bad_leg_cannot_starve_the_room_below_the_floor() {
        let mut weakest = Weakest::default();
        assert_eq!(weakest.update(Instant::now(), A, Some(20_000)), Some(FLOOR));
    }

    #[test]
    fn a_rise_waits_and_then_climbs_step_by_step_but_not_beyond_the_weakest() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut weakest = Weakest::default();
        weakest.update(at(0), A, Some(1_000_000));
        assert_eq!(weakest.update(at(1_900), A, Some(1_300_000)), Some(1_000_000));
        let first = weakest.update(at(2_400), A, Some(1_300_000)).unwrap();
        assert!((1_100_000..1_150_000).contains(&first), "{first}");
        weakest.update(at(3_400), A, Some(1_300_000));
        assert_eq!(weakest.update(at(4_400), A, Some(1_300_000)), Some(1_300_000));
    }

    #[test]
    fn a_long_silence_is_not_a_license_to_jump() {
        let start = Instant::now();
        let mut weakest = Weakest::default();
        weakest.update(start, A, Some(1_000_000));
        let later = weakest.update(start + Duration::from_secs(60), A, Some(9_000_000));
        assert_eq!(later, Some(1_250_000));
    }

    #[test]
    fn the_last_limited_leg_takes_its_limit_with_it() {
        let now = Instant::now();
        let mut weakest = Weakest::default();
        weakest.update(now, A, Some(300_000));
        weakest.update(now, B, None);
        assert_eq!(weakest.remove(now, A), None);
    }
}
