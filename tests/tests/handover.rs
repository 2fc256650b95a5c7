//! The daemon is killed in the middle of a talk and started again: the hosts stay in their room, on the connections that they had.

use anyhow::{Context, Result, ensure};
use lianmai_tests::connections;
use lianmai_tests::crash::Outage;
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::{get_json, send_json};
use lianmai_tests::report;
use lianmai_tests::talk::{NAMES, capture, close, watch};
use lianmai_tests::wait::until;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::http::{Method, StatusCode};

const ROOM: &str = "studio";
const TEST: &str = "handover";

/// A daemon is there again after so long at the latest.
const BACK: Duration = Duration::from_secs(2);

/// How long everybody is watched before and after.
const TALK: Duration = Duration::from_secs(8);

/// Says what is recorded, if something is said, and tells what is, with how many files.
fn recording(edge: &Edge, wanted: Option<Value>) -> Result<Value> {
    let url = format!("{}/api/v1/rooms/{ROOM}/recording", edge.url);
    if let Some(wanted) = wanted {
        let (status, said) = send_json(Method::PUT, &url, &wanted)?;
        ensure!(status == StatusCode::OK, "{said}");
    }
    let shown = get_json(&url)?;
    let files = shown["files"].as_array().map(Vec::len);
    Ok(json!([shown["mix"], shown["hosts"], files]))
}

fn mixer_pid(edge: &Edge) -> Result<Option<Pid>> {
    let rooms = edge.api("rooms")?;
    let pid = rooms[0]["mixer"]["pid"].as_i64();
    Ok(pid.and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw))
}

/// What the admin API shows of who is in the room, without what changes by itself.
fn members(edge: &Edge) -> Result<Value> {
    let rooms = edge.api("rooms")?;
    let participants = rooms[0]["participants"].as_array().context("no room")?;
    let shown = participants.iter().map(|participant| {
        json!([
            participant["name"],
            participant["publishes"]["state"],
            participant["publishes"]["remote"],
            participant["name"]
                .as_str()
                .and_then(|name| filters(edge, name).ok()),
            participant["receives"].as_array().map(Vec::len)
        ])
    });
    Ok(shown.collect())
}

fn filters(edge: &Edge, name: &str) -> Result<Value> {
    edge.api(&format!("rooms/{ROOM}/participants/{name}/filters"))
}

fn set_filters(edge: &Edge, name: &str, filters: &Value) -> Result<()> {
    let url = format!("{}/api/v1/rooms/{ROOM}/participants/{name}/filters", edge.url);
    let (status, said) = send_json(Method::PUT, &url, filters)?;
    ensure!(status == StatusCode::NO_CONTENT, "{said}");
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_is_killed_goes_on_with_the_same_room() -> Result<()> {
    let recordings = tempfile::tempdir()?;
    let directory = recordings.path().to_str().context("a path that is text")?;
    let edge = Edge::start_kept(&[
        "--canvas",
        "640x360@15",
        "--record-what",
        "none",
        "--record",
        directory,
    ])?;
    let mut browsers = Vec::new();
    for (index, name) in NAMES.iter().enumerate().take(2) {
        let seat = Seat {
            edge: &edge.url,
            room: ROOM,
            name,
        };
        browsers.push(seat.join(&capture(index, 2)).await?);
    }
    recording(&edge, Some(json!({"hosts": true})))?;
    set_filters(&edge, NAMES[0], &json!([{"type": "sharpen", "amount": 0.5}]))?;
    watch(TEST, &browsers, TALK).await.with_context(|| edge.log())?;
    let (before, mixer) = (members(&edge)?, mixer_pid(&edge)?.context("no mixer")?);
    connections::mark(&browsers).await?;
    let gap = Outage::begin(&edge)?.end(BACK)?;
    report::note(
        TEST,
        &format!("another daemon served after {:.0} ms", gap.as_secs_f64() * 1e3),
    )?;
    ensure!(members(&edge)? == before, "{} was {before}", members(&edge)?);
    until(Duration::from_secs(10), "everybody to be back", || {
        let back = edge.metric("lianmai_signalling_total", &["kind=\"reattached\""])?;
        Ok((back >= 2.0).then_some(()))
    })
    .with_context(|| edge.log())?;
    connections::check_that_they_go_on(&browsers)
        .await
        .with_context(|| edge.log())?;
    until(Duration::from_secs(5), "the old mixer to be gone", || {
        Ok((kill(mixer, None) == Err(Errno::ESRCH)).then_some(()))
    })?;
    until(Duration::from_secs(10), "another mixer", || {
        Ok(mixer_pid(&edge)?.filter(|pid| *pid != mixer))
    })?;
    // The reconnection window is over long before the talk is.
    watch(TEST, &browsers, TALK + TALK)
        .await
        .with_context(|| edge.log())?;
    ensure!(members(&edge)? == before, "{}", members(&edge)?);
    let recorded = recording(&edge, None)?;
    ensure!(
        recorded[0] == false && recorded[1] == true && recorded[2].as_u64() >= Some(2),
        "what was asked of the daemon before, and files of both hosts: {recorded}"
    );
    close(browsers).await
}
