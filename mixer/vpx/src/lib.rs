//! VP8 (RFC 6386) by the system's libvpx: coded frames in, I420 pictures out.
//!
//! A [`Decoder`] decodes on the thread that calls it, refuses a key frame by the sizes in its header before libvpx
//! allocates anything for it, and takes a frame for broken that libvpx would show though parts of it are missing.
//!
//! `unsafe` is in `libvpx.rs` alone.

mod decoder;
mod header;
mod libvpx;

pub use decoder::{DecodeError, Decoder};
pub use header::{FrameHeader, HeaderError, KeyFrame};
pub use libvpx::{LibvpxError, Picture};
