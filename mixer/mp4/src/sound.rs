//! Where sound stands in its track: end to end as long as it came end to end, at its time when it did not.

/// How far from its time sound may stand, in milliseconds, before it is put there. FLV counts in milliseconds, and the clocks of
/// senders are not the edge's: less would tear continuous sound, more would be seen on lips.
const TOLERANCE_MS: u64 = 10;

/// Places frames of sound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    next: Option<u64>,
}

impl Places {
    /// Where a frame of `samples` that was captured at `wanted` stands. All in samples of `rate` a second.
    pub(crate) fn place(&mut self, wanted: u64, samples: u32, rate: u32) -> u64 {
        let tolerance = u64::from(rate) * TOLERANCE_MS / 1000;
        let place = match self.next {
            Some(next) if next.abs_diff(wanted) <= tolerance => next,
            _ => wanted,
        };
        self.next = Some(place + u64::from(samples));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn times_that_are_rounded_to_milliseconds_leave_no_gaps() {
        let mut places = Places::default();
        for frame in 0..1000_u64 {
            let millis = frame * 1024 * 1000 / 48_000;
            assert_eq!(places.place(millis * 48, 1024, 48_000), frame * 1024);
        }
    }

    #[test]
    fn a_pause_stays_a_pause() {
        let mut places = Places::default();
        places.place(0, 960, 48_000);
        assert_eq!(places.place(48_000, 960, 48_000), 48_000);
    }

    #[test]
    fn a_clock_that_runs_fast_by_a_thousandth_is_followed_within_the_tolerance() {
        let mut places = Places::default();
        for frame in 0..50_000_u64 {
            let wanted = frame * 961;
            assert!(places.place(wanted, 960, 48_000).abs_diff(wanted) <= 480);
        }
    }
}
