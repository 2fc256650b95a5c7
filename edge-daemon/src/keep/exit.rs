//! How a process ended.

use nix::libc::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

/// What a shell adds to the number of the signal.
const BY_SIGNAL: u8 = 128;

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself.
    Status(u8),
    /// By a signal.
    Signal(u8),
}

impl Exit {
    /// Whether the process did what it was told, and not more: as systemd sees it (systemd.service(5), `SuccessExitStatus=`).
    pub(super) fn is_clean(self) -> bool {
        match self {
            Self::Status(status) => status == 0,
            Self::Signal(signal) => [SIGHUP, SIGINT, SIGPIPE, SIGTERM].contains(&i32::from(signal)),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        // Both fit: a status is a byte, and there are 64 signals. The rest of what wait(2) reports is no end.
        let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        match status.signal() {
            Some(signal) => Self::Signal(byte(signal)),
            None => Self::Status(status.code().map_or(u8::MAX, byte)),
        }
    }
}

/// The status that a shell would show.
impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Status(status) => status,
            Exit::Signal(signal) => BY_SIGNAL.saturating_add(signal),
        })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
