//! Everything that a developer or an operator runs: `cargo xtask --help`.

mod bench;
mod bpf;
mod built;
mod doctor;
mod run;
mod setup;
mod test;
mod toolchain;
mod up;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Lianmai: set up, run and test an edge"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing to build, run and test
    Setup(setup::Options),
    /// Build and start an edge; further flags go to the daemon (`cargo xtask up --help` shows them)
    #[command(disable_help_flag = true)]
    Up(up::Options),
    /// Say whether the kernel plane can run on an interface, and what to change
    #[command(disable_help_flag = true)]
    Doctor(doctor::Options),
    /// Build the kernel programs alone
    Bpf,
    /// Run every check, or one part of them
    Test(test::Options),
    /// Measure latency, throughput and cost beside other servers
    Bench(bench::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Setup(options) => setup::main(&options),
        Task::Up(options) => up::main(&options),
        Task::Doctor(options) => doctor::main(&options),
        Task::Bpf => bpf::build(),
        Task::Test(options) => test::main(&options),
        Task::Bench(options) => bench::main(&options),
    }
}
