//! Builds an edge and becomes it.

use crate::run::{cargo, command, root, run, say};
use crate::setup::{Purpose, run_for};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

/// `cargo xtask up`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Flags of the daemon
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<OsString>,
}

pub(crate) fn main(options: &Options) -> Result<()> {
    run_for(Purpose::Up)?;
    say("building the edge and its mixer (the first time takes some minutes)");
    build()?;
    let edge = root().join("target/release/lianmai-edge");
    // The daemon takes this process's place, so that signals reach it as they are.
    let error = command(&edge.to_string_lossy()).args(&options.flags).exec();
    Err(error).with_context(|| format!("cannot start {}", edge.display()))
}

/// Builds what an operator runs.
pub(crate) fn build() -> Result<()> {
    run(cargo().args([
        "build",
        "--release",
        "--package",
        "lianmai-edge",
        "--package",
        "lianmai-mixer",
    ]))
}
