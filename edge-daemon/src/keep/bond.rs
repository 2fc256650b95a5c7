//! A daemon ends with its keeper: without one it would hold ports that the next start needs.

use nix::sys::signal::SigSet;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use std::io;

/// Names the process that keeps a daemon.
pub(crate) const KEEPER: &str = "LIANMAI_KEEPER";

/// In a daemon that is kept: has it hear signals, and end in order when its keeper is gone. To be called before there are threads.
pub(crate) fn end_with_keeper() -> io::Result<()> {
    let Ok(keeper) = std::env::var(KEEPER) else {
        return Ok(());
    };
    // The keeper waits for signals, and a child is born with the same ones held back.
    SigSet::all().thread_unblock()?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // It may have ended before that was said.
    let parent = Pid::as_raw(getppid());
    if keeper.parse() == Ok(parent) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{KEEPER} says that process {keeper} keeps this daemon, but it was started by process {parent}"
    )))
}
