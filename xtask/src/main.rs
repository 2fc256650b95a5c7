//! Everything that a developer or an operator runs: `cargo xtask --help`.

mod run;
mod setup;
mod test;
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
    /// Run every check, or one part of them
    Test(test::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Setup(options) => setup::main(&options),
        Task::Up(options) => up::main(&options),
        Task::Test(options) => test::main(&options),
    }
}
