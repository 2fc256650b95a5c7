//! `lianmai-edge keep`: a parent of the daemon that outlives its crashes and keeps its descriptors meanwhile, where there is
//! no systemd to do that.
//!
//! It speaks systemd's protocol, has one thread and no configuration, and never looks into what it keeps.

mod bond;
mod exit;
mod held;
mod keeper;
mod notice;
mod passing;
mod policy;
mod post;

pub(crate) use bond::{KEEPER, end_with_keeper};

use clap::Parser;
use keeper::Keeper;
use std::ffi::OsString;
use std::process::ExitCode;

/// Start the edge daemon, and start it again when it crashes, from what it left
///
/// All flags are the daemon's: see lianmai-edge --help. While no daemon runs, its UDP socket stays open and collects what
/// arrives. A daemon that ends in order, or never came up, is not started again. SIGTERM, SIGINT and SIGHUP are passed on,
/// a second SIGTERM or SIGINT kills; SIGUSR2 has the daemon replaced by what is installed under its name by then.
///
/// Under systemd start the daemon itself: systemd keeps descriptors as well.
#[derive(Debug, Parser)]
#[command(name = "lianmai-edge keep", version)]
struct Options {
    /// Flags of the daemon
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<OsString>,
}

/// Takes the program over if its first argument asks for that.
pub(crate) fn asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    match arguments.next()?.to_str()? {
        "keep" => Some(keep(
            program.clone(),
            Options::parse_from(std::iter::once(program).chain(arguments)).flags,
        )),
        passing::RECEIVE => Some(passing::receive(&program, arguments)),
        _ => None,
    }
}

/// The daemon is started by the name that this program was started by: what is installed there by then counts.
fn keep(program: OsString, flags: Vec<OsString>) -> ExitCode {
    close_what_is_not_ours();
    let filter = log_filter(&flags, std::env::var("LIANMAI_LOG").ok());
    if let Err(error) = crate::log(&filter) {
        return crate::failed(&error);
    }
    match Keeper::new(program, flags).and_then(Keeper::run) {
        Ok(exit) => exit.into(),
        Err(error) => crate::failed(&format_args!("keep: {error}")),
    }
}

/// What whoever started this process left open: the daemon's descriptors begin where it would be.
fn close_what_is_not_ours() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers: Vec<i32> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // Nothing of this program is open yet but the standard streams.
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The directory that was read is among them, and closed already.
        let _ = nix::unistd::close(number);
    }
}

/// What the daemon will log, as far as that can be known without reading its configuration file: keys are in there.
fn log_filter(flags: &[OsString], variable: Option<String>) -> String {
    let after = flags.iter().skip(1).map(Some).chain([None]);
    let said = flags
        .iter()
        .zip(after)
        .filter_map(|(flag, after)| match flag.to_str()? {
            "--log" => after.and_then(|filter| filter.to_str()),
            flag => flag.strip_prefix("--log="),
        });
    let said = said.last().map(str::to_owned);
    said.or(variable)
        .unwrap_or_else(|| crate::config::DEFAULT_LOG.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Options, log_filter};
    use clap::Parser;
    use std::ffi::OsString;

    fn filter(flags: &[&str], variable: Option<&str>) -> String {
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        log_filter(&flags, variable.map(str::to_owned))
    }

    #[test]
    fn logs_are_filtered_by_what_the_daemon_was_told() {
        assert_eq!(filter(&[], None), "info,dtls=error");
        assert_eq!(filter(&["--open"], Some("warn")), "warn");
        assert_eq!(filter(&["--log", "debug", "--open"], Some("warn")), "debug");
        assert_eq!(filter(&["--log=debug", "--log=trace"], None), "trace");
        assert_eq!(filter(&["--log"], None), "info,dtls=error");
    }

    #[test]
    fn flags_are_the_daemons_as_they_are() {
        let flags = ["--http", "127.0.0.1:0", "--log=info", "--check", "--unheard-of"];
        let options = Options::parse_from(["lianmai-edge"].iter().chain(&flags));
        assert_eq!(options.flags, flags);
    }
}
