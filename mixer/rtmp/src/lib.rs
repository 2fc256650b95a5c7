//! RTMP and FLV for the mixer and the origin.
//!
//! Everything but [`Publisher`] is without I/O: bytes go in by `handle_input`, come out by
//! `poll_output`, and what they mean comes out by `poll_event`. The unit that travels through all of it is the FLV
//! [`Tag`], because an RTMP audio, video or data message is the body of one.
//!
//! The handshake is that of `rml_rtmp`. Its chunk streams, AMF0 and sessions are not used: they keep one partial
//! message for all chunk streams, subtract lengths from the wire unchecked, recurse into AMF0 without a limit, bound
//! neither messages nor chunk streams, and say neither `releaseStream` nor `FCUnpublish`.
#![forbid(unsafe_code)]

pub mod amf0;
mod chunk;
mod client;
pub mod flv;
mod headers;
mod link;
mod message;
pub mod publisher;
mod queue;
mod server;
mod timestamps;
mod tls;
pub mod url;

pub use chunk::{ChunkError, ChunkReader, ChunkWriter, Limits};
pub use client::{Client, ClientError, ClientEvent};
pub use flv::{Tag, TagFormat, TagKind};
pub use headers::StreamHeaders;
pub use link::LinkError;
pub use message::{Message, MessageKind};
pub use publisher::{
    Backoff, Publisher, PublisherConfig, PublisherEvent, PublisherState, PublisherStats, WhenFull,
};
pub use queue::{QueueLimits, QueueStats, TagQueue};
pub use server::{Refusal, Server, ServerError, ServerEvent, StreamPath};
pub use timestamps::{Rebase, Unwrap};
pub use tls::{TlsError, Trust};
pub use url::{RtmpUrl, UrlError, percent_decode, percent_encode};
