//! `lianmai-bridge`: see the library.

use clap::Parser;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Brings one RTMP co-host into its room: FLV on standard input leaves as WebRTC, H.264 as it is, AAC as Opus. Started by the
/// daemon, one process a co-host; it needs no privileges.
#[derive(Debug, Parser)]
#[command(name = "lianmai-bridge", version, about, long_about)]
struct Options {
    /// The media port of the edge
    #[arg(long, value_name = "ADDR")]
    media: SocketAddr,

    /// What is logged to standard error: error, warn, info, debug, trace, or a filter like `info,str0m=debug`
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
        tracing::warn!("built without the feature `aac`: the co-host has no sound");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(lianmai_bridge::run(options.media)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the bridge ends");
            ExitCode::FAILURE
        }
    }
}
