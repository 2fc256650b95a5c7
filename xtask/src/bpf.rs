//! Builds the programs that run in the kernel.

use crate::run::{remove, root, run, say};
use crate::toolchain::Toolchain;
use anyhow::{Context, Result};
use std::path::Path;

/// Where objects lie that are built into other programs.
const FOLDER: &str = "target/bpf";
/// What the daemon is built with, and what the benchmark is built with beside it.
const OBJECTS: [&str; 2] = ["lianmai-xdp", "lianmai-floor"];

/// Builds the objects; the error says why they cannot be.
pub(crate) fn build() -> Result<()> {
    let toolchain = Toolchain::find().context(
        "the kernel programs cannot be built here; `cargo xtask setup` installs what that takes, as root",
    )?;
    say(&format!("building the kernel programs with {toolchain}"));
    let build_dir = root().join("target/bpf-build");
    run(toolchain
        .cargo()
        .args([
            "build",
            "--release",
            "--target",
            "bpfel-unknown-none",
            "-Z",
            "build-std=core",
        ])
        .arg("--manifest-path")
        .arg(manifest())
        .arg("--target-dir")
        .arg(&build_dir)
        .current_dir(root()))?;
    for object in OBJECTS {
        let built = build_dir.join("bpfel-unknown-none/release").join(object);
        let place = Path::new(FOLDER).join(object);
        let state = if replace(&built, &root().join(&place))? {
            "new"
        } else {
            "as it was"
        };
        say(&format!("{} is {state}", place.display()));
    }
    Ok(())
}

/// Builds the objects where that is possible. Elsewhere the daemon is built without them, and runs in userspace: an object
/// that was built from other sources would speak of other records than the daemon.
pub(crate) fn build_or_do_without() -> Result<()> {
    if Toolchain::find().is_ok() {
        return build();
    }
    OBJECTS
        .iter()
        .try_for_each(|object| remove(&root().join(FOLDER).join(object)))
}

/// The programs' own workspace.
pub(crate) fn manifest() -> std::path::PathBuf {
    root().join("ebpf/xdp/Cargo.toml")
}

/// Puts a file in another's place unless that says the same: what embeds it is then not built again.
fn replace(new: &Path, old: &Path) -> Result<bool> {
    let bytes = std::fs::read(new).with_context(|| format!("cannot read {}", new.display()))?;
    if std::fs::read(old).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let write = || {
        old.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        // Whoever reads it meanwhile sees the old one or the new one whole.
        let beside = old.with_extension("new");
        std::fs::write(&beside, &bytes)?;
        std::fs::rename(&beside, old)
    };
    write().with_context(|| format!("cannot write {}", old.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn an_object_that_did_not_change_is_left_alone() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (new, old) = (dir.path().join("new"), dir.path().join("bpf/old"));
        std::fs::write(&new, "one")?;
        assert!(replace(&new, &old)?, "there was none");
        let before = std::fs::metadata(&old)?.modified()?;
        assert!(!replace(&new, &old)?, "the same");
        assert_eq!(std::fs::metadata(&old)?.modified()?, before);
        std::fs::write(&new, "two")?;
        assert!(replace(&new, &old)?, "another");
        assert_eq!(std::fs::read(&old)?, b"two");
        Ok(())
    }
}
