//! Chunks to messages.

use super::{ChunkError, DEFAULT_CHUNK_SIZE, EXTENDED, Limits};
use crate::message::{Message, MessageKind};
use bytes::{Buf, BytesMut};
use std::collections::BTreeMap;

/// Joins chunks to messages. Holds unfinished messages within [`Limits`] and at most one unread header.
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    buffer: BytesMut,
    streams: BTreeMap<u32, ChunkStream>,
    /// The chunk stream whose chunk is being read, and what is left of that chunk.
    current: Option<(u32, usize)>,
    unfinished: usize,
}

/// What later chunks of a chunk stream refer to.
#[derive(Debug, Default)]
struct ChunkStream {
    /// As last sent: a time after format 0, a delta after 1 and 2. A format 3 chunk that begins a message adds it again
    /// (§5.3.1.2.4).
    field: u32,
    extended: bool,
    timestamp: u32,
    length: usize,
    kind: u8,
    stream: u32,
    body: BytesMut,
    inside: bool,
}

/// A chunk header as it stands on the wire.
struct Header {
    format: u8,
    chunk_stream: u32,
    field: Option<u32>,
    message: Option<(usize, u8)>,
    stream: Option<u32>,
    extended: bool,
    wire_length: usize,
}

impl ChunkReader {
    /// A reader at the first byte behind the handshake.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            buffer: BytesMut::new(),
            streams: BTreeMap::new(),
            current: None,
            unfinished: 0,
        }
    }

    /// Changes the bound of messages from the next chunk on.
    pub fn set_max_message(&mut self, max_message: usize) {
        self.limits.max_message = max_message;
    }

    /// Appends what was read. Call [`Self::next_message`] until it has no more before the next piece.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message. Set Chunk Size and Abort have taken effect when they come out.
    ///
    /// # Errors
    /// When the bytes are no chunk stream or exceed the limits; the connection cannot go on after that.
    pub fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        loop {
            let (chunk_stream, left) = match self.current {
                Some(current) => current,
                None => match self.begin_chunk()? {
                    Some(current) => current,
                    None => return Ok(None),
                },
            };
            let Some(message) = self.read_payload(chunk_stream, left) else {
                if self.current.is_some() {
                    return Ok(None);
                }
                continue;
            };
            self.obey(&message)?;
            return Ok(Some(message));
        }
    }

    /// Bytes of unfinished messages and of the unread header.
    #[must_use]
    pub fn held(&self) -> usize {
        self.unfinished + self.buffer.len()
    }

    fn begin_chunk(&mut self) -> Result<Option<(u32, usize)>, ChunkError> {
        let Some(header) = self.parse_header()? else {
            return Ok(None);
        };
        self.buffer.advance(header.wire_length);
        if !self.streams.contains_key(&header.chunk_stream)
            && self.streams.len() >= self.limits.max_chunk_streams
        {
            return Err(ChunkError::TooManyStreams(self.limits.max_chunk_streams));
        }
        let chunk_stream = header.chunk_stream;
        let stream = self.streams.entry(chunk_stream).or_default();
        stream.apply(&header)?;
        let left = stream.length - stream.body.len();
        let wanted = self.unfinished.saturating_add(left);
        if wanted > self.limits.max_message {
            return Err(ChunkError::TooLong {
                length: wanted,
                limit: self.limits.max_message,
            });
        }
        let current = (chunk_stream, left.min(self.chunk_size));
        self.current = Some(current);
        Ok(Some(current))
    }

    /// Takes what is there of the chunk's payload. Nothing is reserved by declared lengths.
    fn read_payload(&mut self, chunk_stream: u32, left: usize) -> Option<Message> {
        let stream = self.streams.get_mut(&chunk_stream)?;
        let available = left.min(self.buffer.len());
        stream.body.extend_from_slice(&self.buffer[..available]);
        self.buffer.advance(available);
        self.unfinished += available;
        if available < left {
            self.current = Some((chunk_stream, left - available));
            return None;
        }
        self.current = None;
        if stream.body.len() < stream.length {
            return None;
        }
        self.unfinished -= stream.length;
        stream.inside = false;
        let kind = MessageKind::from_number(stream.kind);
        let body = std::mem::take(&mut stream.body).freeze();
        Some(Message {
            kind,
            stream: stream.stream,
            timestamp: stream.timestamp,
            body,
        })
    }

    fn obey(&mut self, message: &Message) -> Result<(), ChunkError> {
        let number = || {
            let (kind, length) = (message.kind.number(), message.body.len());
            message
                .number()
                .ok_or(ChunkError::ControlTooShort { kind, length })
        };
        match message.kind {
            MessageKind::SetChunkSize => {
                let size = number()?;
                // §5.4.1: the first bit is zero.
                let valid = (1..=0x7fff_ffff).contains(&size);
                self.chunk_size = usize::try_from(size)
                    .ok()
                    .filter(|_| valid)
                    .ok_or(ChunkError::ChunkSize(size))?;
            }
            MessageKind::Abort => self.abort(number()?),
            _ => {}
        }
        Ok(())
    }

    /// §5.4.2: discard the partly received message of this chunk stream.
    fn abort(&mut self, chunk_stream: u32) {
        let Some(stream) = self.streams.get_mut(&chunk_stream) else {
            return;
        };
        self.unfinished -= stream.body.len();
        stream.body.clear();
        stream.inside = false;
    }

    fn parse_header(&self) -> Result<Option<Header>, ChunkError> {
        let mut wire = Wire {
            bytes: &self.buffer,
            position: 0,
        };
        let Some(mut header) = wire.header() else {
            return Ok(None);
        };
        let known = self.streams.get(&header.chunk_stream);
        if known.is_none() && header.format != 0 {
            return Err(ChunkError::NoHeader {
                format: header.format,
                stream: header.chunk_stream,
            });
        }
        if header.format < 3 {
            if header.field == Some(EXTENDED) {
                let Some(time) = wire.number::<4>() else {
                    return Ok(None);
                };
                header.field = Some(time);
                header.extended = true;
            }
        } else if let Some(stream) = known.filter(|stream| stream.extended) {
            // §5.3.1.3 wants the extended timestamp in format 3 chunks too, and some senders leave it out. It is there
            // if the next four bytes are the ones that were sent before.
            let start = wire.position;
            let Some(time) = wire.number::<4>() else {
                return Ok(None);
            };
            wire.position = if time == stream.field {
                wire.position
            } else {
                start
            };
        }
        header.wire_length = wire.position;
        Ok(Some(header))
    }
}

impl ChunkStream {
    fn apply(&mut self, header: &Header) -> Result<(), ChunkError> {
        if self.inside {
            let continues = header.format == 3;
            return if continues {
                Ok(())
            } else {
                Err(ChunkError::Interrupted(header.chunk_stream))
            };
        }
        if let Some(field) = header.field {
            self.field = field;
            self.extended = header.extended;
        }
        if let Some((length, kind)) = header.message {
            (self.length, self.kind) = (length, kind);
        }
        if let Some(stream) = header.stream {
            self.stream = stream;
        }
        let base = if header.format == 0 { 0 } else { self.timestamp };
        self.timestamp = base.wrapping_add(self.field);
        self.inside = true;
        Ok(())
    }
}

struct Wire<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Wire<'_> {
    /// §5.3.1.1 and §5.3.1.2, without the extended timestamp. `None` while bytes are missing.
    fn header(&mut self) -> Option<Header> {
        let first = *self.bytes.first()?;
        self.position = 1;
        let format = first >> 6;
        let chunk_stream = match first & 0x3f {
            0 => 64 + self.number::<1>()?,
            1 => 64 + self.number::<2>()?.swap_bytes().wrapping_shr(16),
            id => u32::from(id),
        };
        let field = if format < 3 {
            Some(self.number::<3>()?)
        } else {
            None
        };
        let message = if format < 2 {
            let length = usize::try_from(self.number::<3>()?).ok()?;
            Some((length, u8::try_from(self.number::<1>()?).ok()?))
        } else {
            None
        };
        // §5.3.1.2.1: the message stream ID alone is little-endian.
        let stream = if format == 0 {
            Some(self.number::<4>()?.swap_bytes())
        } else {
            None
        };
        Some(Header {
            format,
            chunk_stream,
            field,
            message,
            stream,
            extended: false,
            wire_length: self.position,
        })
    }

    /// A big-endian number of `N` bytes, at most four.
    fn number<const N: usize>(&mut self) -> Option<u32> {
        let bytes = self.bytes.get(self.position..self.position + N)?;
        self.position += N;
        Some(
            bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u32::from(*byte)),
        )
    }
}
