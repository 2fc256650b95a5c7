//! What client and server sessions share: handshake, chunks, flow control, pings.

use crate::amf0::{self, Amf0Error, Value};
use crate::chunk::{ChunkError, ChunkReader, ChunkWriter, Limits};
use crate::flv::{FlvError, FlvReader, Tag, TagKind};
use crate::message::{Command, Message, MessageKind, event};
use bytes::{Bytes, BytesMut};
use rml_rtmp::handshake::{Handshake, HandshakeError, HandshakeProcessResult, PeerType};

/// Chunks of ours: a video frame in few chunks, and still a size that everybody accepts.
const CHUNK_SIZE: u32 = 4096;

/// What we ask the peer to acknowledge by; the customary value.
const WINDOW: u32 = 5_000_000;

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer does not speak RTMP 3 (RTMP 1.0 §5.2.2).
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// No chunk stream.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A command or script that is no AMF0.
    #[error(transparent)]
    Amf0(#[from] Amf0Error),
    /// An aggregate message that holds no FLV tags.
    #[error("in an aggregate message: {0}")]
    Aggregate(#[from] FlvError),
    /// One of ours that does not fit 24 bits of length.
    #[error("a message of {0} bytes does not fit RTMP")]
    OwnTooLong(usize),
}

impl From<HandshakeError> for LinkError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error.to_string())
    }
}

/// What is left for the session after the link has done its part.
#[derive(Debug)]
pub(crate) enum Incoming {
    Command { stream: u32, command: Command },
    Tags { stream: u32, tags: Vec<Tag> },
    StreamEnded,
}

pub(crate) struct Link {
    handshake: Option<Handshake>,
    reader: ChunkReader,
    writer: ChunkWriter,
    limits: Limits,
    out: BytesMut,
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { received, window, .. } = self;
        formatter
            .debug_struct("Link")
            .field("received", received)
            .field("window", window)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn client(limits: Limits) -> Self {
        let mut link = Self::new(PeerType::Client, limits);
        // Making C0 and C1 cannot fail; if it could, the peer's silence would end the attempt.
        let opening = link
            .handshake
            .as_mut()
            .and_then(|handshake| handshake.generate_outbound_p0_and_p1().ok());
        link.out.extend_from_slice(&opening.unwrap_or_default());
        link
    }

    pub(crate) fn server(limits: Limits) -> Self {
        Self::new(PeerType::Server, limits)
    }

    fn new(peer: PeerType, limits: Limits) -> Self {
        Self {
            handshake: Some(Handshake::new(peer)),
            reader: ChunkReader::new(limits),
            writer: ChunkWriter::default(),
            limits,
            out: BytesMut::new(),
            received: 0,
            acknowledged: 0,
            window: 0,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.handshake.is_none()
    }

    /// Takes what was read; [`Self::next_incoming`] says what it was.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.received = self
            .received
            .wrapping_add(u32::try_from(bytes.len()).unwrap_or_default());
        let Some(handshake) = &mut self.handshake else {
            self.reader.push(bytes);
            return self.acknowledge();
        };
        match handshake.process_bytes(bytes)? {
            HandshakeProcessResult::InProgress { response_bytes } => {
                self.out.extend_from_slice(&response_bytes);
            }
            HandshakeProcessResult::Completed {
                response_bytes,
                remaining_bytes,
            } => {
                self.out.extend_from_slice(&response_bytes);
                self.handshake = None;
                self.reader.push(&remaining_bytes);
            }
        }
        Ok(())
    }

    /// The next thing that concerns the session.
    pub(crate) fn next_incoming(&mut self) -> Result<Option<Incoming>, LinkError> {
        while let Some(message) = self.reader.next_message()? {
            if let Some(incoming) = self.sort(message)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    pub(crate) fn send(&mut self, message: &Message) -> Result<(), LinkError> {
        let written = self.writer.write(message, &mut self.out);
        if written {
            Ok(())
        } else {
            Err(LinkError::OwnTooLong(message.body.len()))
        }
    }

    pub(crate) fn send_command(&mut self, stream: u32, command: Command) -> Result<(), LinkError> {
        self.send(&command.into_message(stream))
    }

    /// Takes effect with the next chunk.
    pub(crate) fn set_max_message(&mut self, max_message: usize) {
        self.limits.max_message = max_message;
        self.reader.set_max_message(max_message);
    }

    /// Window and chunk size of ours.
    pub(crate) fn announce(&mut self) -> Result<(), LinkError> {
        self.send(&Message::control(MessageKind::WindowAcknowledgementSize, WINDOW))?;
        self.send(&Message::control(MessageKind::SetChunkSize, CHUNK_SIZE))?;
        self.writer
            .set_chunk_size(usize::try_from(CHUNK_SIZE).unwrap_or(usize::MAX));
        Ok(())
    }

    pub(crate) fn send_bandwidth(&mut self) -> Result<(), LinkError> {
        self.send(&Message::peer_bandwidth(WINDOW))
    }

    fn sort(&mut self, message: Message) -> Result<Option<Incoming>, LinkError> {
        let stream = message.stream;
        Ok(match message.kind {
            MessageKind::Command | MessageKind::CommandAmf3 => {
                Command::parse(&message)?.map(|command| Incoming::Command { stream, command })
            }
            MessageKind::Media(kind) => {
                let body = if kind == TagKind::Script {
                    without_set_data_frame(message.body)?
                } else {
                    message.body
                };
                let tag = Tag {
                    kind,
                    timestamp_ms: message.timestamp,
                    body,
                };
                (!tag.body.is_empty()).then(|| Incoming::Tags {
                    stream,
                    tags: vec![tag],
                })
            }
            MessageKind::Aggregate => Some(Incoming::Tags {
                stream,
                tags: self.split_aggregate(&message)?,
            }),
            MessageKind::UserControl => self.user_control(&message)?,
            MessageKind::WindowAcknowledgementSize => {
                self.window = message.number().unwrap_or_default();
                None
            }
            MessageKind::SetChunkSize
            | MessageKind::Abort
            | MessageKind::Acknowledgement
            | MessageKind::SetPeerBandwidth
            | MessageKind::Other(_) => None,
        })
    }

    fn user_control(&mut self, message: &Message) -> Result<Option<Incoming>, LinkError> {
        let Some((number, rest)) = message.body.split_first_chunk::<2>() else {
            return Ok(None);
        };
        match (u16::from_be_bytes(*number), rest.first_chunk::<4>()) {
            (event::PING_REQUEST, Some(time)) => {
                self.send(&Message::user_control(
                    event::PING_RESPONSE,
                    &[u32::from_be_bytes(*time)],
                ))?;
                Ok(None)
            }
            (event::STREAM_EOF, _) => Ok(Some(Incoming::StreamEnded)),
            _ => Ok(None),
        }
    }

    /// §7.1.6: the times of the tags count from the first one's, which is the message's own.
    fn split_aggregate(&self, message: &Message) -> Result<Vec<Tag>, LinkError> {
        let mut reader = FlvReader::without_header(self.limits.max_message);
        reader.push(&message.body);
        let mut tags: Vec<Tag> = Vec::new();
        let mut first = None;
        while let Some(tag) = reader.next_tag()? {
            let first = *first.get_or_insert(tag.timestamp_ms);
            tags.push(
                tag.at(message
                    .timestamp
                    .wrapping_add(tag.timestamp_ms.wrapping_sub(first))),
            );
        }
        Ok(tags)
    }

    /// §5.4.3: say what arrived, at the latest after a window. Half of it leaves the peer air.
    fn acknowledge(&mut self) -> Result<(), LinkError> {
        if self.window == 0 || self.received.wrapping_sub(self.acknowledged) < self.window / 2 {
            return Ok(());
        }
        self.acknowledged = self.received;
        self.send(&Message::control(MessageKind::Acknowledgement, self.received))
    }
}

/// Publishers prefix metadata with the name of a server function; in FLV, and to players, it goes without.
fn without_set_data_frame(body: Bytes) -> Result<Bytes, Amf0Error> {
    if body.is_empty() {
        return Ok(body);
    }
    let (first, length) = amf0::decode_first(&body)?;
    Ok(if first == Value::string("@setDataFrame") {
        body.slice(length..)
    } else {
        body
    })
}
