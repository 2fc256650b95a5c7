//! Where sound is placed, and how it is brought there without being heard.

use crate::time::Span;

/// Errors up to this are left alone: a correction would be more audible than they are.
pub const DEAD_BAND: Span = Span::from_millis(5);

/// Errors beyond this are corrected at once.
pub const SNAP_BEYOND: Span = Span::from_millis(300);

/// The fastest correction: 5 ms per second, a pitch change of a twelfth of a semitone.
pub const MAX_CORRECTION_PER_SECOND: f64 = 0.005;

/// What to do with the sound that is about to be placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Correction {
    /// Play at the nominal rate.
    Keep,
    /// Produce `ratio` output samples per nominal output sample: above one is slower.
    Stretch {
        /// Within `1 ± MAX_CORRECTION_PER_SECOND`.
        ratio: f64,
    },
    /// Move the place where sound is written by this much: forward leaves silence, backward drops sound.
    Snap {
        /// Positive is later.
        by: Span,
    },
}

/// The policy of one track. It knows only the error: where the timebase wants the next sample, less where the
/// writer would put it; positive means that the sound comes too early and has to be stretched.
#[derive(Clone, Debug, Default)]
pub struct AudioSlew {
    placed: bool,
    correcting: bool,
    snaps: u64,
}

impl AudioSlew {
    /// Decides for the next block of sound. A block that is `quiet` (silence, comfort noise, concealment) may be
    /// moved without being heard, so there any error outside the dead band ends at once.
    pub fn decide(&mut self, error: Span, quiet: bool) -> Correction {
        let size = error.abs();
        if !self.placed || size > SNAP_BEYOND || (quiet && size > DEAD_BAND) {
            return self.snap(error);
        }
        // Once begun, a correction goes on to the middle of the dead band: it must not flutter at its edge.
        self.correcting = size > if self.correcting { DEAD_BAND / 5 } else { DEAD_BAND };
        if !self.correcting {
            return Correction::Keep;
        }
        // Proportional near the end, so that the ratio does not step from full to none.
        let wanted = error.as_secs_f64() / 2.0;
        let ratio = 1.0 + wanted.clamp(-MAX_CORRECTION_PER_SECOND, MAX_CORRECTION_PER_SECOND);
        Correction::Stretch { ratio }
    }

    /// The writer ran dry or starts anew: the next sound is placed where it belongs, whatever the error.
    pub fn restart(&mut self) {
        self.placed = false;
        self.correcting = false;
    }

    /// How often sound was moved at once.
    #[must_use]
    pub fn snaps(&self) -> u64 {
        self.snaps
    }

    fn snap(&mut self, error: Span) -> Correction {
        self.placed = true;
        self.correcting = false;
        if error == Span::ZERO {
            return Correction::Keep;
        }
        self.snaps += 1;
        Correction::Snap { by: error }
    }
}

#[cfg(test)]
mod tests {
    use super::{AudioSlew, Correction, DEAD_BAND, MAX_CORRECTION_PER_SECOND};
    use crate::time::Span;

    fn placed() -> AudioSlew {
        let mut slew = AudioSlew::default();
        assert_eq!(slew.decide(Span::ZERO, false), Correction::Keep);
        slew
    }

    /// Plays 20 ms blocks for `seconds` and returns the error that is left.
    fn play(slew: &mut AudioSlew, mut error: Span, seconds: i64) -> Span {
        for _ in 0..seconds * 50 {
            match slew.decide(error, false) {
                Correction::Keep => {}
                Correction::Stretch { ratio } => error = error - Span((20e6 * (ratio - 1.0)) as i64),
                Correction::Snap { by } => error = error - by,
            }
        }
        error
    }

    #[test]
    fn the_first_sound_is_placed_at_once() {
        let by = Span::from_millis(120);
        assert_eq!(AudioSlew::default().decide(by, false), Correction::Snap { by });
    }

    #[test]
    fn errors_within_the_dead_band_are_left_alone() {
        let mut slew = placed();
        for millis in -5..=5 {
            assert_eq!(slew.decide(Span::from_millis(millis), false), Correction::Keep);
        }
    }

    #[test]
    fn an_error_shrinks_by_at_most_five_milliseconds_a_second() {
        for sign in [-1, 1] {
            let left = play(&mut placed(), Span::from_millis(100 * sign), 10);
            assert_eq!((left.as_millis_f64() * sign as f64).round() as i64, 50);
        }
    }

    #[test]
    fn a_correction_ends_inside_the_dead_band_and_stays_ended() {
        let mut slew = placed();
        let left = play(&mut slew, Span::from_millis(40), 60);
        assert!(left.abs() < DEAD_BAND, "{left:?}");
        assert_eq!(slew.decide(left, false), Correction::Keep);
        assert_eq!(slew.snaps(), 0);
    }

    #[test]
    fn sound_far_off_is_moved_at_once() {
        let by = Span::from_millis(-301);
        assert_eq!(placed().decide(by, false), Correction::Snap { by });
    }

    #[test]
    fn silence_is_moved_at_once() {
        let by = Span::from_millis(40);
        assert_eq!(placed().decide(by, true), Correction::Snap { by });
        assert_eq!(placed().decide(Span::from_millis(4), true), Correction::Keep);
    }

    #[test]
    fn after_running_dry_the_next_sound_is_placed_anew() {
        let mut slew = placed();
        slew.restart();
        let by = Span::from_millis(7);
        assert_eq!(slew.decide(by, false), Correction::Snap { by });
    }

    #[test]
    fn no_ratio_is_ever_beyond_the_limit() {
        let mut slew = placed();
        for micros in -300_000..300_000 {
            if let Correction::Stretch { ratio } = slew.decide(Span(micros * 1000), false) {
                assert!((ratio - 1.0).abs() <= MAX_CORRECTION_PER_SECOND + f64::EPSILON);
            }
        }
    }
}
