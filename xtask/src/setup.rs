//! Installs what is missing: Debian packages, npm packages of the tests, cargo tools.

mod kernel;

pub(crate) use kernel::Retry;

use crate::run::{cargo, command, root, run, say, succeeds};
use anyhow::{Result, bail};
use clap::ValueEnum;
use nix::unistd::Uid;

/// `cargo xtask setup`
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What the machine is for
    #[arg(long = "for", value_enum, default_value_t = Purpose::Test)]
    purpose: Purpose,
}

/// What a machine is set up for; each includes the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Purpose {
    /// Building and running an edge
    Up,
    /// Running all checks as well
    Test,
}

/// Debian packages, what each is for, and from which purpose on.
const PACKAGES: &[(&str, &str, Purpose)] = &[
    ("g++", "C and C++ parts of the codecs", Purpose::Up),
    ("make", "libopus", Purpose::Up),
    ("cmake", "libopus", Purpose::Up),
    (
        "nasm",
        "OpenH264's assembly, without which it is three times slower",
        Purpose::Up,
    ),
    ("libvpx-dev", "VP8 of the hosts", Purpose::Up),
    ("pkg-config", "finding libvpx", Purpose::Up),
    (
        "fonts-wqy-microhei",
        "names and texts in the mix, Latin and Chinese, Japanese, Korean",
        Purpose::Up,
    ),
    ("chromium", "the real browser of the tests", Purpose::Test),
    ("chromium-driver", "driving that browser", Purpose::Test),
    (
        "firefox-esr",
        "a second real browser, without H.264",
        Purpose::Test,
    ),
    (
        "ffmpeg",
        "an independent reader and writer of RTMP, FLV, H.264 and AAC",
        Purpose::Test,
    ),
    ("nginx", "a real RTMP server", Purpose::Test),
    ("libnginx-mod-rtmp", "a real RTMP server", Purpose::Test),
    (
        "libnginx-mod-stream",
        "a real TLS server in front of it",
        Purpose::Test,
    ),
    (
        "python3-venv",
        "a place for `av`, a newer FFmpeg, and for OpenCV",
        Purpose::Test,
    ),
    ("iproute2", "network namespaces of the tests", Purpose::Test),
    (
        "ethtool",
        "offloads and queues of the interfaces of the tests",
        Purpose::Test,
    ),
    ("systemd", "checking the unit in deploy/", Purpose::Test),
];

/// The Python packages that the tests were seen to pass with: a newer FFmpeg, and OpenCV with its Haar cascades, which a later one
/// has not.
const PYTHON: &[&str] = &["av==18.1.0", "opencv-python-headless==4.14.0.94"];

/// For a picture of a face in it, in the public domain; nothing of it is run.
const FACE: &str = "scikit-image==0.26.0";

/// Fails unless all of them are there.
const HAS_ALL: &str =
    "import av, cv2, importlib.util as u; cv2.CascadeClassifier; assert u.find_spec('skimage')";

pub(crate) fn run_for(purpose: Purpose, retry: Retry) -> Result<()> {
    debian(purpose)?;
    kernel::toolchain(retry)?;
    if purpose >= Purpose::Test {
        linters()?;
        node()?;
        npm()?;
        python()?;
        cargo_deny()?;
    }
    Ok(())
}

pub(crate) fn main(options: &Options) -> Result<()> {
    run_for(options.purpose, Retry::Always)?;
    say("setup is done");
    Ok(())
}

fn debian(purpose: Purpose) -> Result<()> {
    let wanted = PACKAGES.iter().filter(|(_, _, from)| *from <= purpose);
    packages(wanted.map(|(name, why, _)| (*name, *why)))
}

/// Installs those of some Debian packages that are missing; each with what it is for.
pub(crate) fn packages(wanted: impl Iterator<Item = (&'static str, &'static str)>) -> Result<()> {
    if !is_debian() {
        let names: Vec<_> = wanted.map(|(name, why)| format!("  {name}: {why}")).collect();
        say(&format!(
            "this is not Debian; make sure that these are installed under their names here:\n{}",
            names.join("\n")
        ));
        return Ok(());
    }
    let missing: Vec<_> = wanted.filter(|(name, _)| !installed(name)).collect();
    for (name, why) in &missing {
        say(&format!("missing: {name} ({why})"));
    }
    install(&missing.iter().map(|(name, _)| *name).collect::<Vec<_>>())
}

/// Whether there are Debian packages at all.
fn is_debian() -> bool {
    succeeds(command("dpkg-query").arg("--version"))
}

fn installed(package: &str) -> bool {
    let output = command("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output();
    output.is_ok_and(|output| output.stdout == b"installed")
}

fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        bail!(
            "run this once as root, then try again:\n  apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    say(&format!("installing {} Debian packages", packages.len()));
    let apt = || {
        let mut apt = command("apt-get");
        apt.args(["--quiet", "--yes"])
            .env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    run(apt().arg("update"))?;
    run(apt()
        .args(["install", "--no-install-recommends", "--no-remove"])
        .args(packages))
}

/// rustfmt and clippy come with a rustup toolchain; Debian's `cargo-web` has them in packages of their own.
fn linters() -> Result<()> {
    if ["fmt", "clippy"]
        .iter()
        .all(|tool| succeeds(cargo().args([tool, "--version"])))
    {
        return Ok(());
    }
    if succeeds(command("rustup").arg("--version")) {
        say("installing rustfmt and clippy");
        return run(command("rustup").args(["component", "add", "rustfmt", "clippy"]));
    }
    install(&["rustfmt-web", "rust-web-clippy"])
}

/// Any Node.js with npm serves; Debian's is taken where there is none.
fn node() -> Result<()> {
    if succeeds(command("npm").arg("--version")) {
        Ok(())
    } else {
        install(&["nodejs", "npm"])
    }
}

/// The clients of other people that the tests talk to, at the versions of the lock file.
fn npm() -> Result<()> {
    let web = root().join("tests/web");
    if succeeds(command("npm").args(["ls", "--all"]).current_dir(&web)) {
        return Ok(());
    }
    say("installing the npm packages of tests/web");
    run(command("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .current_dir(&web))
}

/// A Python with PyAV, which brings a newer FFmpeg than Debian's: an independent reader of Enhanced RTMP. And with OpenCV, for the
/// sample of a vision program.
fn python() -> Result<()> {
    let venv = root().join("target/python");
    let python = venv.join("bin/python").display().to_string();
    if succeeds(command(&python).args(["-c", HAS_ALL])) {
        return Ok(());
    }
    say("installing PyAV and OpenCV into target/python");
    run(command("python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = || {
        let mut pip = command(&python);
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip
    };
    run(pip().args(PYTHON))?;
    run(pip().args(["--no-deps", FACE]))
}

fn cargo_deny() -> Result<()> {
    if succeeds(cargo().args(["deny", "--version"])) {
        return Ok(());
    }
    say("installing cargo-deny (some minutes)");
    run(cargo().args(["install", "--locked", "--quiet", "cargo-deny"]))
}
