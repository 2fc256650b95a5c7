//! The kernel plane with real browsers: four hosts, each in a network namespace of its own, behind a switch.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::connections::gain;
use lianmai_tests::crash::Outage;
use lianmai_tests::edge::{Edge, programs};
use lianmai_tests::host::Seat;
use lianmai_tests::netns::{EDGE_DEVICE, SWITCHED_EDGE, Switch, bpf_file_system};
use lianmai_tests::talk::{NAMES, capture, close, number, watch};
use lianmai_tests::{connections, probe, report};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const ROOM: &str = "kernel";
const AFTER: Duration = Duration::from_secs(10);

/// From the end of one daemon to the start of the next. What the kernel is prepared for lasts until that serves, which on a machine
/// that is full takes a while.
const OUTAGE: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_secs(5);

/// Nobody comes for so long, and after so long at the latest nothing is forwarded.
const ABANDONED: Duration = Duration::from_secs(30);
const EXPIRED: Duration = Duration::from_secs(22);

/// How long they talk before the daemon is killed, unless `LIANMAI_TALK_SECONDS` says otherwise.
fn talk_time() -> Duration {
    let asked = std::env::var("LIANMAI_TALK_SECONDS").ok();
    Duration::from_secs(asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(20))
}

/// An edge at the switch, its media by the kernel plane or not at all, kept by a parent while it has no daemon.
fn edge() -> Result<Edge> {
    let [http, media] = [8443, 8444].map(|port| SocketAddr::from((SWITCHED_EDGE, port)));
    let origin = SocketAddr::from(([127, 0, 0, 1], 1935));
    let mut command = Command::new(programs().join("lianmai-edge"));
    command.args([
        "keep",
        "--http",
        &http.to_string(),
        "--media",
        &media.to_string(),
        "--open",
    ]);
    command.args(["--origin", &origin.to_string(), "--canvas", "640x360@15"]);
    command.args(["--plane", "kernel", "--interface", EDGE_DEVICE]);
    command.arg("--pins").arg(bpf_file_system()?);
    Edge::launch(&mut command, http, media, origin)
}

/// A browser in the namespace of a host.
async fn join(edge: &Edge, switch: &Switch, index: usize) -> Result<Browser> {
    let host = u8::try_from(index)?;
    let driver = SocketAddr::from((Switch::host_address(host), 9515));
    let capture = capture(index, switch.hosts.len());
    let command = switch.hosts[index].command("chromedriver");
    let browser = Browser::open_with(command, driver, Some(&capture)).await?;
    let seat = Seat {
        edge: &edge.url,
        room: ROOM,
        name: NAMES[index],
    };
    browser.goto(&seat.url(&capture)).await?;
    seat.wait_until_connected(&browser).await?;
    Ok(browser)
}

async fn talk(edge: &Edge, switch: &Switch) -> Result<Vec<Browser>> {
    let mut browsers = Vec::new();
    for index in 0..switch.hosts.len() {
        let browser = join(edge, switch, index).await.with_context(|| edge.log())?;
        browsers.push(browser);
    }
    Ok(browsers)
}

#[tokio::test]
async fn four_hosts_talk_through_the_kernel_and_lose_nothing_when_the_daemon_is_killed() -> Result<()> {
    let switch = Switch::build(4)?;
    let edge = edge()?;
    let browsers = talk(&edge, &switch).await?;
    watch("kernel", &browsers, talk_time())
        .await
        .with_context(|| edge.log())?;
    let file = report::dir()?.join("kernel.flv");
    probe::take(&edge.mix_url(ROOM), 10, &file)?;
    let frames = probe::packets(&file)?
        .into_iter()
        .filter(|packet| packet.video)
        .count();
    report::note("kernel", &format!("{frames} of 150 frames of the mix"))?;
    let share = share_of_the_kernel(&edge)?;
    ensure!(frames >= 135, "{frames} frames of the mix in 10 s at 15 fps");
    ensure!(
        share >= 0.99,
        "{share} of the media packets were forwarded in the kernel"
    );
    connections::mark(&browsers).await?;
    let before = looks(&browsers).await?;
    let outage = Outage::begin(&edge)?;
    tokio::time::sleep(OUTAGE).await;
    let gap = outage.end(BACK)?;
    report::note(
        "kernel",
        &format!("no daemon for {:.0} ms", gap.as_secs_f64() * 1e3),
    )?;
    connections::check_that_they_go_on(&browsers)
        .await
        .with_context(|| edge.log())?;
    watch("kernel-crash", &browsers, AFTER)
        .await
        .with_context(|| edge.log())?;
    check_that_nothing_was_lost(&before, &looks(&browsers).await?).with_context(|| edge.log())?;
    share_of_the_kernel(&edge)?;
    close(browsers).await
}

async fn looks(browsers: &[Browser]) -> Result<Vec<Value>> {
    let mut looks = Vec::new();
    for browser in browsers {
        looks.push(connections::look(browser).await?);
    }
    Ok(looks)
}

fn check_that_nothing_was_lost(before: &[Value], after: &[Value]) -> Result<()> {
    let names = &NAMES[..before.len()];
    let mut lost = 0.0;
    for ((me, before), after) in names.iter().zip(before).zip(after) {
        for other in names.iter().filter(|other| *other != me) {
            let [audio, video] = ["audio", "video"].map(|kind| gain(before, after, other, kind));
            report::note(
                "kernel-crash",
                &format!("{me} <- {other} across the crash: audio {audio:?}, video {video:?}"),
            )?;
            ensure!(
                audio.received > 0.0 && video.received > 0.0,
                "{me} heard nothing of {other}"
            );
            lost += audio.lost + video.lost;
        }
    }
    ensure!(lost == 0.0, "{lost} packets were lost; the report names the legs");
    Ok(())
}

/// Which part of the packets that went to legs was sealed in the kernel. What a browser sends before its stream is known, the
/// daemon seals; what the kernel took and could not send to a leg, too.
fn share_of_the_kernel(edge: &Edge) -> Result<f64> {
    let forwarded = |by: &str| {
        edge.metric(
            "lianmai_plane_packets_forwarded_total",
            &[&format!("by=\"{by}\"")],
        )
    };
    let (kernel, daemon) = (forwarded("kernel")?, forwarded("daemon")?);
    let twice = edge.metric(
        "lianmai_plane_packets_dropped_total",
        &["reason=\"already_sealed\""],
    )?;
    let left = edge.metric("lianmai_plane_legs_left_behind_total", &[])?;
    let share = kernel / (kernel + daemon);
    report::note(
        "kernel",
        &format!(
            "{kernel:.0} packets sealed for legs by the kernel, {daemon:.0} by the daemon ({left:.0} of them left behind): {:.2} %; \
             {twice:.0} second seals asked for, none given",
            share * 100.0
        ),
    )?;
    Ok(share)
}

#[tokio::test]
async fn without_a_daemon_the_kernel_stops_by_itself() -> Result<()> {
    let switch = Switch::build(2)?;
    let edge = edge()?;
    let browsers = talk(&edge, &switch).await?;
    watch("kernel-abandoned", &browsers, AFTER)
        .await
        .with_context(|| edge.log())?;
    let outage = Outage::begin(&edge)?;
    let mut last = Totals::of(&browsers).await?;
    let [mut sent, mut received] = [Duration::ZERO; 2];
    while outage.lasts() < ABANDONED {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let totals = Totals::of(&browsers).await?;
        if totals.sent > last.sent {
            sent = outage.lasts();
        }
        if totals.received > last.received {
            received = outage.lasts();
        }
        last = totals;
    }
    report::note(
        "kernel-abandoned",
        &format!("without a daemon, hosts sent for {sent:.1?} and received for {received:.1?}"),
    )?;
    ensure!(
        received >= OUTAGE,
        "what the kernel was prepared for lasted {received:?}"
    );
    ensure!(
        received < EXPIRED,
        "packets were still forwarded after {received:?}"
    );
    ensure!(sent > received, "nobody sent any more, so this says nothing");
    outage.end(BACK)?;
    watch("kernel-abandoned", &browsers, AFTER)
        .await
        .with_context(|| edge.log())?;
    close(browsers).await
}

/// Packets of all hosts.
struct Totals {
    sent: f64,
    received: f64,
}

impl Totals {
    async fn of(browsers: &[Browser]) -> Result<Self> {
        let looks = looks(browsers).await?;
        let total = |key| looks.iter().map(|look| number(look, key)).sum();
        Ok(Self {
            sent: total("sent"),
            received: total("packets"),
        })
    }
}
