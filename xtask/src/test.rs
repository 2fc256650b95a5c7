//! Every check of the project, in the order of what fails fastest.

use crate::bpf::manifest;
use crate::built;
use crate::run::{cargo, root, run, say};
use crate::setup::{Purpose, Retry, run_for};
use anyhow::{Context, Result, bail};
use std::time::Instant;

/// `cargo xtask test`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One part alone; `--only list` names them
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

struct Part {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const PARTS: &[Part] = &[
    Part {
        name: "fmt",
        about: "formatting",
        run: fmt,
    },
    Part {
        name: "deny",
        about: "licences and sources of dependencies",
        run: deny,
    },
    Part {
        name: "lint",
        about: "clippy, no warnings",
        run: lint,
    },
    Part {
        name: "bpf",
        about: "the kernel programs; what is built after them embeds them",
        run: crate::bpf::build,
    },
    Part {
        name: "unit",
        about: "tests of every crate",
        run: built::run_those_of_crates,
    },
    Part {
        name: "docs",
        about: "documentation builds without warnings",
        run: docs,
    },
    Part {
        name: "deploy",
        about: "systemd unit and sample configuration",
        run: || system("deploy"),
    },
    Part {
        name: "doctor",
        about: "what the doctor says of interfaces, and its commands",
        run: || system("doctor"),
    },
    Part {
        name: "keep",
        about: "daemons that are killed or replaced, and what the next one finds",
        run: || system("keep"),
    },
    Part {
        name: "protocol",
        about: "kurento-jsonrpc from npm, WHIP, junk, limits",
        run: || system("protocol"),
    },
    Part {
        name: "rtmp",
        about: "the mix at nginx-rtmp and ffmpeg",
        run: || system("rtmp"),
    },
    Part {
        name: "cohost",
        about: "a stream by RTMP in a room: in browsers, in the mix, and refused",
        run: || system("cohost"),
    },
    Part {
        name: "publishing",
        about: "targets that come and go, a dead mixer, a slate, webhooks",
        run: || system("publishing"),
    },
    Part {
        name: "recording",
        about: "files of a mix and a host, a full disk, a dead mixer, HLS",
        run: || system("recording"),
    },
    Part {
        name: "layout",
        about: "a layout that changes while it is watched, and outlives the mixer",
        run: || system("layout"),
    },
    Part {
        name: "inspect",
        about: "snapshots, their webhooks, and a host's RTP that ffmpeg receives",
        run: || system("inspect"),
    },
    Part {
        name: "vision",
        about: "filters, and boxes of a vision program that is killed and stopped",
        run: || system("vision"),
    },
    Part {
        name: "coding",
        about: "AV1 and Opus, watched by a newer FFmpeg",
        run: || system("coding"),
    },
    Part {
        name: "room",
        about: "four real browsers in one room, and Firefox without H.264",
        run: || system("room"),
    },
    Part {
        name: "handover",
        about: "a daemon killed in the middle of a talk, and started again",
        run: || system("handover"),
    },
    Part {
        name: "kernel",
        about: "four real browsers through the kernel plane",
        run: || system("kernel"),
    },
    Part {
        name: "mix",
        about: "hosts that come, go, freeze; a mixer killed; skew",
        run: || system("mix"),
    },
];

pub(crate) fn main(options: &Options) -> Result<()> {
    let chosen = chosen(options.only.as_deref())?;
    run_for(Purpose::Test, Retry::Never)?;
    let start = Instant::now();
    for (number, part) in (1..).zip(&chosen) {
        say(&format!(
            "[{number}/{}] {}: {}",
            chosen.len(),
            part.name,
            part.about
        ));
        let began = Instant::now();
        (part.run)()?;
        say(&format!(
            "[{number}/{}] {} passed in {:.0} s",
            chosen.len(),
            part.name,
            began.elapsed().as_secs_f32()
        ));
    }
    say(&format!(
        "all {} parts passed in {:.0} s",
        chosen.len(),
        start.elapsed().as_secs_f32()
    ));
    Ok(())
}

fn chosen(only: Option<&str>) -> Result<Vec<&'static Part>> {
    let Some(name) = only else {
        return Ok(PARTS.iter().collect());
    };
    let found: Vec<_> = PARTS.iter().filter(|part| part.name == name).collect();
    if found.is_empty() {
        let names: Vec<_> = PARTS
            .iter()
            .map(|part| format!("  {:10}{}", part.name, part.about))
            .collect();
        bail!("there is no part {name:?}; the parts are\n{}", names.join("\n"));
    }
    Ok(found)
}

/// The kernel programs are a workspace of their own.
fn fmt() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo()
        .args(["fmt", "--check", "--manifest-path"])
        .arg(manifest()))
}

/// Advisories need a database from the network, so only what works offline is a check.
fn deny() -> Result<()> {
    for workspace in [root().join("Cargo.toml"), manifest()] {
        run(cargo()
            .args(["deny", "--log-level", "error", "--manifest-path"])
            .arg(workspace)
            .args(["check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

fn lint() -> Result<()> {
    run(cargo().args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))
}

fn docs() -> Result<()> {
    run(cargo()
        .args(["doc", "--release", "--workspace", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

/// One file of `tests/`, one test at a time: each starts browsers and servers on two cores.
fn system(name: &str) -> Result<()> {
    let tests = built::tests()?;
    let test = tests
        .iter()
        .find(|test| test.is_of_the_system() && test.name == name);
    let test = test.with_context(|| format!("there is no tests/tests/{name}.rs"))?;
    run(test
        .command()
        .args(["--test-threads=1", "--nocapture"])
        .env("LIANMAI_REPORTS", root().join("target/reports").join(name)))
}
