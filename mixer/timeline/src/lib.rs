//! The timebase: RTP time of many hosts on one clock.
//!
//! Nothing in here reads a clock, does I/O or starts a thread: every instant is an argument. The parts, in the
//! order in which a packet meets them:
//!
//! 1. [`jitter`] puts the packets of a track in order and decides what is lost;
//! 2. [`Timeline`] says at which instant of the edge's monotonic clock a packet's content was captured, and how
//!    long after that instant the whole room is shown;
//! 3. [`select`] picks the picture nearest to an output tick, [`AudioSlew`] keeps the sound where it belongs;
//! 4. [`Ticker`] says when the output ticks are due, from the monotonic clock alone.
//!
//! Times are signed nanoseconds in newtypes ([`EdgeTime`], [`NtpTime`], [`Span`]), RTP time is in ticks of the
//! track's clock ([`RtpTimestamp`] on the wire, [`RtpTicks`] unwrapped).
#![forbid(unsafe_code)]

pub mod clock;
mod envelope;
mod host;
pub mod jitter;
mod lateness;
mod repairs;
mod reports;
pub mod room;
pub mod select;
pub mod slew;
pub mod tick;
mod time;
mod timeline;
mod track;
pub mod wallclock;

pub use clock::SenderReport;
pub use host::TrackStats;
pub use slew::{AudioSlew, Correction};
pub use tick::{Tick, Ticker};
pub use time::{EdgeTime, Kind, NtpTime, RtpTicks, RtpTimestamp, Span};
pub use timeline::{HostStats, Timeline};

#[cfg(test)]
mod traces;
