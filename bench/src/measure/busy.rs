//! Processes that compute beside the server.

use crate::processor;
use anyhow::{Context, Result};
use lianmai_tests::process::Running;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Until the scheduler has spread them.
const SPREADING: Duration = Duration::from_millis(300);

/// They end with this.
pub(crate) struct Busy {
    _processes: Vec<Running>,
}

impl Busy {
    /// Starts so many, of ordinary priority, on all processors.
    pub(crate) fn start(count: usize, processors: usize) -> Result<Self> {
        let program = std::env::current_exe()?;
        let everywhere = format!("0-{}", processors.saturating_sub(1));
        let start = |_| {
            let mut command = Command::new("taskset");
            command
                .args(["--cpu-list", &everywhere])
                .arg(&program)
                .arg("busy");
            Running::start(&mut command, Path::new("/dev/null"))
        };
        let processes = (0..count)
            .map(start)
            .collect::<Result<_>>()
            .context("starting busy processes")?;
        std::thread::sleep(SPREADING);
        Ok(Self {
            _processes: processes,
        })
    }
}

/// What each of them does.
pub(crate) fn run() -> ! {
    let mut value = processor::count() as u64 | 1;
    loop {
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
