//! What `deploy/` ships works with the programs that were built.

use anyhow::{Result, ensure};
use lianmai_tests::edge::programs;
use lianmai_tests::process::output;
use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The unit with the program where it was built, since nothing is installed here.
fn unit() -> Result<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir()?;
    let text = std::fs::read_to_string(deploy().join("lianmai-edge.service"))?;
    let program = programs().canonicalize()?.join("lianmai-edge");
    let file = dir.path().join("lianmai-edge.service");
    std::fs::write(
        &file,
        text.replace("/usr/local/bin/lianmai-edge", &program.to_string_lossy()),
    )?;
    Ok((dir, file))
}

/// The same with what the kernel plane needs, as one file: this is how systemd reads a unit and its drop-in.
fn unit_of_the_kernel_plane() -> Result<(tempfile::TempDir, PathBuf)> {
    let (dir, file) = unit()?;
    let drop_in = deploy().join("lianmai-edge.service.d/kernel-plane.conf");
    let text = [std::fs::read_to_string(&file)?, std::fs::read_to_string(drop_in)?];
    std::fs::write(&file, text.join("\n"))?;
    Ok((dir, file))
}

#[test]
fn systemd_accepts_the_unit() -> Result<()> {
    for (_dir, file) in [unit()?, unit_of_the_kernel_plane()?] {
        output(Command::new("systemd-analyze").arg("verify").arg(file))?;
    }
    Ok(())
}

#[test]
fn the_unit_exposes_little() -> Result<()> {
    for (_dir, file) in [unit()?, unit_of_the_kernel_plane()?] {
        // The threshold is in tenths: 2.0 of 10.
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--threshold=20"]);
        output(analyze.arg(file))?;
    }
    Ok(())
}

#[test]
fn the_sample_configuration_is_accepted_as_it_is() -> Result<()> {
    let sample = deploy().join("edge.toml");
    check(&sample)
}

#[test]
fn the_sample_configuration_is_accepted_with_every_line_in_force() -> Result<()> {
    let sample = std::fs::read_to_string(deploy().join("edge.toml"))?;
    let lines = sample.lines().map(|line| {
        line.strip_prefix('#')
            .filter(|rest| rest.contains(" = ") && !rest.starts_with(' '))
            .unwrap_or(line)
    });
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("edge.toml");
    let record = dir.path().join("record");
    let text = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("/var/lib/lianmai", &record.to_string_lossy());
    ensure!(
        text.matches(" = ").count() >= 14,
        "the sample shows every key:\n{text}"
    );
    std::fs::write(&file, text)?;
    check(&file)
}

/// Has the daemon read the file, without starting anything.
fn check(file: &Path) -> Result<()> {
    output(
        Command::new(programs().join("lianmai-edge"))
            .arg("--check")
            .arg("--config")
            .arg(file),
    )
    .map(drop)
}
