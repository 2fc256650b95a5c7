//! What builds the kernel programs: a compiler that has the source of `core`, and a linker that writes BPF objects.

mod linker;

pub(crate) use linker::{LINKER, install as install_linker, llvm};

use crate::run::cargo;
use anyhow::{Context, Result, anyhow, ensure};
use linker::LLVM_OF_LINKER;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// Where Debian's packages put their compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Callbacks of bpf_loop need BTF of functions; compare-and-swap needs the third instruction set. Instructions are in an order that
/// needs few of the ten registers: the default is for processors that have more, and costs a tenth of a packet's time.
const FLAGS: [&str; 4] = [
    "-C link-arg=--btf",
    "-C debuginfo=2",
    "-C target-cpu=v3",
    "-C link-arg=--llvm-args=-pre-RA-sched=list-burr",
];

/// Everything that it takes.
pub(crate) struct Toolchain {
    compiler: Compiler,
    linker: PathBuf,
}

/// A compiler with the library source that `-Z build-std` needs.
pub(crate) struct Compiler {
    rustc: PathBuf,
    cargo: PathBuf,
    sysroot: PathBuf,
    version: Version,
}

/// What `rustc -vV` says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// 96 of 1.96.0
    minor: u32,
    /// 22 of 22.1.8
    llvm: u32,
}

impl Toolchain {
    /// What this machine has; the error is what it lacks.
    pub(crate) fn find() -> Result<Self> {
        let compiler = Compiler::find()?;
        let linker = linker::find(&compiler)?;
        Ok(Self { compiler, linker })
    }

    /// A cargo that builds for the kernel, in an environment that nothing of the cargo around us reaches.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.compiler.cargo);
        for (name, _) in std::env::vars_os().filter(|(name, _)| !inherited(name)) {
            command.env_remove(name);
        }
        command
            .env("RUSTC", &self.compiler.rustc)
            // `-Z build-std` and the intrinsics of `core` are unstable; this admits them in any release.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", FLAGS.join(" "))
            .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &self.linker);
        command
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Version { minor, llvm } = self.compiler.version;
        let (rustc, linker) = (self.compiler.rustc.display(), self.linker.display());
        write!(f, "{rustc} (1.{minor}, LLVM {llvm}), {linker}")
    }
}

impl Compiler {
    /// Debian's before a nightly: it changes less often.
    pub(crate) fn find() -> Result<Self> {
        let debian = || Self::at(PathBuf::from(DEBIAN_RUSTC), cargo().get_program().into());
        let nightly = || Self::at(rustup_nightly("rustc")?, rustup_nightly("cargo")?);
        debian().or_else(|debian| {
            nightly().map_err(|nightly| {
                anyhow!("no compiler for the kernel programs: neither Debian's ({debian:#}) nor a nightly ({nightly:#})")
            })
        })
    }

    fn at(rustc: PathBuf, cargo: PathBuf) -> Result<Self> {
        let version = Version::parse(&output(Command::new(&rustc).arg("-vV"))?)?;
        let least = Version::least();
        ensure!(
            version.minor >= least,
            "{} is 1.{}, and 1.{least} is needed",
            rustc.display(),
            version.minor
        );
        ensure!(
            LLVM_OF_LINKER.contains(&version.llvm),
            "{} has LLVM {}, and bpf-linker {LINKER} knows {} to {}",
            rustc.display(),
            version.llvm,
            LLVM_OF_LINKER.start(),
            LLVM_OF_LINKER.end()
        );
        let sysroot = output(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim());
        let source = sysroot.join("lib/rustlib/src/rust/library");
        ensure!(source.join("core").exists(), "{} is missing", source.display());
        Ok(Self {
            rustc,
            cargo,
            sysroot,
            version,
        })
    }

    /// The major number of its LLVM.
    pub(crate) fn llvm(&self) -> u32 {
        self.version.llvm
    }
}

impl Version {
    fn parse(verbose: &str) -> Result<Self> {
        let field = |name: &str| {
            let line = verbose.lines().find_map(|line| line.strip_prefix(name));
            line.with_context(|| format!("`rustc -vV` says no {name:?}"))
        };
        let mut release = field("release: ")?.split('.');
        let minor = release.nth(1).context("a release without a minor number")?;
        let llvm = field("LLVM version: ")?.split('.').next().unwrap_or_default();
        Ok(Self {
            minor: minor.parse()?,
            llvm: llvm.parse()?,
        })
    }

    /// The minor number of the workspace's `rust-version`.
    fn least() -> u32 {
        let minor = env!("CARGO_PKG_RUST_VERSION").split('.').nth(1);
        minor.and_then(|minor| minor.parse().ok()).unwrap_or_default()
    }
}

/// A program of rustup's nightly, if there is one.
fn rustup_nightly(program: &str) -> Result<PathBuf> {
    let mut rustup = Command::new("rustup");
    rustup
        .args(["which", "--toolchain", "nightly", program])
        .env("RUSTUP_AUTO_INSTALL", "0");
    Ok(PathBuf::from(output(&mut rustup)?.trim()))
}

/// Whether a variable of ours is for the cargo inside as well. Cargo and rustup tell their children which toolchain
/// they are, and which flags; another toolchain must hear of none of it.
fn inherited(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let about_places = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
        "RUSTUP_HOME",
    ];
    if about_places.iter().any(|place| name.starts_with(place)) {
        return true;
    }
    let about_toolchains = ["CARGO", "RUST", "__CARGO", "LD_LIBRARY_PATH"];
    !about_toolchains
        .iter()
        .any(|toolchain| name.starts_with(toolchain))
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(output.status.success(), "{program} failed ({})", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::{Version, inherited};
    use std::ffi::OsStr;

    #[test]
    fn a_compiler_tells_its_release_and_its_llvm() {
        let debian = "rustc 1.96.0 (ac68faa20 2026-05-25)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(Version::parse(debian).ok(), Some(Version { minor: 96, llvm: 22 }));
        let nightly = "rustc 1.97.0-nightly\nrelease: 1.97.0-nightly\nLLVM version: 22.1.4\n";
        assert_eq!(
            Version::parse(nightly).ok(),
            Some(Version { minor: 97, llvm: 22 })
        );
    }

    #[test]
    fn a_compiler_that_does_not_tell_is_refused() {
        for said in [
            "",
            "release: 1",
            "release: 1.96.0",
            "release: 1.x.0\nLLVM version: 22.1.8",
        ] {
            assert!(Version::parse(said).is_err(), "{said:?}");
        }
    }

    #[test]
    fn the_inner_cargo_hears_nothing_of_the_outer_toolchain() {
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MANIFEST_DIR",
            "CARGO_TARGET_DIR",
            "LD_LIBRARY_PATH",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(!inherited(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_inner_cargo_still_knows_its_home_and_its_proxy() {
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "HOME",
            "PATH",
            "RUSTUP_HOME",
            "https_proxy",
        ] {
            assert!(inherited(OsStr::new(name)), "{name}");
        }
    }
}
