//! What the kernel programs and the daemon both need to know: packets on the wire, the arithmetic of their tags, and the
//! records through which the two sides speak.
//!
//! No allocation, no `unsafe`, no panics on any input. The same code is compiled for the kernel and for the
//! host, where tests and fuzzers run it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod checksum;
pub mod demux;
mod extension;
pub mod frame;
pub mod ghash;
mod ids;
pub mod keyframe;
mod packet;
pub mod plain;
pub mod records;
mod rewrite;
pub mod seal;
mod vp8;

pub use extension::{Extension, Extensions};
pub use ids::{PayloadType, SequenceNumber, Ssrc};
pub use packet::{FIXED_HEADER_LEN, Malformed, RtpHeader, RtpPacket};
pub use rewrite::{AbsSendTime, ExtensionMap, LegHeader, Rewriting, Stamps, Written, readdress, rewrite};
pub use vp8::Vp8Payload;
