//! What a reader of a stream needs before its first frame.

use crate::flv::{Tag, TagKind};

/// The tags that a player needs before the first frame: the latest of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamHeaders {
    metadata: Option<Tag>,
    video: Option<Tag>,
    audio: Option<Tag>,
}

impl StreamHeaders {
    /// Keeps `tag` if it is a header.
    pub fn note(&mut self, tag: &Tag) {
        if !tag.is_frame() {
            *self.slot(tag.kind) = Some(tag.clone());
        }
    }

    /// Metadata, then video, then audio.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        [&self.metadata, &self.video, &self.audio].into_iter().flatten()
    }

    /// Whether the stream has pictures, so that its readers have to begin with a key frame.
    #[must_use]
    pub fn has_video(&self) -> bool {
        self.video.is_some()
    }

    /// Whether the stream has sound.
    #[must_use]
    pub fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    fn slot(&mut self, kind: TagKind) -> &mut Option<Tag> {
        match kind {
            TagKind::Script => &mut self.metadata,
            TagKind::Video => &mut self.video,
            TagKind::Audio => &mut self.audio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StreamHeaders;
    use crate::flv::Tag;

    #[test]
    fn the_latest_header_of_each_kind_is_kept_and_no_frame() {
        let mut headers = StreamHeaders::default();
        headers.note(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
        headers.note(&Tag::aac_frame(5, b"sound"));
        headers.note(&Tag::aac_sequence_header(9, &[0x12, 0x10]));
        assert!(headers.tags().eq([&Tag::aac_sequence_header(9, &[0x12, 0x10])]));
        assert!(headers.has_audio() && !headers.has_video());
    }
}
