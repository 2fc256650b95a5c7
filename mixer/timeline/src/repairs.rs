//! How long lost packets are waited for.

use crate::lateness::Lateness;
use crate::time::{EdgeTime, Span};

/// Longer than for packets that come by themselves: there are few of these.
const HALF_LIFE: Span = Span::from_secs(30);

/// Of the repairs, so many percent came at the first request, even where one in ten is lost.
const AT_FIRST_REQUEST: u64 = 90;

/// One packet in so many may be missing when it is due. Without it the picture stands still until it comes: at 30 packets a second
/// once in a quarter of an hour.
const ONE_IN: f64 = 30_000.0;

/// More requests than this are not waited for.
const MAX_REQUESTS: i64 = 3;

/// The retransmissions of one host: how many packets needed one, and how late they came.
///
/// A packet that is lost once may be lost again on its way. So what was measured of first requests is extended to as
/// many as it takes to make a missing packet rare; each further one takes as long as the first.
#[derive(Clone, Debug)]
pub(crate) struct Repairs {
    packets: Lateness,
    late: Lateness,
}

impl Repairs {
    pub(crate) fn new() -> Self {
        Self {
            packets: Lateness::with_half_life(HALF_LIFE),
            late: Lateness::with_half_life(HALF_LIFE),
        }
    }

    /// A packet came by itself.
    pub(crate) fn on_packet(&mut self, now: EdgeTime) {
        self.packets.observe(now, Span::ZERO);
    }

    /// A packet came because it was asked for, `lateness` after its capture.
    pub(crate) fn on_repair(&mut self, now: EdgeTime, lateness: Span) {
        self.late.observe(now, lateness);
    }

    pub(crate) fn decay(&mut self, now: EdgeTime) {
        self.packets.decay(now);
        self.late.decay(now);
    }

    /// Whether lost packets of this host come again.
    pub(crate) fn are_coming(&self) -> bool {
        self.late.percentile(AT_FIRST_REQUEST).is_some()
    }

    /// How long after its capture a packet is there that was lost, if others are there after `by_itself`. `None` if hardly any
    /// is lost.
    pub(crate) fn needed(&self, by_itself: Span) -> Option<Span> {
        let first = self.late.percentile(AT_FIRST_REQUEST)?;
        let each = (first - by_itself).max(Span::ZERO);
        match self.requests() {
            0 => None,
            requests => Some(first + each * (requests - 1)),
        }
    }

    /// So many requests are waited for.
    fn requests(&self) -> i64 {
        let (repaired, by_itself) = (self.late.count() as f64, self.packets.count() as f64);
        let lost = repaired / (repaired + by_itself).max(1.0);
        let is_rare = |requests: &i64| lost.powi(*requests as i32 + 1) * ONE_IN <= 1.0;
        (0..MAX_REQUESTS).find(is_rare).unwrap_or(MAX_REQUESTS)
    }
}

#[cfg(test)]
mod tests {
    use super::Repairs;
    use crate::time::{EdgeTime, Span};

    const FIRST: Span = Span::from_millis(1000);
    const BY_ITSELF: Span = Span::from_millis(330);

    /// 40 packets a second for a minute, of which every `one_in`th came as a repair.
    fn link(one_in: i64) -> Repairs {
        let mut repairs = Repairs::new();
        for packet in 1..=2400 {
            let now = EdgeTime(0) + Span::from_millis(packet * 25);
            if packet % one_in == 0 {
                repairs.on_repair(now, FIRST);
            } else {
                repairs.on_packet(now);
            }
        }
        repairs
    }

    #[test]
    fn the_more_is_lost_the_more_requests_are_waited_for() {
        let first = FIRST + Span::from_millis(5);
        let again = first - BY_ITSELF;
        assert_eq!(link(200).needed(BY_ITSELF), Some(first), "0.5 %");
        assert_eq!(link(50).needed(BY_ITSELF), Some(first + again), "2 %");
        assert_eq!(link(20).needed(BY_ITSELF), Some(first + again * 2), "5 %");
        assert_eq!(link(2).needed(BY_ITSELF), Some(first + again * 2), "a half");
    }

    #[test]
    fn nothing_is_waited_for_where_nothing_is_lost_or_nothing_comes_again() {
        assert_eq!(link(i64::MAX).needed(BY_ITSELF), None);
        assert!(!link(i64::MAX).are_coming());
        assert!(link(50).are_coming());
    }

    #[test]
    fn a_repair_that_had_to_be_asked_for_twice_does_not_pass_for_the_rule() {
        let mut repairs = link(50);
        let before = repairs.needed(BY_ITSELF);
        repairs.on_repair(EdgeTime(0) + Span::from_secs(60), FIRST * 2);
        assert_eq!(repairs.needed(BY_ITSELF), before);
    }

    #[test]
    fn losses_of_long_ago_are_forgotten() {
        let mut repairs = link(50);
        repairs.decay(EdgeTime(0) + Span::from_secs(600));
        assert_eq!(repairs.needed(BY_ITSELF), None);
    }
}
