//! What may happen to hosts, links and the mixer itself, and what a viewer of the mix sees of it: nothing.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::HOSTS;
use lianmai_tests::delay::{Delay, Link};
use lianmai_tests::edge::{Edge, programs};
use lianmai_tests::flash::{Distances, Recording};
use lianmai_tests::host::Seat;
use lianmai_tests::live::{Viewer, longest_gap, strictly_rising};
use lianmai_tests::netns::{EDGE, FAR, MIDDLE, NEAR, Topology};
use lianmai_tests::web::KurentoPage;
use lianmai_tests::{probe, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

const ROOM: &str = "stage";
const NEXT_DOOR: &str = "green-room";
const SMALL: &[&str] = &["--canvas", "640x360@15"];

async fn join(edge: &Edge, name: &str, index: usize) -> Result<Browser> {
    join_room(edge, ROOM, name, index).await
}

async fn join_room(edge: &Edge, room: &str, name: &str, index: usize) -> Result<Browser> {
    Seat {
        edge: &edge.url,
        room,
        name,
    }
    .join(&HOSTS[index].sized(320, 180, 15))
    .await
}

/// Frames that `browser` has decoded of everybody else, and how long they were frozen, in seconds.
async fn received(browser: &Browser) -> Result<(f64, f64)> {
    let body = "let frames = 0, frozen = 0;\
        for (const { pc } of Object.values(window.lianmai.peers)) for (const entry of (await pc.getStats()).values())\
          if (entry.type === 'inbound-rtp' && entry.kind === 'video') { frames += entry.framesDecoded; frozen += entry.totalFreezesDuration; }\
        return [frames, frozen];";
    let value = browser.eval(body, vec![]).await?;
    Ok((value[0].as_f64().unwrap_or(0.0), value[1].as_f64().unwrap_or(0.0)))
}

async fn wait_for_others(browser: &Browser, name: &str, count: usize) -> Result<()> {
    let body = format!(
        "return Object.entries(window.lianmai.peers).filter(([name, {{ video }}]) => name !== {name:?} && video.currentTime > 0).length === {count};"
    );
    browser
        .until(
            Duration::from_secs(30),
            &format!("{name} to see {count} others"),
            &body,
        )
        .await?;
    Ok(())
}

async fn set_video(browser: &Browser, name: &str, active: bool) -> Result<()> {
    let body = format!(
        "for (const sender of window.lianmai.peers[{name:?}].pc.getSenders()) if (sender.track?.kind === 'video') {{\
           const parameters = sender.getParameters();\
           parameters.encodings[0].active = {active};\
           await sender.setParameters(parameters); }}"
    );
    browser.eval(&body, vec![]).await.map(drop)
}

async fn set_microphone(browser: &Browser, name: &str, on: bool) -> Result<()> {
    let body = format!(
        "for (const sender of window.lianmai.peers[{name:?}].pc.getSenders()) if (sender.track?.kind === 'audio') sender.track.enabled = {on};"
    );
    browser.eval(&body, vec![]).await.map(drop)
}

/// The time for which something is let be, so that a viewer could notice it.
async fn let_it_be(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test]
async fn hosts_leave_join_freeze_and_mute_and_the_mix_neither_stops_nor_jumps() -> Result<()> {
    let edge = Edge::start(SMALL)?;
    let ann = join(&edge, "ann", 0).await.with_context(|| edge.log())?;
    let bob = join(&edge, "bob", 1).await?;
    let viewer = Viewer::watch(&edge.url, ROOM).with_context(|| edge.log())?;
    viewer.next_frame(Duration::from_secs(10))?;
    set_microphone(&ann, "ann", false).await?;
    let_it_be(2).await;
    set_microphone(&ann, "ann", true).await?;
    set_video(&bob, "bob", false).await?;
    let_it_be(3).await;
    set_video(&bob, "bob", true).await?;
    let_it_be(2).await;
    bob.close().await?;
    let_it_be(3).await;
    let cho = join(&edge, "cho", 2).await?;
    let_it_be(3).await;
    let (frames, sounds) = (viewer.frames(), viewer.sounds());
    let (video, audio) = (longest_gap(&frames), longest_gap(&sounds));
    report::note(
        "changes",
        &format!(
            "{} frames; longest step: video {:.0} ms by timestamp, {:.0} ms by arrival; audio {:.0} ms, {:.0} ms",
            frames.len(),
            video.1 * 1000.0,
            video.0 * 1000.0,
            audio.1 * 1000.0,
            audio.0 * 1000.0
        ),
    )?;
    ensure!(
        strictly_rising(&frames) && strictly_rising(&sounds),
        "timestamps rise"
    );
    ensure!(video.1 < 0.35 && audio.1 < 0.06, "a jump: {video:?}, {audio:?}");
    ensure!(video.0 < 1.0 && audio.0 < 1.0, "a stop: {video:?}, {audio:?}");
    ann.close().await?;
    cho.close().await
}

#[tokio::test]
async fn a_killed_mixer_is_back_within_three_seconds_and_neither_the_talk_nor_another_room_notices()
-> Result<()> {
    let edge = Edge::start(SMALL)?;
    let ann = join(&edge, "ann", 0).await.with_context(|| edge.log())?;
    let bob = join(&edge, "bob", 1).await?;
    let cho = join_room(&edge, NEXT_DOOR, "cho", 2).await?;
    wait_for_others(&ann, "ann", 1).await?;
    let viewer = Viewer::watch(&edge.url, ROOM)?;
    let next_door = Viewer::watch(&edge.url, NEXT_DOOR)?;
    viewer.next_frame(Duration::from_secs(10))?;
    let_it_be(3).await;
    let unharmed = edge.mixer_pid(NEXT_DOOR)?;
    let (frames, frozen) = received(&ann).await?;
    let mixer = edge.mixer_pid(ROOM)?.context("the room has a mixer")?;
    let killed = Instant::now();
    kill(Pid::from_raw(mixer), Signal::SIGKILL)?;
    let back = viewer
        .next_frame_after(killed + Duration::from_millis(200), Duration::from_secs(10))
        .with_context(|| edge.log())?;
    let away = back.at.duration_since(killed);
    let_it_be(3).await;
    let (frames_after, frozen_after) = received(&ann).await?;
    let rate = (frames_after - frames) / killed.elapsed().as_secs_f64();
    let (_, gap) = longest_gap(&next_door.frames());
    report::note(
        "mixer-killed",
        &format!(
            "stream back after {away:?}; the talk meanwhile: {rate:.1} of 15 fps, {:.2} s frozen; longest step next door: {:.0} ms",
            frozen_after - frozen,
            gap * 1000.0
        ),
    )?;
    ensure!(away < Duration::from_secs(3), "the stream was away for {away:?}");
    ensure!(
        edge.mixer_pid(ROOM)?.is_some_and(|pid| pid != mixer),
        "a new mixer"
    );
    ensure!(
        rate > 9.0 && frozen_after - frozen < 0.5,
        "the talk noticed: {rate:.1} fps, {} s frozen",
        frozen_after - frozen
    );
    ensure!(
        strictly_rising(&viewer.frames()),
        "a viewer who stayed sees time go forward"
    );
    ensure!(
        unharmed.is_some() && edge.mixer_pid(NEXT_DOOR)? == unharmed && gap < 0.35,
        "the other room noticed: {gap} s without a picture"
    );
    ann.close().await?;
    bob.close().await?;
    cho.close().await
}

/// Opens the flashing page in a browser and joins.
async fn join_flashing(
    browser: &Browser,
    page: &KurentoPage,
    edge: SocketAddr,
    user: &str,
    tone: u32,
) -> Result<()> {
    browser.goto(&page.url_at(NEAR)).await?;
    let join = json!({
        "uri": format!("ws://{}:{}/room", NEAR, edge.port()),
        "room": ROOM,
        "user": user,
        "flash": { "width": 320, "height": 180, "fps": FLASH_RATE, "tone": tone },
    });
    browser
        .eval("await window.lianmai.join(args[0]); return true;", vec![join])
        .await?;
    Ok(())
}

/// The far host's way to the edge.
const FAR_LINK: Link = Link {
    delay: Duration::from_millis(300),
    jitter: Duration::from_millis(30),
    loss: 20,
};

/// Pictures per second, of the hosts and of the mix: a flash cannot be told finer than to one of them.
const FLASH_RATE: u32 = 60;

/// What the hosts beep with.
const TONES: [u32; 2] = [500, 1500];

/// How long the flashes are watched, unless `LIANMAI_SKEW_SECONDS` says otherwise.
fn skew_seconds() -> u32 {
    let asked = std::env::var("LIANMAI_SKEW_SECONDS").ok();
    asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(20)
}

#[tokio::test]
async fn a_common_flash_is_seen_at_once_although_one_host_has_a_long_and_uneven_link() -> Result<()> {
    let topology = Topology::build()?;
    let (http, media, origin) = (
        8443,
        SocketAddr::from((EDGE, 8444)),
        SocketAddr::from(([127, 0, 0, 1], 1935)),
    );
    let listen = SocketAddr::from(([0, 0, 0, 0], http));
    let mut command = Command::new(programs().join("lianmai-edge"));
    command.args([
        "--http",
        &listen.to_string(),
        "--media",
        &media.to_string(),
        "--origin",
        &origin.to_string(),
    ]);
    command.args(["--tls", "off", "--open", "--canvas"]);
    command.arg(format!("320x180@{FLASH_RATE}"));
    command.args([
        "--advertise",
        &EDGE.to_string(),
        "--advertise",
        &MIDDLE.to_string(),
    ]);
    let edge = Edge::launch(
        &mut command,
        SocketAddr::from(([127, 0, 0, 1], http)),
        media,
        origin,
    )?;
    let _link = Delay::start(
        &topology.middle,
        SocketAddr::from((MIDDLE, 8444)),
        media,
        FAR_LINK,
    )?;
    let page = KurentoPage::serve_on([0, 0, 0, 0].into())?;
    let near = Browser::open(None).await?;
    let far = Browser::open_with(
        topology.far.command("chromedriver"),
        SocketAddr::from((FAR, 9515)),
        None,
    )
    .await?;
    join_flashing(&near, &page, listen, "near", TONES[0])
        .await
        .with_context(|| edge.log())?;
    join_flashing(&far, &page, listen, "far", TONES[1])
        .await
        .with_context(|| edge.log())?;
    wait_for_others(&near, "near", 1).await?;
    wait_for_others(&far, "far", 1).await?;
    // The room learns how late things come.
    let_it_be(15).await;
    let file = report::dir()?.join("skew.flv");
    let seconds = skew_seconds();
    probe::take(&edge.mix_url(ROOM), seconds, &file)?;
    let mix = Recording::open(&file)?;
    let flashes = [mix.flashes(0.1), mix.flashes(0.6)];
    let skew = Distances::between(&flashes[0], &flashes[1]);
    report::note(
        "skew",
        &format!("flash of far after near in {seconds} s: {}", skew.describe()),
    )?;
    let offsets: Vec<Distances> = TONES
        .iter()
        .zip(&flashes)
        .map(|(tone, flashes)| Distances::between(flashes, &mix.beeps(*tone)))
        .collect();
    for (name, offset) in ["near", "far"].iter().zip(&offsets) {
        report::note(
            "skew",
            &format!("beep of {name} after its flash: {}", offset.describe()),
        )?;
    }
    let room = edge.api(&format!("rooms/{ROOM}"))?;
    report::note("skew", &format!("the mixer: {}", room["mixer"]["stats"]))?;
    ensure!(
        skew.len() * 4 >= seconds as usize * 3,
        "{} flashes in {seconds} s",
        skew.len()
    );
    ensure!(skew.percentile(95) <= 0.041, "skew: {}", skew.describe());
    for offset in offsets {
        ensure!(
            offset.percentile(95) <= 0.060,
            "A/V offset: {}",
            offset.describe()
        );
    }
    near.close().await?;
    far.close().await
}
