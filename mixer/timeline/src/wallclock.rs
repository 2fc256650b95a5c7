//! One host's wallclock against the edge's clock.

use crate::envelope::Envelope;
use crate::time::{EdgeTime, Span};

/// Where a host's wallclock stands against the edge's monotonic clock.
///
/// The host's own idea of the time is not trusted: only the differences between its packets' wallclock times and
/// their arrivals count. The fastest recent packet took half the shortest recent round trip.
#[derive(Clone, Debug, Default)]
pub struct HostClock {
    round_trip: Envelope,
    tracks_disagree: bool,
}

/// Tracks of one host take the same path, so their fastest packets need about the same time. If by the sender
/// reports one needs this much more, its reports are wrong (some senders are off by a constant).
const MAX_TRACK_SKEW: Span = Span::from_millis(250);

/// Reports are trusted again when the difference is below this.
const MIN_TRACK_SKEW: Span = Span::from_millis(180);

impl HostClock {
    /// A measured round trip to the host.
    pub fn set_round_trip(&mut self, round_trip: Span, now: EdgeTime) {
        if round_trip >= Span::ZERO {
            self.round_trip.observe(now, round_trip);
        }
    }

    /// The time that the fastest packets are assumed to have needed: zero while no round trip is known.
    #[must_use]
    pub fn one_way(&self) -> Span {
        self.round_trip.minimum().unwrap_or(Span::ZERO) / 2
    }

    /// The shortest recent round trip.
    #[must_use]
    pub fn round_trip(&self) -> Option<Span> {
        self.round_trip.minimum()
    }

    /// The edge's clock less the host's wallclock, from each track's `arrival - wallclock` of its fastest recent
    /// packet. `None` if the tracks contradict each other: then their sender reports are of no use.
    pub fn offset(&mut self, fastest: impl IntoIterator<Item = Span> + Clone) -> Option<Span> {
        let least = fastest.clone().into_iter().min()?;
        let most = fastest.into_iter().max()?;
        let limit = if self.tracks_disagree {
            MIN_TRACK_SKEW
        } else {
            MAX_TRACK_SKEW
        };
        self.tracks_disagree = most - least > limit;
        if self.tracks_disagree {
            return None;
        }
        Some(least - self.one_way())
    }

    /// Whether the sender reports are set aside because the tracks contradict each other.
    #[must_use]
    pub fn tracks_disagree(&self) -> bool {
        self.tracks_disagree
    }
}

#[cfg(test)]
mod tests {
    use super::HostClock;
    use crate::time::{EdgeTime, Span};

    #[test]
    fn the_offset_is_the_fastest_track_less_half_the_round_trip() {
        let mut clock = HostClock::default();
        clock.set_round_trip(Span::from_millis(80), EdgeTime(0));
        let offset = clock.offset([Span::from_millis(1010), Span::from_millis(1000)]);
        assert_eq!(offset, Some(Span::from_millis(960)));
    }

    #[test]
    fn a_queue_in_the_round_trip_does_not_move_the_clock() {
        let mut clock = HostClock::default();
        for (second, millis) in [80, 300, 81, 900].into_iter().enumerate() {
            clock.set_round_trip(
                Span::from_millis(millis),
                EdgeTime(0) + Span::from_secs(second as i64),
            );
        }
        assert_eq!(clock.one_way(), Span::from_millis(40));
    }

    #[test]
    fn tracks_that_contradict_each_other_give_no_offset() {
        let mut clock = HostClock::default();
        let tracks = |millis| [Span::ZERO, Span::from_millis(millis)];
        assert!(clock.offset(tracks(240)).is_some());
        assert!(clock.offset(tracks(260)).is_none());
        assert!(
            clock.offset(tracks(240)).is_none(),
            "trust comes back only well below the limit"
        );
        assert!(clock.offset(tracks(100)).is_some());
    }

    #[test]
    fn a_negative_round_trip_is_ignored() {
        let mut clock = HostClock::default();
        clock.set_round_trip(Span::from_millis(-5), EdgeTime(0));
        assert_eq!(clock.round_trip(), None);
    }
}
