//! bpf-linker: it reads the compiler's bitcode, so its LLVM must not be older than the compiler's.

use super::{Compiler, output};
use crate::run::{cargo, remove, root, run};
use anyhow::{Context, Result};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release that is installed; any patch release of its series serves.
pub(crate) const LINKER: &str = "0.13.0";

/// The releases of LLVM that it can be built for.
pub(super) const LLVM_OF_LINKER: std::ops::RangeInclusive<u32> = 21..=23;

/// LLVM as a library, for the linker to be built with.
pub(crate) struct Llvm {
    /// Holds `lib/libLLVM.so`.
    prefix: PathBuf,
    /// Where that is found when the linker runs, if not there.
    runtime: Option<PathBuf>,
}

/// The linker of the right release, beside cargo's other programs or on the path.
pub(super) fn find(compiler: &Compiler) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = home.map(|home| home.join("bin")).into_iter();
    places
        .chain(std::env::split_paths(&path))
        .map(|place| place.join("bpf-linker"))
        .find(|linker| {
            output(Command::new(linker).arg("--version")).is_ok_and(|version| right(&version))
                && reads(linker, compiler.version.llvm)
        })
        .with_context(|| {
            format!(
                "bpf-linker {LINKER} for LLVM {} is not installed",
                compiler.version.llvm
            )
        })
}

/// Whether it has this LLVM or a newer one. One that has it inside is its owner's choice.
fn reads(linker: &Path, llvm: u32) -> bool {
    let libraries = output(Command::new("ldd").arg(linker)).unwrap_or_default();
    llvm_among(&libraries).is_none_or(|own| own >= llvm)
}

/// From a line such as `libLLVM.so.22.1 => /usr/lib/..`.
fn llvm_among(libraries: &str) -> Option<u32> {
    let name = libraries
        .split_whitespace()
        .find_map(|word| word.strip_prefix("libLLVM.so."))?;
    name.split('.').next()?.parse().ok()
}

fn right(version: &str) -> bool {
    let series = LINKER.rsplit_once('.').map_or(LINKER, |(series, _)| series);
    let patch = version.trim().strip_prefix("bpf-linker ");
    let patch = patch.and_then(|version| version.strip_prefix(series));
    patch.is_some_and(|patch| patch.starts_with('.'))
}

/// Builds and installs it where `cargo install` puts things.
pub(crate) fn install(compiler: &Compiler, llvm: &Llvm) -> Result<()> {
    let mut cargo = cargo();
    cargo
        .args([
            "install",
            "--locked",
            "--force",
            "bpf-linker",
            "--version",
            LINKER,
        ])
        .args(["--no-default-features", "--features"])
        .arg(format!("llvm-{}", compiler.version.llvm))
        .env("LLVM_PREFIX", &llvm.prefix);
    if let Some(runtime) = &llvm.runtime {
        cargo.env(
            "RUSTFLAGS",
            format!("-C link-arg=-Wl,-rpath,{}", runtime.display()),
        );
    }
    run(&mut cargo)
}

/// The LLVM that `LLVM_PREFIX` names, Debian's for developers, or the one that a compiler of rustup brings.
pub(crate) fn llvm(compiler: &Compiler) -> Result<Llvm> {
    let llvm = compiler.version.llvm;
    let given = std::env::var_os("LLVM_PREFIX").map(PathBuf::from);
    let debian = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let debian = debian.join("lib/libLLVM.so").exists().then_some(debian);
    match given.or(debian) {
        Some(prefix) => Ok(Llvm {
            prefix,
            runtime: None,
        }),
        None => of_compiler(compiler),
    }
}

/// Rustup's compilers keep all of LLVM in a library of an unusual name; a link gives it the usual one.
fn of_compiler(compiler: &Compiler) -> Result<Llvm> {
    let lib = compiler.sysroot.join("lib");
    let library = library_in(&lib).with_context(|| {
        format!(
            "LLVM {} for developers is missing (LLVM_PREFIX can name it)",
            compiler.version.llvm
        )
    })?;
    let prefix = root().join("target/llvm");
    let link = prefix.join("lib/libLLVM.so");
    let make = || {
        std::fs::create_dir_all(prefix.join("lib"))?;
        remove(&link)?;
        symlink(library, &link).map_err(anyhow::Error::from)
    };
    make().with_context(|| format!("cannot make {}", link.display()))?;
    Ok(Llvm {
        prefix,
        runtime: Some(lib),
    })
}

fn library_in(lib: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(lib).ok()?;
    let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
    paths.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libLLVM.so.")
    })
}

#[cfg(test)]
mod tests {
    use super::{llvm_among, right};

    #[test]
    fn a_linker_of_another_series_is_not_taken() {
        for (version, taken) in [
            ("bpf-linker 0.13.0\n", true),
            ("bpf-linker 0.13.4\n", true),
            ("bpf-linker 0.14.0\n", false),
            ("bpf-linker 0.130.0\n", false),
            ("ld 0.13.0\n", false),
        ] {
            assert_eq!(right(version), taken, "{version:?}");
        }
    }
    #[test]
    fn a_linker_tells_its_llvm_by_what_it_is_linked_with() {
        let debian = "\tlinux-vdso.so.1 (0x0)\n\tlibLLVM.so.22.1 => /lib/libLLVM.so.22.1 (0x0)\n";
        assert_eq!(llvm_among(debian), Some(22));
        let rustup =
            "\tlibLLVM.so.23.1-rust-1.101.0-nightly => /n/lib/libLLVM.so.23.1-rust-1.101.0-nightly (0x0)\n";
        assert_eq!(llvm_among(rustup), Some(23));
        assert_eq!(llvm_among("\tstatically linked\n"), None);
    }
}
