//! Which processor does what, and how fast it is at the moment.

use anyhow::{Context, Result, ensure};
use lianmai_tests::process::output;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};
use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Of the threads that send and receive: above everything but the kernel, so that what is measured is the server.
const HOSTS_PRIORITY: &str = "10";
/// Of the sending thread, which shares the processor with the receiving one.
const SENDER_PRIORITY: &str = "20";
/// How often the calibration loop turns; some milliseconds.
const CALIBRATION_TURNS: u64 = 4_000_000;

/// One for the server, one for the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Processors {
    pub(crate) server: usize,
    pub(crate) hosts: usize,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Starts, asks and waits.
    Control,
    Sender,
    Receiver,
}

impl Processors {
    /// Checks that both are there.
    pub(crate) fn checked(self) -> Result<Self> {
        let count = count();
        ensure!(
            self.server < count && self.hosts < count && self.server != self.hosts,
            "the server and the hosts need a processor each: there are {count}, and --server-cpu is {}, --hosts-cpu {}",
            self.server,
            self.hosts
        );
        Ok(self)
    }

    /// Brings the calling thread to the hosts' processor.
    pub(crate) fn take(self, role: Role) -> Result<()> {
        pin(self.hosts)?;
        let priority = match role {
            Role::Control => return Ok(()),
            Role::Sender => SENDER_PRIORITY,
            Role::Receiver => HOSTS_PRIORITY,
        };
        output(Command::new("chrt").args(["--fifo", "--pid", priority, &gettid().to_string()]))
            .context("real-time priority needs root")
            .map(drop)
    }

    /// Brings the calling thread to the server's processor.
    pub(crate) fn take_servers(self) -> Result<()> {
        pin(self.server)
    }

    /// A command that runs on the server's processor alone.
    pub(crate) fn server_command(self, program: &str) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &self.server.to_string(), program]);
        command
    }

    /// How many nanoseconds a turn of a fixed loop takes on the server's processor now.
    pub(crate) fn calibrate(self) -> Result<f64> {
        let run = move || {
            pin(self.server)?;
            // The least of some: what is asked is how fast the processor is, not how busy.
            Ok((0..3).map(|_| calibration_loop()).fold(f64::INFINITY, f64::min))
        };
        thread::spawn(run).join().expect("a loop does not panic")
    }
}

/// How many processors there are.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn pin(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set)
        .with_context(|| format!("processor {processor} cannot be taken"))
}

fn calibration_loop() -> f64 {
    let started = Instant::now();
    let mut value = black_box(0x9e37_79b9_7f4a_7c15u64);
    for _ in 0..CALIBRATION_TURNS {
        // xorshift: each turn waits for the one before.
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
    }
    black_box(value);
    nanos(started.elapsed()) / CALIBRATION_TURNS as f64
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}
