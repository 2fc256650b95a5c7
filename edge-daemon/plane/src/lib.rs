//! The data planes: a publisher's SRTP packets are opened once and sealed for every leg.
//!
//! Policy reaches a plane as [`Command`]s and hears back as [`Event`]s; both are plain data, so the kernel
//! plane and the userspace plane are driven by the same code. [`PlaneHandle`] is how it is driven, [`Snapshot`]
//! what it shows. The userspace plane is one thread: `engine` holds what it does with packets and knows neither
//! sockets nor clocks; `userspace` is the loop around it.
#![forbid(unsafe_code)]

mod clock;
mod command;
mod endpoint;
mod engine;
mod handle;
mod history;
mod incoming;
mod leg;
mod metrics;
mod outbox;
mod replay;
mod rtx;
mod snapshot;
mod socket;
mod source;
mod srtp;
mod tap;
mod transit;
mod userspace;

pub use command::{Command, Event};
pub use handle::{Outputs, PlaneConfig, PlaneError, PlaneHandle, spawn_userspace};
pub use metrics::{DropReason, Metrics, PacketKind, Retransmission};
pub use snapshot::{EndpointStats, LegStats, Snapshot, SourceStats, TrackStats};
pub use socket::MediaSender;
pub use srtp::BadKeys;
pub use transit::{Transit, TransitTimes};
