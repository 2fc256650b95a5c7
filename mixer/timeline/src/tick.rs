//! Output ticks from a monotonic clock alone.

use crate::time::{EdgeTime, Span};

/// Says when the output ticks are due. Tick `i` is due at `start + i * den / num` seconds, computed from `i`, so
/// that nothing accumulates; a caller that falls behind by more than it may loses ticks, and they are counted.
#[derive(Clone, Debug)]
pub struct Ticker {
    start: EdgeTime,
    /// Ticks per second, as a fraction.
    num: u32,
    den: u32,
    next: u64,
    max_behind: u64,
    skipped: u64,
}

/// One output tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Its number; numbers that do not appear were skipped.
    pub index: u64,
    /// When it was due.
    pub time: EdgeTime,
    /// How many ticks were skipped just before it.
    pub skipped: u64,
}

impl Ticker {
    /// Picture ticks at `num / den` a second (30000/1001 for NTSC). On a busy machine they are fetched late now and then, and
    /// up to 200 ms of them are made up for; beyond that they are skipped.
    ///
    /// # Panics
    ///
    /// If the rate is not above zero.
    #[must_use]
    pub fn frames(start: EdgeTime, num: u32, den: u32) -> Self {
        assert!(num > 0 && den > 0, "a frame rate of {num}/{den}");
        Self {
            start,
            num,
            den,
            next: 0,
            max_behind: u64::from(num / den / 5),
            skipped: 0,
        }
    }

    /// Sound ticks of `block` samples at `rate` samples a second. Sound has no spare blocks, so up to a second
    /// of them is delivered late; only beyond that are they skipped.
    ///
    /// # Panics
    ///
    /// If `rate` or `block` is zero.
    #[must_use]
    pub fn audio_blocks(start: EdgeTime, rate: u32, block: u32) -> Self {
        let max_behind = u64::from(rate / block.max(1));
        Self {
            max_behind,
            ..Self::frames(start, rate, block)
        }
    }

    /// When tick `index` is due.
    #[must_use]
    pub fn time_of(&self, index: u64) -> EdgeTime {
        let nanos = i128::from(index) * i128::from(self.den) * 1_000_000_000 / i128::from(self.num);
        self.start + Span(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// When [`Self::poll`] will next have a tick.
    #[must_use]
    pub fn next_time(&self) -> EdgeTime {
        self.time_of(self.next)
    }

    /// The next tick, if it is due by `now`. Call until there is none.
    pub fn poll(&mut self, now: EdgeTime) -> Option<Tick> {
        if now < self.next_time() {
            return None;
        }
        let latest = self.latest_due(now);
        let index = self.next.max(latest.saturating_sub(self.max_behind));
        let skipped = index - self.next;
        self.skipped += skipped;
        self.next = index + 1;
        Some(Tick {
            index,
            time: self.time_of(index),
            skipped,
        })
    }

    /// How many ticks were skipped since the start.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The last tick that is due by `now`, which is not before the start.
    fn latest_due(&self, now: EdgeTime) -> u64 {
        let since = i128::from((now - self.start).0.max(0));
        let mut index = (since * i128::from(self.num) / (i128::from(self.den) * 1_000_000_000)) as u64;
        // `time_of` rounds down, so the tick after the quotient may be due by a fraction of a nanosecond.
        if self.time_of(index + 1) <= now {
            index += 1;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::Ticker;
    use crate::time::{EdgeTime, Span};

    const START: EdgeTime = EdgeTime(1_000_000_007);

    #[test]
    fn a_day_of_ntsc_frames_ends_on_the_exact_nanosecond() {
        let ticker = Ticker::frames(START, 30_000, 1001);
        let frames = 24 * 3600 * 30; // 86,400 s of frames at 30/1.001 take 86,486.4 s.
        assert_eq!(ticker.time_of(frames) - START, Span(86_486_400_000_000));
    }

    #[test]
    fn every_tick_comes_once_when_polled_in_time() {
        let mut ticker = Ticker::frames(START, 30, 1);
        for index in 0..1000 {
            let due = ticker.next_time();
            assert_eq!(ticker.poll(due - Span(1)), None);
            let tick = ticker.poll(due).expect("due");
            assert_eq!((tick.index, tick.time, tick.skipped), (index, due, 0));
        }
    }

    #[test]
    fn frames_are_made_up_for_after_a_short_stall() {
        let mut ticker = Ticker::frames(START, 30, 1);
        let now = START + Span::from_millis(200);
        let indexes: Vec<u64> = std::iter::from_fn(|| ticker.poll(now))
            .map(|tick| tick.index)
            .collect();
        assert_eq!(indexes, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(ticker.skipped(), 0);
    }

    #[test]
    fn a_caller_that_stalls_for_longer_loses_frames_but_no_time() {
        let mut ticker = Ticker::frames(START, 30, 1);
        assert_eq!(ticker.poll(START).map(|tick| tick.index), Some(0));
        let now = START + Span::from_secs(2);
        let late = ticker.poll(now).expect("due");
        assert_eq!(
            (late.index, late.skipped, late.time),
            (54, 53, START + Span::from_millis(1_800))
        );
        assert_eq!(
            std::iter::from_fn(|| ticker.poll(now))
                .last()
                .map(|tick| tick.index),
            Some(60)
        );
        assert_eq!(ticker.skipped(), 53);
    }

    #[test]
    fn sound_blocks_are_made_up_for_after_a_short_stall() {
        let mut ticker = Ticker::audio_blocks(START, 48_000, 1024);
        let now = START + Span::from_millis(500);
        let indexes: Vec<u64> = std::iter::from_fn(|| ticker.poll(now))
            .map(|tick| tick.index)
            .collect();
        assert_eq!(indexes, (0..=23).collect::<Vec<u64>>());
        assert_eq!(ticker.skipped(), 0);
    }

    #[test]
    fn sound_blocks_are_skipped_after_a_long_stall() {
        let mut ticker = Ticker::audio_blocks(START, 48_000, 1024);
        let now = START + Span::from_secs(60);
        let tick = ticker.poll(now).expect("due");
        assert_eq!(tick.skipped, tick.index);
        assert!(now - tick.time <= Span::from_millis(1000));
    }

    #[test]
    fn the_tick_due_now_is_found_in_spite_of_rounding() {
        for index in 0..10_000 {
            let mut ticker = Ticker::frames(START, 30_000, 1001);
            let due = ticker.time_of(index);
            let last = std::iter::from_fn(|| ticker.poll(due)).last();
            assert_eq!(last.map(|tick| tick.index), Some(index));
        }
    }
}
