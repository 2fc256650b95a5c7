//! The whole workspace built at once, tests included. With one set of features no dependency is built twice, which costs more
//! than all crates of our own.

use crate::run::{cargo, command, root, run, say};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program with tests.
pub(crate) struct Test {
    /// The crate or the file of `tests/`.
    pub(crate) name: String,
    /// Its package's folder: where tests run.
    pub(crate) folder: PathBuf,
    program: PathBuf,
}

/// What cargo says of each thing that it built; other messages lack all of it.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

impl Test {
    /// Whether it is one of `tests/`, which start browsers and servers.
    pub(crate) fn is_of_the_system(&self) -> bool {
        self.folder == root().join("tests")
    }

    /// What runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = command(&self.program.to_string_lossy());
        command.current_dir(&self.folder);
        command
    }
}

/// Builds everything, programs too, and tells what tests there are. The kernel programs come first, because the daemon embeds them.
pub(crate) fn tests() -> Result<Vec<Test>> {
    crate::bpf::build_or_do_without()?;
    let mut cargo = cargo();
    cargo
        .args(["build", "--release", "--workspace", "--all-targets"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the workspace does not build ({})", output.status);
    }
    let text = String::from_utf8(output.stdout).context("cargo does not speak UTF-8")?;
    text.lines().filter_map(|line| test(line).transpose()).collect()
}

/// The tests of the crates themselves, those in their documents included.
pub(crate) fn run_those_of_crates() -> Result<()> {
    for test in tests()?.iter().filter(|test| !test.is_of_the_system()) {
        say(&format!("tests of {}", test.name));
        run(&mut test.command())?;
    }
    run(cargo().args(["test", "--release", "--workspace", "--doc", "--quiet"]))
}

/// The test program that one of cargo's messages tells of, if it does.
fn test(line: &str) -> Result<Option<Test>> {
    let message: Message = serde_json::from_str(line).with_context(|| format!("cargo said {line}"))?;
    let (Some(target), Some(Profile { test: true }), Some(program), Some(manifest)) = (
        message.target,
        message.profile,
        message.executable,
        message.manifest_path,
    ) else {
        return Ok(None);
    };
    let folder = manifest.parent().map(Path::to_path_buf);
    Ok(Some(Test {
        name: target.name,
        folder: folder.context("a manifest lies in a folder")?,
        program,
    }))
}

#[cfg(test)]
mod tests {
    use super::test;

    #[test]
    fn programs_with_tests_are_told_from_everything_else_that_is_built() {
        let said = |test: bool, program: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/mixer/Cargo.toml","target":{{"name":"room","kind":["test"]}},
                "profile":{{"opt_level":"3","test":{test}}},"executable":{program}}}"#
            )
        };
        let found = test(&said(true, r#""/w/target/room-1""#))
            .expect("JSON")
            .expect("a test");
        assert_eq!(
            (found.name.as_str(), found.folder.to_str()),
            ("room", Some("/w/mixer"))
        );
        for other in [
            said(false, r#""/w/target/lianmai-mixer""#),
            said(true, "null"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ] {
            assert!(test(&other).expect("JSON").is_none());
        }
    }
}
