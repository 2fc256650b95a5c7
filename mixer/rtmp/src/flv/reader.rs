//! FLV from bytes as they come.

use super::{Tag, TagKind};
use bytes::{Buf, Bytes, BytesMut};

/// Reads a file or an HTTP-FLV body piece by piece. At most one tag is buffered.
#[derive(Debug)]
pub struct FlvReader {
    buffer: BytesMut,
    max_body: usize,
    header_read: bool,
}

/// Why bytes are not FLV.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The first bytes are not a header (E.2).
    #[error("not an FLV file: it begins with {0:02x?}")]
    NotFlv([u8; 4]),
    /// E.4.1 has three kinds of tag; encrypted ones are refused.
    #[error("FLV tag of type {0:#04x}; audio (8), video (9) and script (18) are known")]
    TagType(u8),
    /// Declared longer than the caller's bound.
    #[error("an FLV tag of {length} bytes; at most {limit} are accepted")]
    TooLong {
        /// Declared.
        length: usize,
        /// Allowed.
        limit: usize,
    },
    /// The pointer behind a tag is not its length (E.3).
    #[error("the back pointer behind an FLV tag says {found}, its length is {expected}")]
    BackPointer {
        /// On the wire.
        found: u32,
        /// Should be.
        expected: u32,
    },
}

impl Default for FlvReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FlvReader {
    /// A reader that expects a file header, for every body that the format can hold: up to 16 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(1 << 24)
    }

    /// A reader that expects a file header, for bodies up to `max_body` bytes.
    #[must_use]
    pub fn with_limit(max_body: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_body,
            header_read: false,
        }
    }

    /// A reader of bare tags, as in an RTMP aggregate message (RTMP 1.0 §7.1.6).
    pub(crate) fn without_header(max_body: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_body,
            header_read: true,
        }
    }

    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole tag, or `None` until more is pushed.
    ///
    /// # Errors
    /// When the bytes are not FLV; the reader is of no use after that.
    pub fn next_tag(&mut self) -> Result<Option<Tag>, FlvError> {
        if !self.header_read && !self.read_header()? {
            return Ok(None);
        }
        let Some(header) = self.buffer.first_chunk::<11>() else {
            return Ok(None);
        };
        let [number, l0, l1, l2, t0, t1, t2, t3, ..] = *header;
        let kind = TagKind::from_number(number).ok_or(FlvError::TagType(number))?;
        let declared = u32::from_be_bytes([0, l0, l1, l2]);
        let length = usize::try_from(declared).unwrap_or(usize::MAX);
        if length > self.max_body {
            return Err(FlvError::TooLong {
                length,
                limit: self.max_body,
            });
        }
        if self.buffer.len() < 11 + length + 4 {
            return Ok(None);
        }
        self.buffer.advance(11);
        let body: Bytes = self.buffer.split_to(length).freeze();
        let found = self.buffer.get_u32();
        if found != declared + 11 {
            return Err(FlvError::BackPointer {
                found,
                expected: declared + 11,
            });
        }
        Ok(Some(Tag {
            kind,
            timestamp_ms: u32::from_be_bytes([t3, t0, t1, t2]),
            body,
        }))
    }

    fn read_header(&mut self) -> Result<bool, FlvError> {
        let Some(start) = self.buffer.first_chunk::<4>() else {
            return Ok(false);
        };
        if start[..3] != *b"FLV" {
            return Err(FlvError::NotFlv(*start));
        }
        if self.buffer.len() < 13 {
            return Ok(false);
        }
        self.buffer.advance(13);
        self.header_read = true;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::{FlvError, FlvReader};
    use crate::flv::{Tag, file_header};
    use bytes::BytesMut;

    fn stream() -> (Vec<Tag>, BytesMut) {
        let tags = vec![
            Tag::avc_frame(u32::MAX, true, b"picture"),
            Tag::aac_frame(1 << 24, b""),
            Tag::aac_frame(3, b"s"),
        ];
        let mut bytes = BytesMut::from(&file_header(true, true)[..]);
        tags.iter().for_each(|tag| tag.write_flv(&mut bytes));
        (tags, bytes)
    }

    #[test]
    fn tags_come_out_whole_when_bytes_come_one_by_one() {
        let (tags, bytes) = stream();
        let mut reader = FlvReader::with_limit(100);
        let mut read = Vec::new();
        for byte in bytes {
            reader.push(&[byte]);
            read.extend(reader.next_tag().expect("FLV"));
        }
        assert_eq!(read, tags);
    }

    #[test]
    fn a_declared_length_over_the_bound_is_refused_before_it_is_buffered() {
        let mut reader = FlvReader::with_limit(5);
        reader.push(&file_header(false, true));
        reader.push(b"\x09\xff\xff\xff\0\0\0\0\0\0\0");
        assert_eq!(
            reader.next_tag(),
            Err(FlvError::TooLong {
                length: 0xff_ffff,
                limit: 5
            })
        );
    }

    #[test]
    fn what_is_not_flv_is_an_error_that_shows_it() {
        let mut reader = FlvReader::with_limit(5);
        reader.push(b"HTTP/1.1 404");
        assert_eq!(reader.next_tag(), Err(FlvError::NotFlv(*b"HTTP")));
    }

    #[test]
    fn a_wrong_back_pointer_and_an_encrypted_tag_are_errors() {
        let (_, mut bytes) = stream();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let mut reader = FlvReader::with_limit(100);
        reader.push(&bytes);
        assert!(reader.next_tag().is_ok() && reader.next_tag().is_ok());
        assert!(matches!(reader.next_tag(), Err(FlvError::BackPointer { .. })));
        let mut reader = FlvReader::without_header(100);
        reader.push(&[0x29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(reader.next_tag(), Err(FlvError::TagType(0x29)));
    }
}
