//! Where decoded sound lies in time. Its samples are counted, and the count is RTP's clock; what the stream's timestamps say
//! of it is noted beside. So a publisher whose sound card and clock disagree makes no holes, and sender reports tell the rest.

use super::SAMPLE_RATE;

/// Timestamps that are further off than this mean that something is missing, or too much: a tenth of a second.
const GAP: i64 = SAMPLE_RATE as i64 / 10;

/// How slowly the stream's clock is followed: timestamps are in whole milliseconds, and jump by them.
const SMOOTHING: f64 = 64.0;

/// RTP's clock begins here, so that nothing is before its zero.
const START: i64 = SAMPLE_RATE as i64;

/// Positions are in samples of one channel.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Position of the next sample that goes out; `None` before the first sound.
    next: Option<i64>,
    /// The stream's clock less the position.
    offset: f64,
    pub(super) gaps: u64,
}

/// Where a piece of sound belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind what waits.
    Next,
    /// Later than that: what waits makes no whole packet any more.
    AfterGap,
}

impl Pace {
    /// Sound comes whose timestamps say `due`, while `waiting` samples are there that have not gone out yet.
    pub(super) fn place(&mut self, due: i64, waiting: usize) -> Place {
        let Some(next) = self.next else {
            self.next = Some(START);
            self.offset = due.saturating_sub(START) as f64;
            return Place::Next;
        };
        let expected = next.saturating_add(samples(waiting));
        let off = due.saturating_sub(expected) as f64 - self.offset;
        if off.abs() < GAP as f64 {
            self.offset += off / SMOOTHING;
            return Place::Next;
        }
        self.gaps += 1;
        if off < 0.0 {
            // The publisher's clock was set back. Its sound goes on all the same.
            self.offset += off;
            return Place::Next;
        }
        #[expect(clippy::cast_possible_truncation, reason = "of two numbers that fit")]
        let skipped = off as i64;
        self.next = Some(expected.saturating_add(skipped));
        Place::AfterGap
    }

    /// So many samples go out: the position of the first, and its time on the stream's clock in microseconds.
    pub(super) fn advance(&mut self, length: usize) -> (i64, i64) {
        let position = self.next.unwrap_or(START);
        self.next = Some(position.saturating_add(samples(length)));
        #[expect(clippy::cast_possible_truncation, reason = "a time in microseconds")]
        let at_us = ((position as f64 + self.offset) * 1e6 / f64::from(SAMPLE_RATE)).round() as i64;
        (position, at_us)
    }
}

fn samples(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Pace, Place};

    const FRAME: usize = 1024;

    /// Sound of 1024 samples a piece by these timestamps, sent as it comes.
    fn run(pace: &mut Pace, due: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
        let sent = due.map(|due| {
            pace.place(due, 0);
            pace.advance(FRAME)
        });
        sent.collect()
    }

    fn piece(number: i64) -> i64 {
        number * FRAME as i64
    }

    #[test]
    fn timestamps_in_whole_milliseconds_make_no_holes_and_do_not_shake_the_clock() {
        let mut pace = Pace::default();
        let rounded = (0..2000).map(|number| piece(number) / 48 * 48);
        let sent = run(&mut pace, rounded);
        assert!(sent.windows(2).all(|pair| pair[1].0 - pair[0].0 == FRAME as i64));
        for (number, (_, at_us)) in (0..).zip(sent) {
            let exact = piece(number) * 1000 / 48;
            assert!((at_us - exact).abs() < 1100, "{number}: {at_us} for {exact}");
        }
        assert_eq!(pace.gaps, 0);
    }

    #[test]
    fn a_sound_card_that_is_fast_is_followed_without_holes() {
        let mut pace = Pace::default();
        // Each second of its sound lasts 0.9995 s.
        let sent = run(&mut pace, (0..20_000).map(|number| piece(number) * 9995 / 10_000));
        let (_, at_us) = sent[19_999];
        let exact = piece(19_999) * 9995 / 10_000 * 1000 / 48;
        assert!((at_us - exact).abs() < 2000, "{at_us} for {exact}");
        assert_eq!(pace.gaps, 0);
    }

    #[test]
    fn what_is_missing_is_skipped_and_the_rest_is_where_it_belongs() {
        let mut pace = Pace::default();
        let start = run(&mut pace, 0..1);
        assert_eq!(pace.place(48_000, 500), Place::AfterGap);
        let (position, at_us) = pace.advance(FRAME);
        assert_eq!((position - start[0].0, at_us, pace.gaps), (48_000, 1_000_000, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_moves_the_sound_and_not_its_count() {
        let mut pace = Pace::default();
        run(&mut pace, (0..100).map(piece));
        let next = piece(100);
        assert_eq!(pace.place(next - 48_000, 0), Place::Next);
        let (position, at_us) = pace.advance(FRAME);
        assert_eq!(position, super::START + next);
        assert!((at_us - (next - 48_000) * 1000 / 48).abs() < 100, "{at_us}");
    }
}
