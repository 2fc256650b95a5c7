//! Processor time and memory of a process that we started.

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// User and system time of a running process, in seconds (proc(5), `stat`).
pub(super) fn cpu_of(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let after_name = stat.rsplit_once(')').context("no name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| -> Result<f64> { Ok(fields.get(field).context("too few fields")?.parse()?) };
    let a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("no clock")?;
    Ok((ticks(11)? + ticks(12)?) / a_second as f64)
}

/// The most memory that a running process has had, in MiB.
pub(super) fn memory_of(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// Runs a command to its end: its processor time in seconds, and the most memory that it was seen with, in MiB.
pub(super) fn run(command: &mut Command) -> Result<(f64, f64)> {
    let before = children()?;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let memory = watch(&mut child)?;
    let status = child.wait()?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok((children()? - before, memory))
}

/// Looks at its memory until it ends.
fn watch(child: &mut Child) -> Result<f64> {
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        most = most.max(memory_of(child.id()).unwrap_or(0.0));
        thread::sleep(Duration::from_millis(50));
    }
    Ok(most)
}

/// Of all children that were waited for, in seconds.
fn children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(micros as f64 / 1e6)
}
