//! What processors and the server's process did between two moments.
//!
//! A processor's time is what it was not idle, which the kernel counts to the microsecond and shows in ticks of 10 ms.
//! That holds all that the server's packets cost on its processor: the process, system calls, interrupts and XDP. User
//! and system time of the process alone are shown beside it. Softirq time is not taken from `/proc/stat` alone: without
//! `CONFIG_IRQ_TIME_ACCOUNTING` it is sampled, and what interrupts a process counts as the process's.

use crate::clock;
use crate::processor::Processors;
use anyhow::{Context, Result};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Reads them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    processors: Processors,
    /// `None` where all is done in the kernel.
    server: Option<Pid>,
    tick: u64,
}

/// At one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at: u64,
    server_idle: u64,
    server_softirq: u64,
    hosts_idle: u64,
    process: u64,
}

/// Between two; nanoseconds.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Usage {
    pub(crate) elapsed: u64,
    /// The server's processor, whatever it did.
    pub(crate) server_busy: u64,
    /// Softirqs on it, as sampled by the tick.
    pub(crate) server_softirq: u64,
    /// User and system time of the server's process.
    pub(crate) process: u64,
    /// The hosts' processor.
    pub(crate) hosts_busy: u64,
}

impl Meter {
    pub(crate) fn new(processors: Processors, server: Option<Pid>) -> Result<Self> {
        let ticks = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
        Ok(Self {
            processors,
            server,
            tick: 1_000_000_000 / u64::try_from(ticks)?,
        })
    }

    pub(crate) fn read(&self) -> Result<Reading> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let process = self.server.map(|pid| self.process(pid)).transpose()?.unwrap_or(0);
        let field = |processor, place| field(&stat, processor, place).map(|ticks| ticks * self.tick);
        // proc_stat(5): user, nice, system, idle, iowait, irq, softirq.
        Ok(Reading {
            at: clock::now(),
            server_idle: field(self.processors.server, 4)? + field(self.processors.server, 5)?,
            server_softirq: field(self.processors.server, 7)?,
            hosts_idle: field(self.processors.hosts, 4)? + field(self.processors.hosts, 5)?,
            process,
        })
    }

    fn process(&self, pid: Pid) -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
        // proc_pid_stat(5): the name in brackets may hold anything; utime and stime are the 14th and 15th field.
        let (_, rest) = stat.rsplit_once(')').context("a process without a name")?;
        let times = rest
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok());
        Ok(times.sum::<u64>() * self.tick)
    }
}

impl Reading {
    /// What happened since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let elapsed = self.at.saturating_sub(earlier.at);
        let busy = |now: u64, then: u64| elapsed.saturating_sub(now.saturating_sub(then));
        Usage {
            elapsed,
            server_busy: busy(self.server_idle, earlier.server_idle),
            server_softirq: self.server_softirq.saturating_sub(earlier.server_softirq),
            process: self.process.saturating_sub(earlier.process),
            hosts_busy: busy(self.hosts_idle, earlier.hosts_idle),
        }
    }
}

impl Usage {
    /// Of the hosts' processor, how much was left: with nothing left it was not the server that was measured.
    pub(crate) fn hosts_spare(&self) -> f64 {
        1.0 - self.hosts_busy as f64 / self.elapsed.max(1) as f64
    }
}

fn field(stat: &str, processor: usize, place: usize) -> Result<u64> {
    let name = format!("cpu{processor}");
    stat.lines()
        .map(|line| line.split_ascii_whitespace())
        .find_map(|mut words| (words.next()? == name).then(|| words.nth(place - 1)))
        .flatten()
        .and_then(|ticks| ticks.parse().ok())
        .with_context(|| format!("/proc/stat tells nothing of {name}"))
}

#[cfg(test)]
mod tests {
    use super::field;

    const STAT: &str = "cpu  9 9 9 9\ncpu0 1 2 3 40 5 6 7 0 0 0\ncpu1 10 20 30 400 50 60 70 0 0 0\nintr 5\n";

    #[test]
    fn fields_are_those_of_the_manual() {
        let read = |processor, place| field(STAT, processor, place).expect("there");
        assert_eq!((read(0, 4), read(0, 7), read(1, 4), read(1, 7)), (40, 7, 400, 70));
    }

    #[test]
    fn a_processor_that_is_not_there_is_an_error_that_names_it() {
        assert!(
            field(STAT, 2, 4)
                .expect_err("no cpu2")
                .to_string()
                .contains("cpu2")
        );
    }
}
