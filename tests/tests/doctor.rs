//! What `lianmai-edge doctor` says of real interfaces is so, and the commands that it gives help.

use anyhow::{Context, Result, ensure};
use lianmai_tests::edge::programs;
use lianmai_tests::netns::Namespace;
use lianmai_tests::process::output;
use std::process::Command;

/// The edge's end of a veth pair, and the other one.
const EDGE: &str = "edge0";
const HOST: &str = "host0";

/// What was said, and whether the kernel plane can run.
struct Opinion {
    text: String,
    good: bool,
}

/// Both ends of a veth pair in one namespace: up, and as the kernel makes them.
fn pair(role: &str) -> Result<Namespace> {
    let namespace = Namespace::new(role)?;
    namespace.ip(&["link", "add", EDGE, "type", "veth", "peer", "name", HOST])?;
    for end in [EDGE, HOST] {
        namespace.ip(&["link", "set", end, "up"])?;
    }
    Ok(namespace)
}

fn doctor() -> String {
    programs().join("lianmai-edge").to_string_lossy().into_owned()
}

fn ask(command: &mut Command) -> Result<Opinion> {
    let output = command.output().context("the doctor does not start")?;
    Ok(Opinion {
        text: String::from_utf8(output.stdout)?,
        good: output.status.success(),
    })
}

fn opinion(namespace: &Namespace, flags: &[&str]) -> Result<Opinion> {
    ask(namespace.command(&doctor()).arg("doctor").args(flags))
}

impl Opinion {
    /// The one thing that failed.
    fn failure(&self) -> Result<&str> {
        let mut failures = self.text.lines().filter(|line| line.starts_with("fail"));
        let failure = failures
            .next()
            .with_context(|| format!("nothing failed:\n{}", self.text))?;
        ensure!(
            failures.next().is_none() && !self.good,
            "more than one thing failed:\n{}",
            self.text
        );
        Ok(failure)
    }

    fn is_good(&self) -> Result<()> {
        ensure!(self.good, "the kernel plane cannot run:\n{}", self.text);
        Ok(())
    }
}

/// Does what stands behind the last colon.
fn obey(namespace: &Namespace, line: &str) -> Result<()> {
    let (_, command) = line
        .rsplit_once(": ")
        .with_context(|| format!("no command in {line:?}"))?;
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    output(namespace.command(program).args(words)).map(drop)
}

#[test]
fn a_veth_end_is_good_once_the_other_one_polls() -> Result<()> {
    let namespace = pair("gro")?;
    let before = opinion(&namespace, &["--interface", EDGE])?;
    let failure = before.failure()?;
    ensure!(
        failure.contains("transmission") && failure.contains(HOST),
        "{failure}"
    );
    obey(&namespace, failure)?;
    opinion(&namespace, &["--interface", EDGE, "--attach"])?.is_good()
}

#[test]
fn frames_of_more_than_a_page_are_too_long_to_the_byte() -> Result<()> {
    let namespace = pair("mtu")?;
    output(namespace.command("ethtool").args(["-K", HOST, "gro", "on"]))?;
    namespace.ip(&["link", "set", HOST, "mtu", "3506"])?;
    opinion(&namespace, &["--interface", EDGE, "--attach"])?.is_good()?;
    namespace.ip(&["link", "set", HOST, "mtu", "3507"])?;
    let before = opinion(&namespace, &["--interface", EDGE])?;
    obey(&namespace, before.failure()?)?;
    opinion(&namespace, &["--interface", EDGE, "--attach"])?.is_good()
}

#[test]
fn a_veth_end_that_hears_fewer_queues_than_the_other_one_sends_is_told_how_many() -> Result<()> {
    let namespace = pair("queues")?;
    output(namespace.command("ethtool").args(["-K", HOST, "gro", "on"]))?;
    // On a machine with one CPU there is but one of each.
    if output(namespace.command("ethtool").args(["-L", HOST, "tx", "2"])).is_err() {
        return opinion(&namespace, &["--interface", EDGE])?.is_good();
    }
    let before = opinion(&namespace, &["--interface", EDGE])?;
    obey(&namespace, before.failure()?)?;
    opinion(&namespace, &["--interface", EDGE, "--attach"])?.is_good()
}

#[test]
fn loopback_and_what_is_not_there_cannot_carry_the_kernel_plane() -> Result<()> {
    let namespace = pair("others")?;
    let loopback = opinion(&namespace, &["--interface", "lo"])?;
    ensure!(loopback.failure()?.contains("native xdp"), "{}", loopback.text);
    let nothing = opinion(&namespace, &["--interface", "nosuch0"])?;
    ensure!(nothing.failure()?.contains("nosuch0"), "{}", nothing.text);
    let nowhere = opinion(&namespace, &[])?;
    ensure!(
        nowhere.failure()?.contains("no default route"),
        "{}",
        nowhere.text
    );
    Ok(())
}

#[test]
fn the_default_route_names_the_interface() -> Result<()> {
    let namespace = pair("route")?;
    namespace.ip(&["address", "add", "10.78.0.1/24", "dev", EDGE])?;
    namespace.ip(&["route", "add", "default", "via", "10.78.0.2"])?;
    let opinion = opinion(&namespace, &[])?;
    ensure!(opinion.text.contains("edge0 is up"), "{}", opinion.text);
    Ok(())
}

#[test]
fn each_capability_that_is_missing_is_named() -> Result<()> {
    let namespace = pair("rights")?;
    output(namespace.command("ethtool").args(["-K", HOST, "gro", "on"]))?;
    let with = |rights: &str| {
        let mut command = namespace.command("setpriv");
        command.args([
            &format!("--bounding-set=-all,{rights}"),
            "--inh-caps=-all",
            &doctor(),
        ]);
        ask(command.args(["doctor", "--interface", EDGE, "--attach"]))
    };
    with("+bpf,+net_admin,+perfmon")?.is_good()?;
    for (rights, missing) in [
        ("+net_admin,+perfmon", "lacks CAP_BPF"),
        ("+bpf,+perfmon", "lacks CAP_NET_ADMIN"),
        ("+bpf,+net_admin", "lacks CAP_PERFMON"),
    ] {
        let opinion = with(rights)?;
        ensure!(
            !opinion.good && opinion.text.contains(missing),
            "{rights}:\n{}",
            opinion.text
        );
    }
    Ok(())
}

#[test]
fn programs_and_memory_are_told_in_figures() -> Result<()> {
    let namespace = pair("figures")?;
    let Opinion { text, .. } = opinion(&namespace, &["--interface", EDGE])?;
    for figure in [
        "ingress is ",
        "egress is ",
        "for a room of four",
        "32.0 MiB is the limit",
    ] {
        ensure!(text.contains(figure), "{figure:?} is missing:\n{text}");
    }
    ensure!(
        !text.contains("fail  programs") && !text.contains("fail  room memory"),
        "{text}"
    );
    Ok(())
}
