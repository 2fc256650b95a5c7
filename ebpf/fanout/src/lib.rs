//! RTP on the wire: what the kernel programs and the daemon both need to know of a packet.
//!
//! No allocation, no `unsafe`, no panics on any input. The same code is compiled for the kernel and for the
//! host, where tests and fuzzers run it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod demux;
mod extension;
mod ids;
pub mod keyframe;
mod packet;
mod rewrite;

pub use extension::{Extension, Extensions};
pub use ids::{PayloadType, SequenceNumber, Ssrc};
pub use packet::{FIXED_HEADER_LEN, Malformed, RtpHeader, RtpPacket};
pub use rewrite::{AbsSendTime, ExtensionMap, LegHeader, Stamps, Written, readdress, rewrite};
