//! The edge daemon: `lianmai-edge --help`.
#![forbid(unsafe_code)]

mod child;
mod cohosts;
mod command;
mod config;
mod doctor;
mod edge;
mod handle;
mod handover;
mod http;
mod keep;
mod live;
mod mixers;
mod plane;
mod signals;
mod snapshots;
mod start;
mod view;
mod webhooks;

use config::Config;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    if let Some(status) = doctor::asked().or_else(keep::asked) {
        return status;
    }
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => return failed(&error),
    };
    if let Err(error) = log(&config.log) {
        return failed(&error);
    }
    if let Some(doubt) = config.doubt() {
        tracing::warn!("{doubt}");
    }
    if config.check {
        println!("the configuration is good");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = keep::end_with_keeper() {
        return failed(&error);
    }
    keep_privileges_to_ourselves();
    let (store, inherited) = handover::Store::from_env();
    match start::run(config, store, inherited) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&format_args!("{error:#}")),
    }
}

/// What the service gives the daemon for the kernel plane, mixers must not inherit: they decode what strangers send. To be
/// called before there are threads, which each have a set of their own.
fn keep_privileges_to_ourselves() {
    if let Err(error) = rustix::thread::clear_ambient_capability_set() {
        tracing::debug!(%error, "this kernel has no ambient capabilities");
    }
}

fn log(filter: &str) -> Result<(), config::ConfigError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| config::ConfigError::Invalid {
            key: "log",
            why: format!("{filter:?}: {error}"),
        })?;
    let stderr = std::io::stderr;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    Ok(())
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("lianmai-edge: {error}");
    ExitCode::FAILURE
}
