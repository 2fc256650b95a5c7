//! The benchmarks: `cargo xtask bench fanout` and `cargo xtask bench mixer`, described in docs/benchmarks.md.
#![forbid(unsafe_code)]

mod clock;
mod host;
mod load;
mod matrix;
mod measure;
mod mixer;
mod options;
mod processor;
mod report;
mod run;
mod scenario;
mod system;
mod wire;

use clap::Parser;
use options::{Arguments, Task};

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Fanout(options) => run::fanout(&options.settled()),
        Task::Mixer(options) => mixer::run(&options),
        Task::Busy => measure::busy::run(),
    }
}
