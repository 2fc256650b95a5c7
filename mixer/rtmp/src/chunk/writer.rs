//! Messages to chunks.

use super::{DEFAULT_CHUNK_SIZE, EXTENDED};
use crate::flv::TagKind;
use crate::message::{Message, MessageKind};
use bytes::{BufMut, BytesMut};
use std::collections::BTreeMap;

/// Cuts messages into chunks.
///
/// New messages begin with format 0 or 1, never with 2 or 3: implementations disagree about what a format 3 chunk adds to
/// the time after a format 0 one. Format 3 only continues a message, with the extended timestamp repeated if there
/// is one (§5.3.1.3).
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
    last: BTreeMap<u8, Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    stream: u32,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            last: BTreeMap::new(),
        }
    }
}

impl ChunkWriter {
    /// The size of chunks from now on; the peer must have been told by a Set Chunk Size message just before.
    pub fn set_chunk_size(&mut self, size: usize) {
        self.chunk_size = size.max(1);
    }

    /// Appends the chunks of `message`. Bodies of 2^24 bytes and more do not fit the format: they are not written, and
    /// the answer is `false`.
    #[must_use]
    pub fn write(&mut self, message: &Message, out: &mut BytesMut) -> bool {
        let Some(length) = u32::try_from(message.body.len())
            .ok()
            .filter(|length| *length < 1 << 24)
        else {
            return false;
        };
        let chunk_stream = chunk_stream_of(message.kind);
        let delta = self.delta(chunk_stream, message);
        let field = delta.unwrap_or(message.timestamp);
        out.reserve(message.body.len() + 16 + 5 * (message.body.len() / self.chunk_size));
        out.put_u8(chunk_stream | if delta.is_some() { 1 << 6 } else { 0 });
        out.put_uint(u64::from(field.min(EXTENDED)), 3);
        out.put_uint(u64::from(length), 3);
        out.put_u8(message.kind.number());
        if delta.is_none() {
            out.put_u32_le(message.stream);
        }
        self.write_body(chunk_stream, field, &message.body, out);
        self.last.insert(
            chunk_stream,
            Last {
                timestamp: message.timestamp,
                stream: message.stream,
            },
        );
        true
    }

    /// A delta (§5.3.1.2.2) if the last message of the chunk stream allows one. Times that run backwards and jumps beyond
    /// 24 bits are sent whole.
    fn delta(&self, chunk_stream: u8, message: &Message) -> Option<u32> {
        let last = self.last.get(&chunk_stream)?;
        let delta = message.timestamp.wrapping_sub(last.timestamp);
        (last.stream == message.stream && delta < EXTENDED).then_some(delta)
    }

    fn write_body(&self, chunk_stream: u8, field: u32, body: &[u8], out: &mut BytesMut) {
        let extended = |out: &mut BytesMut| {
            if field >= EXTENDED {
                out.put_u32(field);
            }
        };
        extended(out);
        for (index, chunk) in body.chunks(self.chunk_size).enumerate() {
            if index > 0 {
                out.put_u8(chunk_stream | 3 << 6);
                extended(out);
            }
            out.put_slice(chunk);
        }
    }
}

/// §5.4: control messages go on chunk stream 2. The others are ours to choose.
fn chunk_stream_of(kind: MessageKind) -> u8 {
    match kind {
        MessageKind::SetChunkSize
        | MessageKind::Abort
        | MessageKind::Acknowledgement
        | MessageKind::UserControl
        | MessageKind::WindowAcknowledgementSize
        | MessageKind::SetPeerBandwidth => 2,
        MessageKind::Media(TagKind::Audio) => 4,
        MessageKind::Media(TagKind::Video) => 6,
        MessageKind::Media(TagKind::Script) => 5,
        MessageKind::CommandAmf3 | MessageKind::Command | MessageKind::Aggregate | MessageKind::Other(_) => 3,
    }
}
