//! `lianmai-mixer`: see the library.

use clap::Parser;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Mixes one room: decodes all hosts, puts them on one timebase, composites one picture and one sound, and publishes
/// them by RTMP. Started by the daemon, one process a room; it needs no privileges.
#[derive(Debug, Parser)]
#[command(name = "lianmai-mixer", version, about, long_about)]
struct Options {
    /// Where the daemon listens for this mixer: the directory of `control.sock` and `media.sock`.
    #[arg(long, value_name = "DIR")]
    socket_dir: PathBuf,

    /// What is logged to standard error: error, warn, info, debug, trace, or a filter like `info,lianmai_rtmp=debug`.
    #[arg(long, value_name = "FILTER", env = "LIANMAI_LOG", default_value = "info")]
    log: EnvFilter,
}

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(options.log)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    if cfg!(not(feature = "aac")) {
        tracing::warn!("built without the feature `aac`: a mix that is to have it has no sound");
    }
    match lianmai_mixer::engine::run(&options.socket_dir) {
        Ok(()) => {
            tracing::info!("the mix is over");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "the mixer ends");
            ExitCode::FAILURE
        }
    }
}
