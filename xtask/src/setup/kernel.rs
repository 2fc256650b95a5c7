//! Installs what builds the kernel programs, or says in a sentence why they are not for this machine.

use super::{install, is_debian};
use crate::run::{remove, root, say};
use crate::toolchain::{Compiler, LINKER, Toolchain, install_linker, llvm};
use anyhow::{Context, Result, bail};
use nix::unistd::Uid;

/// The LLVM of Debian's compiler below.
const DEBIAN_LLVM: u32 = 22;

/// What the last attempt came to; an edge that is started often does not try each time.
const REFUSED: &str = "target/bpf/refused";

/// When to try what failed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Always,
    Never,
}

/// Failure is no error: an edge without the kernel programs runs in userspace.
pub(super) fn toolchain(retry: Retry) -> Result<()> {
    if Toolchain::find().is_ok() {
        return forget();
    }
    let stamp = root().join(REFUSED);
    let before = std::fs::read_to_string(&stamp)
        .ok()
        .filter(|_| retry == Retry::Never);
    let reason = match before {
        Some(reason) => reason,
        None => match attempt() {
            Ok(()) => return forget(),
            Err(error) => format!("{error:#}"),
        },
    };
    say(&format!(
        "the kernel plane cannot be built here, so edges run in userspace: {reason}; `cargo xtask setup` as root tries again"
    ));
    std::fs::create_dir_all(stamp.with_file_name(""))
        .and_then(|()| std::fs::write(&stamp, reason))
        .with_context(|| format!("cannot write {}", stamp.display()))
}

fn attempt() -> Result<()> {
    if Compiler::find().is_err() {
        let llvm = format!("llvm-{DEBIAN_LLVM}-dev");
        debian(
            &["rustc-web", "rust-web-src", &llvm],
            "a compiler for the kernel programs, with its source",
        )?;
    }
    let compiler = Compiler::find()?;
    if Toolchain::find().is_err() {
        if llvm(&compiler).is_err() {
            let package = format!("llvm-{}-dev", compiler.llvm());
            debian(&[&package], "the library that bpf-linker is built with")?;
        }
        say(&format!("building bpf-linker {LINKER} (about two minutes)"));
        install_linker(&compiler, &llvm(&compiler)?)?;
    }
    Toolchain::find().map(drop)
}

/// All of the packages or none, and nothing removed for them.
fn debian(packages: &[&str], why: &str) -> Result<()> {
    let names = packages.join(" ");
    let takes = format!("it takes {names} of Debian's security suite, or a rustup nightly with rust-src");
    if !is_debian() || !Uid::effective().is_root() {
        bail!("{takes}");
    }
    say(&format!("missing: {names} ({why})"));
    install(packages).context(takes)
}

fn forget() -> Result<()> {
    remove(&root().join(REFUSED))
}
