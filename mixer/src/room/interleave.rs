//! One order of time for pictures and sound.

use lianmai_rtmp::{Tag, TagKind};
use std::collections::VecDeque;

/// Pictures that wait for sound. More means that no sound comes any more.
const MAX_PICTURES: usize = 32;

/// Pieces of sound that wait for a picture: more than two seconds.
const MAX_SOUNDS: usize = 128;

/// Holds tags back so that all of them leave in order of their times. The encoder of the sound looks ahead, so its tags are
/// late by less than a tenth of a second; a picture may be in its encoder for longer, and then the sound waits for it.
#[derive(Debug, Default)]
pub(super) struct Interleaver {
    pictures: VecDeque<Tag>,
    sounds: VecDeque<Tag>,
    /// The times of pictures that are in their encoder.
    coding: VecDeque<u32>,
    /// All sound from before this has come.
    heard_until: u32,
}

impl Interleaver {
    /// A picture of this time went into its encoder.
    pub(super) fn expect(&mut self, time_ms: u32) {
        self.coding.push_back(time_ms);
    }

    /// Takes a picture, its headers too. A header of its time leaves the picture itself still to come.
    pub(super) fn picture(&mut self, tag: Tag, emit: &mut impl FnMut(Tag)) {
        while tag.is_frame()
            && let Some(time) = self.coding.front()
            && is_by(*time, tag.timestamp_ms)
        {
            self.coding.pop_front();
        }
        self.pictures.push_back(tag);
        self.release(emit);
    }

    /// Takes sound; the next sound begins at `next_ms`.
    pub(super) fn sound(&mut self, tag: Tag, next_ms: u32, emit: &mut impl FnMut(Tag)) {
        debug_assert_eq!(tag.kind, TagKind::Audio);
        self.heard_until = next_ms;
        self.sounds.push_back(tag);
        self.release(emit);
    }

    /// Lets go of what waits.
    pub(super) fn flush(&mut self, emit: &mut impl FnMut(Tag)) {
        while let Some(tag) = self.earliest() {
            emit(tag);
        }
    }

    fn release(&mut self, emit: &mut impl FnMut(Tag)) {
        while self.is_due() || self.pictures.len() > MAX_PICTURES || self.sounds.len() > MAX_SOUNDS {
            let Some(tag) = self.earliest() else { return };
            emit(tag);
        }
    }

    /// Whether nothing can come any more that belongs before the earliest tag here.
    fn is_due(&self) -> bool {
        let Some(sound) = self.sounds.front() else {
            let picture = self.pictures.front();
            return picture.is_some_and(|picture| !is_by(self.heard_until, picture.timestamp_ms));
        };
        let first = self.pictures.front().map(|picture| picture.timestamp_ms);
        first.is_some_and(|picture| is_by(picture, sound.timestamp_ms))
            || self
                .coding
                .front()
                .is_none_or(|picture| !is_by(*picture, sound.timestamp_ms))
    }

    /// Of tags of the same time, the picture.
    fn earliest(&mut self) -> Option<Tag> {
        let Some(sound) = self.sounds.front() else {
            return self.pictures.pop_front();
        };
        let until = sound.timestamp_ms;
        self.pictures
            .pop_front_if(|picture| is_by(picture.timestamp_ms, until))
            .or_else(|| self.sounds.pop_front())
    }
}

/// Whether a time is not after another. RTMP time wraps after 49 days.
fn is_by(time_ms: u32, other_ms: u32) -> bool {
    other_ms.wrapping_sub(time_ms).cast_signed() >= 0
}

#[cfg(test)]
mod tests {
    use super::{Interleaver, MAX_PICTURES, MAX_SOUNDS};
    use lianmai_rtmp::{Tag, TagKind};

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
    fn sound_waits_for_pictures_that_are_in_their_encoder_over_the_wrap_too() {
        const LATE: u32 = 200;
        const START: u32 = u32::MAX - 400;
        let mut interleaver = Interleaver::default();
        let mut times = Vec::new();
        let mut emit = |tag: Tag| times.push(tag.timestamp_ms.wrapping_sub(START));
        for millis in 0..1000u32 {
            let now = START.wrapping_add(millis);
            if millis % 33 == 0 {
                interleaver.expect(now);
            }
            if millis >= LATE && (millis - LATE).is_multiple_of(33) {
                interleaver.picture(Tag::avc_frame(now.wrapping_sub(LATE), false, &[]), &mut emit);
            }
            if millis % 20 == 0 {
                interleaver.sound(Tag::aac_frame(now, &[]), now.wrapping_add(20), &mut emit);
            }
        }
        assert!(times.is_sorted(), "{times:?}");
        assert!(times.len() > 60, "{}", times.len());
    }

    #[test]
    fn a_header_does_not_let_sound_go_before_its_picture() {
        let mut interleaver = Interleaver::default();
        let mut seen = Vec::new();
        let mut emit = |tag: Tag| seen.push((tag.kind, tag.is_frame(), tag.timestamp_ms));
        interleaver.expect(6);
        interleaver.expect(72);
        interleaver.sound(Tag::opus_frame(20, &[]), 40, &mut emit);
        interleaver.picture(Tag::av1_sequence_header(6, b"\x81"), &mut emit);
        interleaver.picture(Tag::av1_frame(6, true, &[1]), &mut emit);
        let expected = [
            (TagKind::Video, false, 6),
            (TagKind::Video, true, 6),
            (TagKind::Audio, true, 20),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn pictures_do_not_wait_for_ever() {
        let mut interleaver = Interleaver::default();
        let mut emitted = 0;
        for index in 0..100 {
            interleaver.picture(Tag::avc_frame(index * 33, false, &[]), &mut |_| emitted += 1);
        }
        assert_eq!(emitted, 100 - MAX_PICTURES);
        interleaver.flush(&mut |_| emitted += 1);
        assert_eq!(emitted, 100);
    }

    #[test]
    fn nor_does_sound() {
        let mut interleaver = Interleaver::default();
        let mut emitted = 0;
        interleaver.expect(0);
        for index in 0..200 {
            let (tag, next) = (Tag::aac_frame(index * 20, &[]), index * 20 + 20);
            interleaver.sound(tag, next, &mut |_| emitted += 1);
        }
        assert_eq!(emitted, 200 - MAX_SOUNDS);
        interleaver.flush(&mut |_| emitted += 1);
        assert_eq!(emitted, 200);
    }
}
