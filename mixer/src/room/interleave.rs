//! One order of time for pictures and sound.

use lianmai_rtmp::{Tag, TagKind};
use std::collections::VecDeque;

/// Pictures that wait for sound. More means that no sound comes any more.
const MAX_WAITING: usize = 32;

/// Holds pictures back until the sound has caught up, so that all tags leave in order of their times. The encoder
/// of the sound looks ahead, so its tags are late by less than a tenth of a second.
#[derive(Debug, Default)]
pub(super) struct Interleaver {
    waiting: VecDeque<Tag>,
}

impl Interleaver {
    /// Takes a picture, its headers too.
    pub(super) fn picture(&mut self, tag: Tag, emit: &mut impl FnMut(Tag)) {
        self.waiting.push_back(tag);
        while self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front().into_iter().for_each(&mut *emit);
        }
    }

    /// Takes sound; the next sound begins at `next_ms`.
    pub(super) fn sound(&mut self, tag: Tag, next_ms: u32, emit: &mut impl FnMut(Tag)) {
        debug_assert_eq!(tag.kind, TagKind::Audio);
        self.release(tag.timestamp_ms, emit);
        emit(tag);
        self.release(next_ms.wrapping_sub(1), emit);
    }

    /// Lets go of what waits.
    pub(super) fn flush(&mut self, emit: &mut impl FnMut(Tag)) {
        self.waiting.drain(..).for_each(emit);
    }

    fn release(&mut self, until_ms: u32, emit: &mut impl FnMut(Tag)) {
        // RTMP time wraps after 49 days.
        let is_due = |tag: &mut Tag| until_ms.wrapping_sub(tag.timestamp_ms).cast_signed() >= 0;
        while let Some(tag) = self.waiting.pop_front_if(is_due) {
            emit(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Interleaver, MAX_WAITING};
    use lianmai_rtmp::Tag;

    #[test]
    fn tags_leave_in_order_of_time() {
        let mut interleaver = Interleaver::default();
        let mut times = Vec::new();
        let mut emit = |tag: Tag| times.push(tag.timestamp_ms);
        for millis in 0..1000u32 {
            if millis % 33 == 0 {
                interleaver.picture(Tag::avc_frame(millis + 43, false, &[]), &mut emit);
            }
            if millis % 21 == 0 {
                interleaver.sound(Tag::aac_frame(millis.saturating_sub(21), &[]), millis, &mut emit);
            }
        }
        assert!(times.is_sorted(), "{times:?}");
        assert!(times.len() > 70);
    }

    #[test]
    fn pictures_do_not_wait_for_ever() {
        let mut interleaver = Interleaver::default();
        let mut emitted = 0;
        for index in 0..100 {
            interleaver.picture(Tag::avc_frame(index * 33, false, &[]), &mut |_| emitted += 1);
        }
        assert_eq!(emitted, 100 - MAX_WAITING);
        interleaver.flush(&mut |_| emitted += 1);
        assert_eq!(emitted, 100);
    }
}
