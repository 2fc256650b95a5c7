//! What a daemon leaves to the one that is started after it: open descriptors, kept by somebody who outlives it.
//!
//! That somebody is systemd's file-descriptor store, or [`keep`](crate::keep), which speaks the same protocol (sd_notify(3),
//! sd_listen_fds(3)).

mod inherited;
mod notify;
mod store;

pub(crate) use inherited::Inherited;
pub(crate) use store::Store;

use crate::keep::KEEPER;

/// Where notifications go.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// What the protocol puts into the environment. It is meant for the daemon alone: mixers must not inherit it. Taking it out of
/// the daemon's own environment is not safe once there are threads, so whoever starts a program takes it out of that one's.
pub(crate) const VARIABLES: [&str; 6] = [
    NOTIFY_SOCKET,
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "FDSTORE",
    KEEPER,
];
