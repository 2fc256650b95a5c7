//! Builds an edge and becomes its keeper.

use crate::bpf;
use crate::run::{cargo, command, root, run, say};
use crate::setup::{Purpose, Retry, run_for};
use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;

/// `cargo xtask up`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Flags of the daemon
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<OsString>,
}

pub(crate) fn main(options: &Options) -> Result<()> {
    run_for(Purpose::Up, Retry::Never)?;
    say("building the edge and its mixer (the first time takes some minutes)");
    build()?;
    become_edge(&kept(&options.flags))
}

/// With a parent that starts the daemon again when it crashes, unless what is asked for is not an edge that serves.
fn kept(flags: &[OsString]) -> Vec<OsString> {
    let asks = ["doctor", "keep", "--check", "--help", "-h", "--version", "-V"];
    let is_asked = flags.iter().any(|flag| asks.iter().any(|ask| flag == ask));
    let keep = (!is_asked).then(|| OsString::from("keep"));
    keep.into_iter().chain(flags.iter().cloned()).collect()
}

/// The daemon takes this process's place, so that signals reach it as they are.
pub(crate) fn become_edge<S: AsRef<OsStr>>(flags: &[S]) -> Result<()> {
    let edge = root().join("target/release/lianmai-edge");
    let error = command(&edge.to_string_lossy()).args(flags).exec();
    Err(error).with_context(|| format!("cannot start {}", edge.display()))
}

/// Builds what an operator runs.
pub(crate) fn build() -> Result<()> {
    build_packages(&["lianmai-edge", "lianmai-mixer", "lianmai-bridge"])
}

/// Builds some of it. The kernel programs come first, because the daemon embeds them.
pub(crate) fn build_packages(packages: &[&str]) -> Result<()> {
    bpf::build_or_do_without()?;
    let mut cargo = cargo();
    cargo.args(["build", "--release"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    run(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::kept;
    use std::ffi::OsString;

    fn flags(flags: &[&str]) -> Vec<OsString> {
        flags.iter().map(OsString::from).collect()
    }

    #[test]
    fn an_edge_that_serves_is_kept() {
        assert_eq!(kept(&flags(&[])), flags(&["keep"]));
        let given = ["--open", "--http", "0.0.0.0:8443"];
        assert_eq!(
            kept(&flags(&given)),
            flags(&["keep", "--open", "--http", "0.0.0.0:8443"])
        );
    }

    #[test]
    fn one_that_only_says_something_is_not() {
        for ask in ["--help", "--check", "--version", "keep", "doctor"] {
            assert_eq!(kept(&flags(&[ask])), flags(&[ask]));
        }
    }
}
