//! A daemon that is killed, and the one that its parent, `lianmai-edge keep`, starts after it.

use crate::edge::Edge;
use crate::http::get;
use crate::wait::until;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// A kept edge without a daemon: its parent is stopped and starts none.
#[derive(Debug)]
pub struct Outage<'a> {
    edge: &'a Edge,
    began: Instant,
}

impl<'a> Outage<'a> {
    /// Kills the daemon of a kept edge, and keeps its parent from starting another one.
    pub fn begin(edge: &'a Edge) -> Result<Self> {
        let daemon = daemon(edge)?;
        edge.process.signal(Signal::SIGSTOP)?;
        kill(daemon, Signal::SIGKILL)?;
        let began = Instant::now();
        Ok(Self { edge, began })
    }

    /// For how long there has been no daemon.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets the parent go on and waits until another daemon serves; returns how long there was none.
    pub fn end(self, patience: Duration) -> Result<Duration> {
        self.edge.process.signal(Signal::SIGCONT)?;
        let health = format!("{}/healthz", self.edge.url);
        until(patience, "another daemon", || Ok(get(&health).ok())).with_context(|| self.edge.log())?;
        Ok(self.lasts())
    }
}

/// An edge that the test has no use for any more can only end when its parent runs.
impl Drop for Outage<'_> {
    fn drop(&mut self) {
        let _ = self.edge.process.signal(Signal::SIGCONT);
    }
}

/// The daemon of a kept edge.
pub fn daemon(edge: &Edge) -> Result<Pid> {
    let keeper = edge.process.pid();
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"))?;
    let daemon = children.split_whitespace().next().with_context(|| edge.log())?;
    Ok(Pid::from_raw(daemon.parse()?))
}
