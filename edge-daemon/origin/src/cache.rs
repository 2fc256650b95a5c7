//! What a new player gets at once: headers and the current group of pictures.

use lianmai_rtmp::{QueueLimits, StreamHeaders, Tag, Unwrap};

/// Tags of a group; more are no pictures but an attack with tiny frames.
const MAX_TAGS: usize = 20_000;

/// The headers and everything since the last key frame, within bounds.
#[derive(Debug)]
pub(crate) struct GopCache {
    limits: QueueLimits,
    headers: StreamHeaders,
    group: Vec<Tag>,
    bytes: usize,
    unwrap: Unwrap,
    started: i64,
}

impl GopCache {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            headers: StreamHeaders::default(),
            group: Vec::new(),
            bytes: 0,
            unwrap: Unwrap::default(),
            started: 0,
        }
    }

    /// Keeps a tag. `true` when the group became too large: it is forgotten, and new players wait for a key frame.
    pub(crate) fn push(&mut self, tag: &Tag) -> bool {
        self.headers.note(tag);
        if !tag.is_frame() {
            return false;
        }
        let time = self.unwrap.extend(tag.timestamp_ms);
        if tag.is_key_frame() {
            self.clear_group();
            self.started = time;
        } else if self.group.is_empty() {
            return false;
        }
        self.bytes += tag.body.len();
        self.group.push(tag.clone());
        let too_long = u128::try_from(time - self.started).unwrap_or(0) > self.limits.duration.as_millis();
        let over = too_long || self.bytes > self.limits.bytes || self.group.len() > MAX_TAGS;
        if over {
            self.clear_group();
        }
        over
    }

    pub(crate) fn headers(&self) -> &StreamHeaders {
        &self.headers
    }

    pub(crate) fn group(&self) -> &[Tag] {
        &self.group
    }

    /// The frames are of the past; the headers may still hold.
    pub(crate) fn clear_group(&mut self) {
        self.group.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::GopCache;
    use lianmai_rtmp::{QueueLimits, Tag};
    use std::time::Duration;

    const LIMITS: QueueLimits = QueueLimits {
        bytes: 1000,
        duration: Duration::from_secs(2),
    };

    #[test]
    fn the_group_begins_with_the_last_key_frame_and_keeps_the_sound() {
        let mut cache = GopCache::new(LIMITS);
        assert!(!cache.push(&Tag::avc_frame(0, false, b"no start")));
        for tag in [
            Tag::avc_frame(0, true, b"1"),
            Tag::avc_frame(40, false, b""),
            Tag::avc_frame(80, true, b"2"),
        ] {
            assert!(!cache.push(&tag));
        }
        assert!(!cache.push(&Tag::aac_frame(90, b"sound")));
        assert_eq!(
            cache.group(),
            [Tag::avc_frame(80, true, b"2"), Tag::aac_frame(90, b"sound")]
        );
    }

    #[test]
    fn a_group_beyond_bytes_or_time_is_forgotten_until_the_next_key_frame() {
        let mut cache = GopCache::new(LIMITS);
        cache.push(&Tag::avc_frame(0, true, b"key"));
        assert!(cache.push(&Tag::avc_frame(40, false, &[0; 1000])));
        assert!(!cache.push(&Tag::avc_frame(80, false, b"")) && cache.group().is_empty());
        assert!(!cache.push(&Tag::avc_frame(u32::MAX, true, b"key")));
        assert!(!cache.push(&Tag::avc_frame(1999, false, b"within 2 s over the wrap")));
        assert!(cache.push(&Tag::avc_frame(2000, false, b"")));
    }
}
