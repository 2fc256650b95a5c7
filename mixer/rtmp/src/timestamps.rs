//! 32-bit milliseconds that wrap, and putting a stream on another timeline.

use crate::flv::{Tag, TagKind};

/// Extends 32-bit timestamps to 64 bits: each is taken within 2^31 ms of the last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrap {
    last: Option<i64>,
}

impl Unwrap {
    /// The 64-bit time of `timestamp`. The first is taken as it is.
    pub fn extend(&mut self, timestamp: u32) -> i64 {
        let extended = match self.last {
            None => i64::from(timestamp),
            Some(last) => {
                let low = u32::try_from(last.rem_euclid(1 << 32)).unwrap_or_default();
                // RTMP 1.0 §5.1: "adjacent timestamps are within 2^31 - 1 milliseconds of each other".
                last + i64::from(timestamp.wrapping_sub(low).cast_signed())
            }
        };
        self.last = Some(extended);
        extended
    }
}

/// Moves a stream to another timeline, and keeps either track from running backwards.
///
/// Only frames have a time. Headers and scripts come out at the time of the latest frame: publishers stamp them with zero
/// whenever they repeat them.
#[derive(Clone, Debug)]
pub struct Rebase {
    unwrap: Unwrap,
    start: Option<i64>,
    first: Option<i64>,
    last_audio: Option<i64>,
    last_video: Option<i64>,
}

impl Rebase {
    /// The first frame comes out at `start_ms`.
    #[must_use]
    pub fn starting_at(start_ms: i64) -> Self {
        Self {
            start: Some(start_ms),
            ..Self::as_published()
        }
    }

    /// Times stay as they are, as long as they do not run backwards.
    #[must_use]
    pub fn as_published() -> Self {
        Self {
            unwrap: Unwrap::default(),
            start: None,
            first: None,
            last_audio: None,
            last_video: None,
        }
    }

    /// The latest time given out, or the start.
    #[must_use]
    pub fn latest(&self) -> i64 {
        self.last_audio
            .max(self.last_video)
            .or(self.start)
            .unwrap_or_default()
    }

    /// The tag on the new timeline.
    pub fn apply(&mut self, tag: &Tag) -> Tag {
        if !tag.is_frame() {
            let known = self.first.is_some() || self.start.is_some();
            return if known {
                tag.at(truncate(self.latest()))
            } else {
                tag.clone()
            };
        }
        let time = self.unwrap.extend(tag.timestamp_ms);
        let first = *self.first.get_or_insert(time);
        let start = *self.start.get_or_insert(time);
        let last = if tag.kind == TagKind::Audio {
            &mut self.last_audio
        } else {
            &mut self.last_video
        };
        // A frame from before the first one would otherwise come out before the start.
        let out = (start + (time - first)).max(last.unwrap_or(start));
        *last = Some(out);
        tag.at(truncate(out))
    }
}

fn truncate(time: i64) -> u32 {
    u32::try_from(time.rem_euclid(1 << 32)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Rebase, Unwrap};
    use crate::Tag;

    #[test]
    fn time_goes_on_over_every_wrap() {
        let mut unwrap = Unwrap::default();
        let mut expected = (1_i64 << 31) - 500;
        for _ in 0..20_000_000_i64 / 1000 {
            let low = u32::try_from(expected % (1 << 32)).expect("32 bits");
            assert_eq!(unwrap.extend(low), expected);
            expected += 1_000_000;
        }
        assert!(expected > 4 << 32);
    }

    #[test]
    fn a_little_back_is_back_not_a_wrap() {
        let mut unwrap = Unwrap::default();
        assert_eq!(unwrap.extend(5), 5);
        assert_eq!(unwrap.extend(u32::MAX), -1);
    }

    #[test]
    fn the_first_frame_is_at_the_start_and_headers_do_not_set_it() {
        let mut rebase = Rebase::starting_at(0);
        assert_eq!(
            rebase
                .apply(&Tag::aac_sequence_header(7, &[0x11, 0x90]))
                .timestamp_ms,
            0
        );
        assert_eq!(rebase.apply(&Tag::avc_frame(90_000, true, b"")).timestamp_ms, 0);
        assert_eq!(rebase.apply(&Tag::aac_frame(90_010, b"")).timestamp_ms, 10);
    }

    #[test]
    fn repeated_headers_stamped_zero_disturb_nothing_after_24_days() {
        let mut rebase = Rebase::as_published();
        let header = Tag::aac_sequence_header(0, &[0x11, 0x90]);
        assert_eq!(rebase.apply(&header).timestamp_ms, 0);
        assert_eq!(
            rebase
                .apply(&Tag::avc_frame(3_000_000_000, true, b""))
                .timestamp_ms,
            3_000_000_000
        );
        assert_eq!(rebase.apply(&header).timestamp_ms, 3_000_000_000);
        assert_eq!(
            rebase.apply(&Tag::aac_frame(3_000_000_020, b"")).timestamp_ms,
            3_000_000_020
        );
    }

    #[test]
    fn neither_track_runs_backwards() {
        let mut rebase = Rebase::starting_at(0);
        let times = [100_u32, 140, 120, 160];
        let out: Vec<u32> = times
            .iter()
            .map(|at| rebase.apply(&Tag::avc_frame(*at, false, b"")).timestamp_ms)
            .collect();
        assert_eq!(out, [0, 40, 40, 60]);
        assert_eq!(rebase.apply(&Tag::aac_frame(80, b"")).timestamp_ms, 0);
    }

    #[test]
    fn the_new_timeline_crosses_2_24_2_31_and_2_32_without_a_step() {
        for edge in [1_i64 << 24, 1 << 31, 1 << 32] {
            let mut rebase = Rebase::starting_at(edge - 50);
            let times =
                (0..6_u32).map(|n| rebase.apply(&Tag::aac_frame(u32::MAX - 60 + n, b"")).timestamp_ms);
            let expected = (0..6).map(|n| u32::try_from((edge - 50 + n) % (1 << 32)).expect("32 bits"));
            assert!(times.eq(expected), "{edge}");
            let late = rebase.apply(&Tag::aac_frame(40, b"")).timestamp_ms;
            assert_eq!(i64::from(late), (edge - 50 + 101) % (1 << 32));
        }
    }
}
