//! What the programs that the daemon starts have in common: how they are started, read, and started again.

mod backoff;
mod lines;

pub(crate) use backoff::Backoff;
pub(crate) use lines::{Lines, SILENCE, silent};

use crate::handover;
use crate::webhooks::SECRET_VARIABLE;
use std::io;
use std::path::Path;
use tokio::process::{Child, Command};

/// How long a new process may take to say its first word.
pub(crate) const START: std::time::Duration = std::time::Duration::from_secs(5);

/// A command for a program that logs by `log`, without anything of the environment that is the daemon's alone. Its process is
/// killed when it is dropped.
pub(crate) fn command(program: &Path, log: &str) -> Command {
    let mut command = Command::new(program);
    for variable in handover::VARIABLES.into_iter().chain([SECRET_VARIABLE]) {
        command.env_remove(variable);
    }
    command.args(["--log", log]).kill_on_drop(true);
    command
}

/// Starts it.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    command.spawn().map_err(|error| {
        let program = command.as_std().get_program().to_string_lossy();
        io::Error::other(format!("cannot start {program}: {error}"))
    })
}
