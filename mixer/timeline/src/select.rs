//! Which picture an output tick shows.

use crate::time::{EdgeTime, Span};
use std::collections::BTreeMap;

/// The pictures of one host that wait to be shown, each at the instant of its capture. `F` is any handle.
///
/// A tick asks for the picture nearest to `tick time - room delay`; so a change of the room delay moves all that
/// wait, and none has to be stamped again.
#[derive(Clone, Debug)]
pub struct FrameQueue<F> {
    waiting: BTreeMap<EdgeTime, F>,
    shown: Option<Shown<F>>,
    capacity: usize,
    freeze_after: Span,
    late: u64,
    passed_over: u64,
}

#[derive(Clone, Debug)]
struct Shown<F> {
    frame: F,
    time: EdgeTime,
    since: EdgeTime,
}

/// What a tick shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked<F> {
    /// There has been no picture yet.
    Nothing,
    /// This one, for the first time.
    New(F),
    /// The same as at the last tick.
    Held(F),
    /// The same as for so long that viewers should be told.
    Frozen(F),
}

impl<F> FrameQueue<F> {
    /// Holds at most `capacity` pictures; the one shown counts as frozen once no other came for `freeze_after`.
    #[must_use]
    pub fn new(capacity: usize, freeze_after: Span) -> Self {
        let waiting = BTreeMap::new();
        Self {
            waiting,
            shown: None,
            capacity: capacity.max(1),
            freeze_after,
            late: 0,
            passed_over: 0,
        }
    }

    /// Adds a picture that was captured at `time`. One older than the picture shown comes too late and is
    /// dropped; when the queue is full its oldest goes.
    pub fn push(&mut self, time: EdgeTime, frame: F) {
        if self.shown.as_ref().is_some_and(|shown| time <= shown.time) {
            self.late += 1;
            return;
        }
        self.waiting.insert(time, frame);
        while self.waiting.len() > self.capacity {
            self.waiting.pop_first();
            self.passed_over += 1;
        }
    }

    /// The picture nearest to `at`, which is the tick's time less the room delay. Pictures never go back in time.
    pub fn pick(&mut self, at: EdgeTime) -> Picked<&F> {
        let is_new = self.advance(at);
        let Some(shown) = &self.shown else {
            return Picked::Nothing;
        };
        if is_new {
            return Picked::New(&shown.frame);
        }
        if at - shown.since > self.freeze_after {
            return Picked::Frozen(&shown.frame);
        }
        Picked::Held(&shown.frame)
    }

    /// Forgets everything, as when the host's clock restarted or its track was replaced.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.shown = None;
    }

    /// Pictures that came after a newer one was shown.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Pictures that no tick was nearest to, or that did not fit.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// How many pictures wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Makes the nearest picture the one shown; false if that is still the same one.
    fn advance(&mut self, at: EdgeTime) -> bool {
        let mut nearest = self.shown.as_ref().map(|shown| (at - shown.time).abs());
        let mut is_new = false;
        while let Some(entry) = self.waiting.first_entry() {
            let distance = (at - *entry.key()).abs();
            // The very first picture is not shown before its time; later ones compete with the one shown.
            let wins = nearest.map_or(*entry.key() <= at, |nearest| distance <= nearest);
            if !wins {
                break;
            }
            self.passed_over += u64::from(is_new);
            let (time, frame) = entry.remove_entry();
            self.shown = Some(Shown {
                frame,
                time,
                since: at,
            });
            nearest = Some(distance);
            is_new = true;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameQueue, Picked};
    use crate::time::{EdgeTime, Span};
    use proptest::prelude::{prop, proptest};

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(0) + Span::from_millis(millis)
    }

    fn queue() -> FrameQueue<i64> {
        FrameQueue::new(8, Span::from_secs(2))
    }

    #[test]
    fn without_a_picture_there_is_nothing_to_show() {
        assert_eq!(queue().pick(at(0)), Picked::Nothing);
    }

    #[test]
    fn the_nearest_picture_wins_whether_before_or_after_the_tick() {
        let mut queue = queue();
        for time in [0, 33, 66, 100] {
            queue.push(at(time), time);
        }
        assert_eq!(queue.pick(at(10)), Picked::New(&0));
        assert_eq!(queue.pick(at(60)), Picked::New(&66));
        assert_eq!(queue.passed_over(), 1);
        assert_eq!(queue.pick(at(70)), Picked::Held(&66));
    }

    #[test]
    fn the_first_picture_waits_for_its_time() {
        let mut queue = queue();
        queue.push(at(500), 500);
        assert_eq!(queue.pick(at(480)), Picked::Nothing);
        assert_eq!(queue.pick(at(500)), Picked::New(&500));
    }

    #[test]
    fn the_last_picture_is_held_then_called_frozen() {
        let mut queue = queue();
        queue.push(at(0), 0);
        queue.pick(at(0));
        assert_eq!(queue.pick(at(2000)), Picked::Held(&0));
        assert_eq!(queue.pick(at(2001)), Picked::Frozen(&0));
        queue.push(at(2030), 2030);
        assert_eq!(queue.pick(at(2033)), Picked::New(&2030));
    }

    #[test]
    fn a_late_picture_is_dropped_and_counted() {
        let mut queue = queue();
        queue.push(at(100), 100);
        queue.pick(at(100));
        queue.push(at(66), 66);
        assert_eq!(queue.pick(at(101)), Picked::Held(&100));
        assert_eq!(queue.late(), 1);
    }

    #[test]
    fn a_full_queue_loses_its_oldest() {
        let mut queue = queue();
        for time in 0..20 {
            queue.push(at(time), time);
        }
        assert_eq!((queue.len(), queue.passed_over()), (8, 12));
        assert_eq!(queue.pick(at(12)), Picked::New(&12));
    }

    proptest! {
        #[test]
        fn pictures_never_go_back_in_time(
            times in prop::collection::vec(0i64..5000, 1..200),
            step in 1i64..80,
        ) {
            let mut queue = queue();
            let mut last = i64::MIN;
            for (tick, time) in times.into_iter().enumerate() {
                queue.push(at(time), time);
                let now = at(tick as i64 * step);
                if let Picked::New(&shown) = queue.pick(now) {
                    assert!(shown > last);
                    last = shown;
                }
                assert!(queue.len() <= 8);
            }
        }
    }
}
