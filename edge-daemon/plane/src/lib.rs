//! The data planes: a publisher's SRTP packets are opened once and sealed for every leg.
//!
//! Policy reaches a plane as [`Command`]s and hears back as [`Event`]s; both are plain data, so the kernel
//! plane and the userspace plane are driven by the same code. [`PlaneHandle`] is how it is driven, [`Snapshot`]
//! what it shows. A plane is one thread: `engine` holds what it does with packets and knows neither sockets nor clocks;
//! `media_thread` is the loop around it. With the kernel, `flows` decides which streams programs forward and fills in
//! ahead of the packets what they need for that.
#![forbid(unsafe_code)]

mod clock;
mod command;
mod endpoint;
mod engine;
mod flows;
mod handle;
mod history;
mod incoming;
mod kernel_side;
mod leg;
mod media_thread;
mod metrics;
mod numbers;
mod outbox;
mod replay;
mod route;
mod routes;
mod rtx;
mod shown;
mod snapshot;
mod socket;
mod source;
mod srtp;
mod tap;
mod transit;

pub use command::{Command, Event};
pub use handle::{Outputs, PlaneConfig, PlaneError, PlaneHandle, Resumption, spawn_kernel, spawn_userspace};
pub use metrics::{DropReason, Metrics, PacketKind, Path, Retransmission};
pub use shown::Shown;
pub use snapshot::{EndpointStats, FlowStats, LegStats, Snapshot, SourceStats, TrackStats};
pub use socket::MediaSender;
pub use srtp::BadKeys;
pub use transit::{Transit, TransitTimes};
