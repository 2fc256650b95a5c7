//! The bounded queue between a stream and one slow reader of it.

use crate::flv::{Tag, TagKind};
use crate::headers::StreamHeaders;
use crate::timestamps::Unwrap;
use std::collections::VecDeque;
use std::time::Duration;

/// How much a [`TagQueue`] holds before it drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes of tag bodies.
    pub bytes: usize,
    /// From the oldest frame to the newest.
    pub duration: Duration,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            duration: Duration::from_secs(5),
        }
    }
}

/// What a [`TagQueue`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Frames that were dropped because the reader was slow, sound and pictures.
    pub dropped_frames: u64,
    /// How often that began.
    pub overflows: u64,
}

/// A queue that never blocks its writer. When it is full it drops whole groups of pictures, from the oldest to the
/// next key frame; if none is queued, everything until one comes.
#[derive(Debug)]
pub struct TagQueue {
    limits: QueueLimits,
    tags: VecDeque<(i64, Tag)>,
    bytes: usize,
    unwrap: Unwrap,
    latest: i64,
    video: bool,
    waiting_for_key: bool,
    stats: QueueStats,
}

impl TagQueue {
    /// An empty queue that begins with the next key frame once it knows of pictures.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            tags: VecDeque::new(),
            bytes: 0,
            unwrap: Unwrap::default(),
            latest: 0,
            video: false,
            waiting_for_key: false,
            stats: QueueStats::default(),
        }
    }

    /// Empties the queue and fills in `headers`; frames follow from the next key frame on.
    pub fn restart(&mut self, headers: &StreamHeaders) {
        self.tags.clear();
        self.bytes = 0;
        self.unwrap = Unwrap::default();
        self.video = headers.has_video();
        self.waiting_for_key = self.video;
        headers.tags().for_each(|tag| self.enqueue(tag.clone()));
    }

    /// The stream begins again, perhaps with other tracks: if there are pictures among them, frames wait for a key frame.
    pub fn interrupt(&mut self) {
        self.video = false;
        self.waiting_for_key = false;
    }

    /// Appends a tag. `true` says that only a new key frame lets the reader go on: ask for one.
    pub fn push(&mut self, tag: Tag) -> bool {
        if tag.kind == TagKind::Video && !self.video {
            self.video = true;
            self.waiting_for_key = true;
        }
        if tag.is_frame() && self.waiting_for_key && !tag.is_key_frame() {
            self.stats.dropped_frames += 1;
            return false;
        }
        if tag.is_key_frame() {
            self.waiting_for_key = false;
        }
        self.enqueue(tag);
        let mut emptied = false;
        while self.is_over() && !emptied {
            emptied = self.drop_group();
        }
        emptied && self.video
    }

    /// The oldest tag.
    pub fn pop(&mut self) -> Option<Tag> {
        let (_, tag) = self.tags.pop_front()?;
        self.bytes -= tag.body.len();
        Some(tag)
    }

    /// Whether nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Bytes of bodies queued.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether frames are dropped until the next key frame.
    #[must_use]
    pub fn is_waiting_for_key(&self) -> bool {
        self.waiting_for_key
    }

    /// Counters since the queue was made.
    #[must_use]
    pub fn stats(&self) -> QueueStats {
        self.stats
    }

    fn enqueue(&mut self, tag: Tag) {
        // Only frames have a time: publishers stamp headers with zero whenever they repeat them.
        if tag.is_frame() {
            self.latest = self.unwrap.extend(tag.timestamp_ms);
        }
        let time = self.latest;
        self.bytes += tag.body.len();
        self.tags.push_back((time, tag));
    }

    fn is_over(&self) -> bool {
        let frames = || {
            self.tags
                .iter()
                .filter(|(_, tag)| tag.is_frame())
                .map(|(time, _)| *time)
        };
        let span = frames()
            .next()
            .zip(self.tags.back())
            .map_or(0, |(first, (last, _))| last - first);
        self.bytes > self.limits.bytes || u128::try_from(span).unwrap_or(0) > self.limits.duration.as_millis()
    }

    /// Drops the oldest frames up to the next key frame. The latest header of each kind among them stays in front.
    /// `true` when no key frame was left.
    fn drop_group(&mut self) -> bool {
        self.stats.overflows += 1;
        let keys = self
            .tags
            .iter()
            .enumerate()
            .filter(|(_, (_, tag))| self.starts_group(tag))
            .map(|(index, _)| index);
        let oldest_frame = self
            .tags
            .iter()
            .position(|(_, tag)| tag.is_frame())
            .unwrap_or(self.tags.len());
        let next = { keys }.find(|index| *index > oldest_frame);
        let rest = self.tags.split_off(next.unwrap_or(self.tags.len()));
        let mut headers = StreamHeaders::default();
        for (_, tag) in std::mem::take(&mut self.tags) {
            self.stats.dropped_frames += u64::from(tag.is_frame());
            headers.note(&tag);
        }
        let start = rest.front().map_or(0, |(time, _)| *time);
        self.tags = headers
            .tags()
            .map(|tag| (start, tag.clone()))
            .chain(rest)
            .collect();
        self.bytes = self.tags.iter().map(|(_, tag)| tag.body.len()).sum();
        self.waiting_for_key |= next.is_none() && self.video;
        next.is_none()
    }

    /// Without pictures every sound is a place to go on from.
    fn starts_group(&self, tag: &Tag) -> bool {
        if self.video {
            tag.is_key_frame()
        } else {
            tag.is_frame()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{QueueLimits, StreamHeaders, TagQueue};
    use crate::Tag;
    use std::time::Duration;

    const LIMITS: QueueLimits = QueueLimits {
        bytes: 10_000,
        duration: Duration::from_secs(2),
    };

    fn headers() -> StreamHeaders {
        let mut headers = StreamHeaders::default();
        headers.note(&video_header());
        headers.note(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
        headers
    }

    fn video_header() -> Tag {
        Tag {
            body: bytes::Bytes::from_static(&[0x17, 0, 0, 0, 0, 1]),
            ..Tag::avc_frame(0, true, b"")
        }
    }

    fn drain(queue: &mut TagQueue) -> Vec<Tag> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    /// 25 frames a second, a key frame each second, `milliseconds` of it.
    fn feed(queue: &mut TagQueue, from: u32, milliseconds: u32) -> usize {
        let times = (from..from + milliseconds).step_by(40);
        times
            .map(|at| usize::from(queue.push(Tag::avc_frame(at, at % 1000 == 0, b"picture"))))
            .sum()
    }

    #[test]
    fn a_reader_begins_with_headers_and_a_key_frame() {
        let mut queue = TagQueue::new(LIMITS);
        queue.restart(&headers());
        assert!(!queue.push(Tag::avc_frame(960, false, b"")));
        assert!(!queue.push(Tag::aac_frame(980, b"")));
        assert!(!queue.push(Tag::avc_frame(1000, true, b"")));
        let tags = drain(&mut queue);
        assert!(tags[0].is_sequence_header() && tags[1].is_sequence_header() && tags[2].is_key_frame());
        assert_eq!(tags.len(), 3);
    }

    #[test]
    fn sound_alone_needs_no_key_frame() {
        let mut queue = TagQueue::new(LIMITS);
        assert!(!queue.push(Tag::aac_frame(0, b"a")));
        assert_eq!(queue.pop(), Some(Tag::aac_frame(0, b"a")));
    }

    #[test]
    fn a_full_queue_drops_from_the_oldest_to_the_next_key_frame() {
        let mut queue = TagQueue::new(LIMITS);
        queue.restart(&headers());
        assert_eq!(feed(&mut queue, 1000, 2080), 0, "a key frame is still queued");
        assert_eq!(queue.stats().dropped_frames, 25, "one group of 25");
        let tags = drain(&mut queue);
        assert!(
            tags[0].is_sequence_header() && tags[1].is_sequence_header(),
            "headers survive"
        );
        assert!(tags[2].is_key_frame());
        assert_eq!(tags[2].timestamp_ms, 2000);
    }

    #[test]
    fn without_another_key_frame_everything_goes_and_one_is_asked_for_once() {
        let mut queue = TagQueue::new(LIMITS);
        queue.restart(&headers());
        queue.push(Tag::avc_frame(0, true, b"key"));
        let asked = (1..400_u32)
            .filter(|n| queue.push(Tag::avc_frame(n * 40, false, b"inter")))
            .count();
        assert_eq!(asked, 1);
        assert!(queue.is_waiting_for_key());
        assert!(drain(&mut queue).iter().all(Tag::is_sequence_header));
        assert!(!queue.push(Tag::avc_frame(16_000, true, b"key")));
        assert_eq!(drain(&mut queue).len(), 1);
    }

    #[test]
    fn bytes_are_bounded_whatever_the_clock_says() {
        let mut queue = TagQueue::new(LIMITS);
        for n in 0..1000 {
            queue.push(Tag::avc_frame(0, n % 10 == 0, &[0; 900]));
            assert!(queue.bytes() <= LIMITS.bytes);
        }
        assert!(queue.stats().overflows > 10);
    }

    #[test]
    fn headers_alone_cannot_fill_it() {
        let mut queue = TagQueue::new(LIMITS);
        for n in 0..10_000 {
            queue.push(Tag::aac_sequence_header(n, &[0; 500]));
        }
        assert!(queue.bytes() <= LIMITS.bytes);
    }

    #[test]
    fn repeated_headers_stamped_zero_do_not_look_like_a_jump() {
        let mut queue = TagQueue::new(LIMITS);
        for n in 0..10_u32 {
            queue.push(Tag::aac_frame(3_000_000_000 + n, b"sound"));
            queue.push(Tag::aac_sequence_header(0, &[0x11, 0x90]));
        }
        assert_eq!(queue.stats().overflows, 0);
    }

    #[test]
    fn the_duration_is_measured_across_the_32_bit_wrap() {
        let mut queue = TagQueue::new(LIMITS);
        queue.restart(&headers());
        queue.push(Tag::avc_frame(u32::MAX - 20, true, b"key"));
        for n in 0..49 {
            assert!(!queue.push(Tag::avc_frame(n * 40, false, b"inter")));
        }
        assert_eq!(queue.stats().overflows, 0, "1.96 s are within 2 s");
        assert!(queue.push(Tag::avc_frame(2100, false, b"inter")));
    }
}
