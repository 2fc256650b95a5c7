//! Fragmented MP4 (ISO/IEC 14496-12 §8.8): pictures and sound in, a head and fragments out. No I/O and no clock in here.
//!
//! A [`Muxer`] makes a file that only grows: the head says what the tracks are and never changes, and each fragment stands for
//! itself, so that whatever was written before a crash plays. Recordings and HLS segments (RFC 8216 §3.3) are made by the
//! same code. The boxes are those of `mp4-atom`; [`Tags`] reads what is to go into them from a stream of FLV tags.
#![forbid(unsafe_code)]

mod boxes;
mod fragment;
mod lane;
mod muxer;
mod opus;
mod sound;
mod tags;
mod track;

pub use muxer::{Muxer, Picture, Sound};
pub use opus::packet_samples;
pub use tags::{Item, Tags};
pub use track::{Audio, AudioCodec, Avc, TrackError, Video};

/// What cannot be written down as MP4.
#[derive(Debug, thiserror::Error)]
#[error("this does not fit into MP4: {0}")]
pub struct Mp4Error(#[from] mp4_atom::Error);
