//! The mix into its recording.

use super::{Entry, Tap};
use crate::record::board::Source;
use lianmai_rtmp::{StreamHeaders, Tag, Unwrap};
use lianmai_timeline::{EdgeTime, Span};
use std::sync::atomic::Ordering;

/// Where the mix goes in.
pub(crate) struct MixTap {
    tap: Tap,
    headers: StreamHeaders,
    unwrap: Unwrap,
    latest_ms: i64,
    /// The recording that it goes into; zero for none.
    recording: u64,
    waiting_for_key: bool,
    key_frame_wanted: bool,
}

impl MixTap {
    pub(super) fn new(tap: Tap) -> Self {
        Self {
            tap,
            headers: StreamHeaders::default(),
            unwrap: Unwrap::default(),
            latest_ms: 0,
            recording: 0,
            waiting_for_key: true,
            key_frame_wanted: false,
        }
    }

    /// A tag of the mix that began at `start`.
    pub(crate) fn push(&mut self, tag: &Tag, start: EdgeTime) {
        self.headers.note(tag);
        if tag.is_frame() {
            self.latest_ms = self.unwrap.extend(tag.timestamp_ms);
        }
        let recording = self.tap.shared.mix.load(Ordering::Relaxed);
        let begins = std::mem::replace(&mut self.recording, recording) != recording;
        if recording == 0 {
            return;
        }
        let at = start + Span::from_millis(self.latest_ms);
        if begins {
            self.waiting_for_key = true;
            self.key_frame_wanted = true;
            let headers: Vec<Tag> = self.headers.tags().cloned().collect();
            headers
                .into_iter()
                .for_each(|header| self.tap.tell(Entry::Tag(at, header)));
        } else if !tag.is_frame() {
            self.tap.tell(Entry::Tag(at, tag.clone()));
        }
        if tag.is_frame() {
            self.frame(at, tag);
        }
    }

    /// Whether a recording cannot begin or go on without a key frame, asked since the last call.
    #[must_use]
    pub(crate) fn take_key_frame_wanted(&mut self) -> bool {
        std::mem::take(&mut self.key_frame_wanted)
    }

    /// If the disk is too slow, whole groups of pictures are left out.
    fn frame(&mut self, at: EdgeTime, tag: &Tag) {
        if self.waiting_for_key && !tag.is_key_frame() {
            return self.tap.board.dropped_while_behind(Source::Mix);
        }
        if !self
            .tap
            .push(Source::Mix, tag.body.len(), || Entry::Tag(at, tag.clone()))
        {
            self.waiting_for_key = true;
        } else if std::mem::take(&mut self.waiting_for_key) {
            self.tap.board.caught_up(Source::Mix);
        }
    }
}
