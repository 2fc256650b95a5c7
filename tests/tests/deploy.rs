//! What `deploy/` ships works with the programs that were built.

use anyhow::{Context, Result, ensure};
use lianmai_tests::edge::programs;
use lianmai_tests::process::output;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
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
fn the_unit_has_what_a_daemon_needs_to_leave_things_to_the_next() -> Result<()> {
    let (_dir, file) = unit()?;
    let text = std::fs::read_to_string(file)?;
    for line in [
        "Type=notify",
        "NotifyAccess=main",
        "FileDescriptorStoreMax=8",
        "Restart=on-failure",
        "RestartForceExitStatus=75",
    ] {
        ensure!(text.lines().any(|one| one == line), "{line} is missing");
    }
    Ok(())
}

#[test]
fn the_file_system_for_pins_can_be_made_twice_and_belongs_to_the_service() -> Result<()> {
    let drop_in = std::fs::read_to_string(deploy().join("lianmai-edge.service.d/kernel-plane.conf"))?;
    let command = drop_in.lines().find_map(|line| {
        let rest = line.strip_prefix("ExecStartPre=+/bin/sh -c '")?;
        rest.strip_suffix('\'')
    });
    let dir = tempfile::tempdir()?;
    let made = command
        .context("no ExecStartPre")?
        .replace("/run/", &format!("{}/", dir.path().display()));
    // The service's own directory is there by then, and is its user's: here of somebody with the number 4242.
    let script = format!(
        "set -e; cd {}; mkdir lianmai; chown 4242:4242 lianmai; {made}; {made}
         test $(findmnt -n -o FSTYPE lianmai-bpf | wc -l) = 1
         setpriv --reuid=4242 --regid=4242 --clear-groups mkdir lianmai-bpf/lianmai",
        dir.path().display()
    );
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    output(Command::new("unshare").args(["--mount", "sh", "-c", &script])).map(drop)
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
    let authority = rcgen::generate_simple_self_signed(["cdn.example.com".to_owned()])?;
    std::fs::write(dir.path().join("ca.pem"), authority.cert.pem())?;
    std::fs::write(dir.path().join("webhook-secret"), "sixteen characters")?;
    std::fs::create_dir(dir.path().join("images"))?;
    let text = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("/var/lib/lianmai", &record.to_string_lossy())
        .replace("/etc/lianmai", &dir.path().to_string_lossy());
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
