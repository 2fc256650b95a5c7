//! Measures the fan-out beside other servers, and the mixer beside other mixers: docs/benchmarks.md.

use crate::run::{command, root, run, say};
use crate::setup::{Purpose, Retry, packages, run_for};
use crate::up::build_packages;
use anyhow::{Result, bail};
use nix::unistd::Uid;
use std::ffi::OsString;

/// `cargo xtask bench`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to measure, `fanout` or `mixer`, and its flags; `fanout --help` shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

/// Debian packages beside those of an edge, and what each is for.
const PACKAGES: &[(&str, &str)] = &[
    (
        "janus",
        "a real server to compare with; Debian starts it as a service, the benchmark starts its own",
    ),
    ("iproute2", "network namespaces"),
    ("ethtool", "GRO on veth devices"),
    ("util-linux", "processors and priorities of processes"),
    ("fonts-dejavu-core", "the letters of the plots"),
    ("ffmpeg", "a mixer to compare with, and what looks at mixes"),
    ("gstreamer1.0-tools", "another one, and what it is made of"),
    ("gstreamer1.0-plugins-base", "its compositor and sound"),
    ("gstreamer1.0-plugins-good", "its Matroska and FLV"),
    ("gstreamer1.0-plugins-bad", "its parsers of H.264 and AAC"),
    ("gstreamer1.0-plugins-ugly", "its x264"),
    ("gstreamer1.0-libav", "its decoder of H.264 and encoder of AAC"),
];

pub(crate) fn main(options: &Options) -> Result<()> {
    let is_help = options
        .arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h");
    if is_help {
        build_packages(&["lianmai-bench"])?;
    } else {
        run_for(Purpose::Up, Retry::Never)?;
        packages(PACKAGES.iter().copied())?;
        say("building the edge and the benchmark");
        build_packages(&["lianmai-edge", "lianmai-mixer", "lianmai-bench"])?;
    }
    let bench = root().join("target/release/lianmai-bench");
    if !Uid::effective().is_root() && !is_help {
        let words: Vec<_> = options
            .arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        bail!(
            "network namespaces, real-time priority and XDP need root; all is built, now run this in {}:\n  sudo {} {}",
            root().display(),
            bench.display(),
            words.join(" ")
        );
    }
    run(command(&bench.to_string_lossy()).args(&options.arguments))
}
