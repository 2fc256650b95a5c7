//! A room whose mix is AV1 and Opus, watched live by a newer FFmpeg at the embedded origin, and by a browser on our page.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::HOSTS;
use lianmai_tests::edge::{Edge, programs};
use lianmai_tests::host::Seat;
use lianmai_tests::http::send_json;
use lianmai_tests::probe::SAMPLE_RATE;
use lianmai_tests::wait::until;
use lianmai_tests::{pyav, report, tone};
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use ureq::http::{Method, StatusCode};

const ROOM: &str = "show";
const SIZE: [usize; 2] = [320, 180];
const FPS: f64 = 15.0;
const CODECS: [&str; 4] = ["--mix-video-codec", "av1", "--mix-audio-codec", "opus"];

fn add(edge: &Edge, tags: &str) -> Result<(StatusCode, String)> {
    let url = format!("{}/api/v1/rooms/{ROOM}/targets", edge.url);
    let target = json!({"url": "rtmp://127.0.0.1:9/live/x", "tags": tags});
    send_json(Method::POST, &url, &target)
}

/// The watch page plays it.
async fn watch(edge: &Edge) -> Result<()> {
    let viewer = Browser::open(None).await?;
    viewer.goto(&format!("{}/watch/{ROOM}", edge.url)).await?;
    let playing = "const video = document.getElementById('screen');\
        return window.lianmai?.state === 'playing' && video.videoWidth === 320 && video.currentTime > 0.5;";
    let state = "return document.getElementById('state').textContent;";
    if let Err(error) = viewer
        .until(Duration::from_secs(20), "the page to play AV1 and Opus", playing)
        .await
    {
        return Err(error.context(format!("the page says {}", viewer.eval(state, vec![]).await?)));
    }
    viewer.close().await
}

#[tokio::test]
async fn av1_and_opus_are_watched_live_and_legacy_targets_refused() -> Result<()> {
    let edge = Edge::start(&[["--canvas", "320x180@15"].as_slice(), &CODECS].concat())?;
    let host = HOSTS[0].sized(320, 180, 15);
    let seat = Seat {
        edge: &edge.url,
        room: ROOM,
        name: "ann",
    };
    let _browser = seat.join(&host).await?;
    until(Duration::from_secs(20), "the mix at the origin", || {
        let targets = edge.api(&format!("rooms/{ROOM}/targets"))?;
        Ok((targets[0]["state"] == "publishing").then_some(()))
    })
    .with_context(|| edge.log())?;

    let watched = pyav::watch(&edge.mix_url(ROOM), 4, SIZE).with_context(|| edge.log())?;
    let mixer = edge.api(&format!("rooms/{ROOM}/mixer"))?;
    let rate = (watched.pictures.len() - 1) as f64 / watched.span;
    let middle = &watched.sound[watched.sound.len() - 2 * SAMPLE_RATE as usize..];
    let prominence = tone::prominence(middle, SAMPLE_RATE, host.tone);
    report::note(
        "coding",
        &format!(
            "AV1 and Opus: {rate:.2} fps of {FPS}, {} Hz stands {prominence:.0} dB above its neighbours, {} pictures left out",
            host.tone, mixer["stats"]["frames_left_out"]
        ),
    )?;
    ensure!(watched.codecs == ["av1", "opus"], "{:?}", watched.codecs);
    ensure!((rate - FPS).abs() < 1.5, "{rate:.2} fps");
    let seen = watched
        .pictures
        .last()
        .context("pictures")?
        .mean([0.2, 0.2, 0.6, 0.2]);
    let is_host = seen
        .iter()
        .zip(host.rgb)
        .all(|(seen, sent)| (seen - f64::from(sent)).abs() < 40.0);
    ensure!(is_host, "{seen:?} where {:?} should be", host.rgb);
    ensure!(prominence > 20.0, "{prominence:.0} dB");

    watch(&edge).await?;

    let (status, body) = add(&edge, "legacy")?;
    ensure!(
        status == StatusCode::UNPROCESSABLE_ENTITY
            && body.contains("AV1 and Opus")
            && body.contains("enhanced"),
        "{status} {body}"
    );
    let (status, body) = add(&edge, "enhanced")?;
    ensure!(status == StatusCode::CREATED, "{status} {body}");
    Ok(())
}

#[test]
fn a_configured_target_that_cannot_take_the_codecs_keeps_the_edge_from_starting() -> Result<()> {
    let output = Command::new(programs().join("lianmai-edge"))
        .args(CODECS)
        .args([
            "--check",
            "--rtmp-target",
            "rtmp://127.0.0.1/live/{room}#tags=legacy",
        ])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("rtmp-target") && said.contains("AV1 and Opus"),
        "{said}"
    );
    Ok(())
}
