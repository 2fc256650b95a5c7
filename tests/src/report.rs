//! What a test measured, kept for people to read: a file beside its screenshots, and a line on the terminal.

use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where reports go: `$LIANMAI_REPORTS`, or `target/reports`.
pub fn dir() -> Result<PathBuf> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/reports");
    let dir = std::env::var_os("LIANMAI_REPORTS").map_or_else(fallback, PathBuf::from);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// Adds a line to the test's report and shows it.
pub fn note(test: &str, line: &str) -> Result<()> {
    println!("{test}: {line}");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir()?.join(format!("{test}.txt")))?;
    Ok(writeln!(file, "{line}")?)
}
