//! The kernel plane with real browsers: four hosts, each in a network namespace of its own, behind a switch.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::edge::{Edge, programs};
use lianmai_tests::host::Seat;
use lianmai_tests::netns::{EDGE_DEVICE, SWITCHED_EDGE, Switch};
use lianmai_tests::talk::{NAMES, capture, close, watch};
use lianmai_tests::{probe, report};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const ROOM: &str = "kernel";
const TALK: Duration = Duration::from_secs(60);

/// An edge at the switch, its media by the kernel plane or not at all.
fn edge(flags: &[&str]) -> Result<Edge> {
    let [http, media] = [8443, 8444].map(|port| SocketAddr::from((SWITCHED_EDGE, port)));
    let origin = SocketAddr::from(([127, 0, 0, 1], 1935));
    let mut command = Command::new(programs().join("lianmai-edge"));
    command.args([
        "--http",
        &http.to_string(),
        "--media",
        &media.to_string(),
        "--open",
    ]);
    command.args(["--origin", &origin.to_string(), "--canvas", "640x360@15"]);
    command.args(["--plane", "kernel", "--interface", EDGE_DEVICE]);
    Edge::launch(command.args(flags), http, media, origin)
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

#[tokio::test]
async fn four_hosts_talk_through_the_kernel_and_the_mix_is_as_good_as_ever() -> Result<()> {
    let switch = Switch::build(4)?;
    let edge = edge(&[])?;
    let mut browsers = Vec::new();
    for index in 0..4 {
        let browser = join(&edge, &switch, index).await.with_context(|| edge.log())?;
        browsers.push(browser);
    }
    watch("kernel", &browsers, TALK)
        .await
        .with_context(|| edge.log())?;
    let file = report::dir()?.join("kernel.flv");
    probe::take(&edge.mix_url(ROOM), 10, &file)?;
    let frames = probe::packets(&file)?
        .into_iter()
        .filter(|packet| packet.video)
        .count();
    let share = share_of_the_kernel(&edge)?;
    ensure!(frames >= 135, "{frames} frames of the mix in 10 s at 15 fps");
    ensure!(
        share >= 0.99,
        "{share} of the media packets were forwarded in the kernel"
    );
    close(browsers).await
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
