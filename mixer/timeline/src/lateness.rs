//! How late a host's packets come: a histogram that forgets.

use crate::time::{EdgeTime, Span};

const BIN: Span = Span::from_millis(5);
const BINS: usize = 800;
const HALF_LIFE: Span = Span::from_secs(10);

/// A histogram of delays from 0 to 4 s in steps of 5 ms. Every half-life, by default ten seconds, all counts are halved, whether
/// or not packets came, so that what happened long ago hardly matters.
#[derive(Clone, Debug)]
pub(crate) struct Lateness {
    /// Counts in 1/256ths of a packet, so that halving keeps its effect on small counts.
    bins: Box<[u64]>,
    total: u64,
    half_life: Span,
    halved_at: Option<EdgeTime>,
}

const ONE: u64 = 256;

impl Lateness {
    pub(crate) fn new() -> Self {
        Self::with_half_life(HALF_LIFE)
    }

    pub(crate) fn with_half_life(half_life: Span) -> Self {
        Self {
            bins: vec![0; BINS].into_boxed_slice(),
            total: 0,
            half_life,
            halved_at: None,
        }
    }

    /// How many packets of late, in 1/256ths.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    pub(crate) fn observe(&mut self, now: EdgeTime, delay: Span) {
        self.decay(now);
        let bin = usize::try_from(delay.0 / BIN.0).unwrap_or(0).min(BINS - 1);
        if let Some(count) = self.bins.get_mut(bin) {
            *count += ONE;
            self.total += ONE;
        }
    }

    /// The delay that `percent` of the recent packets stayed within, rounded up to the next 5 ms. `None` when
    /// hardly any packets came of late.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Span> {
        if self.total < 4 * ONE {
            return None;
        }
        let wanted = (self.total * percent).div_ceil(100);
        let mut seen = 0;
        let bin = self.bins.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(BIN * (i64::try_from(bin).unwrap_or(0) + 1))
    }

    pub(crate) fn decay(&mut self, now: EdgeTime) {
        let since = *self.halved_at.get_or_insert(now);
        let halvings = (now - since).0 / self.half_life.0;
        if halvings <= 0 {
            return;
        }
        self.halved_at = Some(since + self.half_life * halvings);
        let shift = u32::try_from(halvings.min(63)).unwrap_or(63);
        for count in &mut self.bins {
            *count >>= shift;
        }
        self.total = self.bins.iter().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::Lateness;
    use crate::time::{EdgeTime, Span};

    #[test]
    fn the_percentile_leaves_out_the_few_worst() {
        let mut lateness = Lateness::new();
        for n in 0..1000 {
            let millis = if n % 200 == 0 { 900 } else { 20 };
            lateness.observe(EdgeTime(n), Span::from_millis(millis));
        }
        assert_eq!(lateness.percentile(99), Some(Span::from_millis(25)));
        assert_eq!(lateness.percentile(100), Some(Span::from_millis(905)));
    }

    #[test]
    fn a_bad_minute_is_forgotten_in_silence() {
        let mut lateness = Lateness::new();
        for n in 0..1000 {
            lateness.observe(EdgeTime(n), Span::from_millis(900));
        }
        lateness.decay(EdgeTime(0) + Span::from_secs(120));
        assert_eq!(lateness.percentile(99), None);
    }

    #[test]
    fn absurd_delays_fall_into_the_outer_bins() {
        let mut lateness = Lateness::new();
        for delay in [i64::MIN, -1, 0, i64::MAX] {
            lateness.observe(EdgeTime(0), Span(delay));
        }
        assert_eq!(lateness.percentile(75), Some(Span::from_millis(5)));
        assert_eq!(lateness.percentile(100), Some(Span::from_millis(4000)));
    }
}
