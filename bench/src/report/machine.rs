//! What was measured on, and how.

use crate::options::Options;
use crate::processor;
use anyhow::Result;
use nix::sys::utsname::uname;
use std::process::Command;

/// The machine, and what was measured on it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Hardware {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) virtual_machine: bool,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Of the minute before the run.
    pub(crate) load_average: String,
    /// The commit of the checkout, with a `+` if it was changed.
    pub(crate) revision: Option<String>,
}

impl Hardware {
    pub(crate) fn describe() -> Result<Self> {
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        Ok(Self {
            processor: value(&cpu, "model name").unwrap_or("unknown").to_owned(),
            processors: processor::count(),
            virtual_machine: value(&cpu, "flags").is_some_and(|flags| flags.contains("hypervisor")),
            memory_mib: value(&memory, "MemTotal")
                .and_then(|total| total.split(' ').next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib / 1024),
            kernel: uname()?.release().to_string_lossy().into_owned(),
            load_average: read("/proc/loadavg").split(' ').next().unwrap_or("").to_owned(),
            revision: revision(),
        })
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        let kind = if self.virtual_machine { " (virtual)" } else { "" };
        format!(
            "{}{kind}, {} processors, {} MiB, Linux {}, load average {}, lianmai at {}",
            self.processor,
            self.processors,
            self.memory_mib,
            self.kernel,
            self.load_average,
            self.revision.as_deref().unwrap_or("an unknown revision"),
        )
    }
}

/// The machine and the settings of a run of the fan-out.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Machine {
    #[serde(flatten)]
    pub(crate) hardware: Hardware,
    pub(crate) janus: Option<String>,
    pub(crate) pace: f64,
    pub(crate) seconds: f64,
    pub(crate) least_packets: usize,
    pub(crate) warm_up: f64,
    pub(crate) cost_rate: f64,
    pub(crate) busy_processes: usize,
    pub(crate) server_cpu: usize,
    pub(crate) hosts_cpu: usize,
    pub(crate) wire: String,
    pub(crate) repeats: usize,
}

impl Machine {
    pub(crate) fn describe(options: &Options) -> Result<Self> {
        Ok(Self {
            hardware: Hardware::describe()?,
            janus: said("dpkg-query", &["--show", "--showformat=${Version}", "janus"]),
            pace: options.pace,
            seconds: options.seconds,
            least_packets: options.least_packets,
            warm_up: options.warm_up,
            cost_rate: options.cost_rate,
            busy_processes: options.busy,
            server_cpu: options.server_cpu,
            hosts_cpu: options.hosts_cpu,
            wire: format!("{:?}", options.wire).to_lowercase(),
            repeats: options.repeats,
        })
    }

    /// Some lines for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        vec![
            self.hardware.line(),
            format!("janus {}", self.janus.as_deref().unwrap_or("not installed")),
            format!(
                "latency at {} packets/s for at least {} s and {} leg-packets after {} s; load is {} computing processes; cost at {} leg-packets/s; \
                 server on processor {}, co-hosts on {}; wire {}; {} turns",
                self.pace,
                self.seconds,
                self.least_packets,
                self.warm_up,
                self.busy_processes,
                self.cost_rate,
                self.server_cpu,
                self.hosts_cpu,
                self.wire,
                self.repeats
            ),
        ]
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn revision() -> Option<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let commit = said("git", &["-C", root, "rev-parse", "--short", "HEAD"])?;
    let changed = said("git", &["-C", root, "status", "--porcelain"]).is_some();
    Some(commit + if changed { "+" } else { "" })
}

/// What a program printed; `None` if nothing.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
