//! What the edge says and hears over RTCP, as pure state machines.
//!
//! A [`Source`] stands for one publisher: what arrives from it, and the reports, requests and feedback that
//! go back to it. A [`Leg`] stands for one subscriber: what was sent to it, what it asks for, and how much it
//! can take. [`Weakest`] turns the estimates of all legs of a source into the one rate its publisher may use.
//!
//! Nothing in here does I/O or reads a clock: every input carries its time, [`parse`] and `poll_output` are
//! the only contact with the wire.
#![forbid(unsafe_code)]

mod leg;
mod ntp;
mod round_trip;
mod seq;
mod source;
mod speaker;
mod voice;
mod weakest;
pub mod wire;

pub use leg::{Action, Leg, LegCounters, Sent};
pub use ntp::NtpTime;
pub use round_trip::RoundTrip;
pub use source::{Carries, Output, RtpArrival, Source, SourceConfig, SourceCounters, StreamStatistics};
pub use speaker::ActiveSpeaker;
pub use voice::{VoiceLevel, VoiceReport};
pub use weakest::{FLOOR, Weakest};
pub use wire::{
    Incoming, ParseError, ReceptionBlock, SenderReport, TransportFeedback, goodbye, parse,
    relay_sender_report,
};
