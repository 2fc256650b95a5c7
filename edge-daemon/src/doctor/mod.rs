//! `lianmai-edge doctor`: whether the kernel plane can run on this machine and interface, and what to change.

mod cgroup;
mod ethtool;
mod host;
mod interface;
mod link;
mod memory;
mod netlink;
mod programs;
mod report;
mod route;

use clap::Parser;
use link::Link;
use report::{Check, Verdict};
use std::ffi::OsString;
use std::process::ExitCode;

/// Say whether the kernel plane can run on an interface, and what to change for it
///
/// One line for each thing looked at: ok, warn or fail, what was found, and the command that changes it. Nothing is
/// changed by looking, unless --attach is given. The exit status is 1 if the kernel plane cannot run.
#[derive(Debug, Parser)]
#[command(name = "lianmai-edge doctor", version)]
struct Options {
    /// The interface of media traffic (default: that of the default route)
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,

    /// Attach the programs for a moment to be sure: with some drivers the interface is deaf while they come and go
    #[arg(long)]
    attach: bool,
}

/// Takes the program over if its first argument asks for that.
pub(crate) fn asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let program = arguments.next()?;
    if arguments.next()? != "doctor" {
        return None;
    }
    Some(run(&Options::parse_from(
        std::iter::once::<OsString>(program).chain(arguments),
    )))
}

fn run(options: &Options) -> ExitCode {
    let mut checks = host::checks();
    checks.extend(programs::checks());
    checks.extend(on_interface(options));
    checks.extend(memory::checks());
    for check in &checks {
        println!("{check}");
    }
    let failed = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Fail)
        .count();
    if failed == 0 {
        println!("The kernel plane can run here.");
        return ExitCode::SUCCESS;
    }
    println!("The kernel plane cannot run here as it is: {failed} to change. The userspace plane can.");
    ExitCode::FAILURE
}

fn on_interface(options: &Options) -> Vec<Check> {
    let Some(name) = options.interface.clone().or_else(route::default_interface) else {
        return vec![
            Check::fail("link", "there is no default route").by("lianmai-edge doctor --interface NAME"),
        ];
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut checks = match Link::find(&name) {
        Ok(link) => interface::checks(&link, cpus),
        Err(error) => return vec![Check::fail("link", format!("{name}: {error}")).by("ip -brief link")],
    };
    if options.attach {
        checks.push(programs::attached(name));
    }
    checks
}
