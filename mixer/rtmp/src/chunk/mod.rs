//! The chunk stream (RTMP 1.0 §5.3): messages cut into chunks that may interleave.

mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::ChunkReader;
pub use writer::ChunkWriter;

/// §5.4.1: "The maximum chunk size defaults to 128 bytes".
pub(crate) const DEFAULT_CHUNK_SIZE: usize = 128;

/// §5.3.1.3: a timestamp field of this value says that 32 bits follow.
pub(crate) const EXTENDED: u32 = 0xff_ffff;

/// What a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, and of all unfinished messages together.
    pub max_message: usize,
    /// Chunk streams in use; each remembers a header.
    pub max_chunk_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 4 << 20,
            max_chunk_streams: 32,
        }
    }
}

/// Why bytes are no chunk stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk that refers to a header nobody sent (§5.3.1.2).
    #[error("a chunk of format {format} on chunk stream {stream}, which has no header to refer to")]
    NoHeader {
        /// 1, 2 or 3.
        format: u8,
        /// The chunk stream.
        stream: u32,
    },
    /// A new header before the last message was complete.
    #[error("chunk stream {0} begins a message before its last one is complete")]
    Interrupted(u32),
    /// Declared or accumulated beyond [`Limits::max_message`].
    #[error("messages of {length} bytes; at most {limit} are accepted")]
    TooLong {
        /// What the peer wants us to hold.
        length: usize,
        /// Allowed.
        limit: usize,
    },
    /// Beyond [`Limits::max_chunk_streams`].
    #[error("more than {0} chunk streams in use")]
    TooManyStreams(usize),
    /// §5.4.1: at least 1, at most 2^31 - 1.
    #[error("a chunk size of {0}; 1 to 2147483647 are allowed")]
    ChunkSize(u32),
    /// A control message without its number.
    #[error("a protocol control message of type {kind} with {length} bytes")]
    ControlTooShort {
        /// Message type.
        kind: u8,
        /// Bytes of payload.
        length: usize,
    },
}
