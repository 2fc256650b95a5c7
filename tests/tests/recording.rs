//! What is kept of a room: files of the mix and of a host, started and stopped live, over a mixer that is killed and a disk that is
//! full; and the mix as HLS, which ffmpeg reads while it is made.

use anyhow::{Context, Result, ensure};
use lianmai_tests::capture::HOSTS;
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::{get, get_json, send_json};
use lianmai_tests::wait::until;
use lianmai_tests::webhook::Webhook;
use lianmai_tests::{probe, report};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use ureq::http::{Method, StatusCode};

const ROOM: &str = "show";
const SECRET: &str = "a secret of the recording test";
const PATIENCE: Duration = Duration::from_secs(20);

/// A file system of its own for the recordings, which can be filled up.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let size = Some("size=32m");
        mount(None::<&str>, dir.path(), Some("tmpfs"), MsFlags::empty(), size)
            .context("tests run as root")?;
        Ok(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte free.
    fn fill(&self) -> Result<()> {
        let ballast = std::fs::File::create(self.path().join("ballast"))?;
        let whole = std::io::copy(&mut std::io::repeat(0), &mut { ballast });
        ensure!(whole.is_err(), "the disk has no end");
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(self.path(), MntFlags::MNT_DETACH);
    }
}

struct Stage {
    edge: Edge,
    webhook: Webhook,
    disk: Disk,
}

impl Stage {
    fn set() -> Result<Self> {
        let (webhook, disk) = (Webhook::listen(SECRET)?, Disk::mount()?);
        let secret = tempfile::NamedTempFile::new()?;
        std::fs::write(secret.path(), SECRET)?;
        let edge = Edge::start(&[
            "--canvas",
            "640x360@15",
            "--record",
            &disk.path().display().to_string(),
            "--record-what",
            "none",
            "--webhook",
            &webhook.url(),
            "--webhook-secret-file",
            &secret.path().display().to_string(),
        ])?;
        Ok(Self { edge, webhook, disk })
    }

    fn url(&self) -> String {
        format!("{}/api/v1/rooms/{ROOM}/recording", self.edge.url)
    }

    fn record(&self, what: &Value) -> Result<()> {
        let (status, said) = send_json(Method::PUT, &self.url(), what)?;
        ensure!(status == StatusCode::OK, "{said}");
        Ok(())
    }

    fn files(&self) -> Result<Vec<Value>> {
        let recording = get_json(&self.url())?;
        Ok(recording["files"].as_array().cloned().unwrap_or_default())
    }

    /// Until files are in these states, in their order, and have something in them.
    fn wait_for(&self, states: &[&str]) -> Result<Vec<Value>> {
        let what = format!("recordings that are {states:?}");
        until(PATIENCE, &what, || {
            let files = self.files()?;
            let found: Vec<_> = files.iter().filter_map(|file| file["state"].as_str()).collect();
            let written = files
                .iter()
                .all(|file| file["state"] == "failed" || file["bytes"].as_u64() > Some(20_000));
            Ok((found == states && written).then_some(files))
        })
        .with_context(|| format!("{:?}\n{}", self.files(), self.edge.log()))
    }

    fn list_url(&self) -> String {
        format!("{}/live/{ROOM}/index.m3u8", self.edge.url)
    }

    /// What ffmpeg has to say of some seconds of the live list; at best nothing.
    fn watch(&self, seconds: u32, file: &Path) -> Result<()> {
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-i", &self.list_url()])
            .args(["-t", &seconds.to_string(), "-c", "copy"])
            .arg(file)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "ffmpeg: {said}");
        Ok(())
    }
}

/// Decodes all of a file; any complaint is a failure.
fn decode(file: &Path) -> Result<usize> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.is_empty(),
        "{}: {said}",
        file.display()
    );
    let packets = probe::packets(file)?;
    Ok(packets.iter().filter(|packet| packet.video).count())
}

#[tokio::test]
async fn a_room_is_recorded_and_watched_whatever_happens_to_its_mixer_and_its_disk() -> Result<()> {
    let stage = Stage::set()?;
    let seat = Seat {
        edge: &stage.edge.url,
        room: ROOM,
        name: "ann",
    };
    let browser = seat.join(&HOSTS[0].sized(320, 180, 15)).await?;
    ensure!(stage.files()?.is_empty(), "nobody asked for recordings");
    stage.record(&json!({"mix": true, "hosts": true}))?;
    stage.wait_for(&["recording", "recording"])?;

    // The list is made for the first one who asks, and ffmpeg reads it live.
    let file = report::dir()?.join("recording-hls.mp4");
    stage.watch(4, &file)?;
    ensure!(probe::codecs(&file)? == ["h264", "aac"], "the mix as HLS");
    let pictures = decode(&file)?;
    ensure!(pictures >= 50, "{pictures} pictures in 4 s at 15 a second");
    let list = get(&stage.list_url())?;
    ensure!(
        list.contains("#EXT-X-TARGETDURATION:2\n") && !list.contains("ENDLIST"),
        "{list}"
    );

    let mixer = stage.edge.mixer_pid(ROOM)?.context("a mixer")?;
    kill(Pid::from_raw(mixer), Signal::SIGKILL)?;
    stage.wait_for(&["ended", "ended", "recording", "recording"])?;
    let list = until(PATIENCE, "a list that goes on after a discontinuity", || {
        let list = get(&stage.list_url())?;
        Ok(list.contains("#EXT-X-DISCONTINUITY\n").then_some(list))
    })?;
    report::note("recording", &list)?;

    stage.record(&json!({}))?;
    let files = stage.wait_for(&["ended"; 4])?;
    for file in &files {
        let (name, host) = (file["file"].as_str().context("a name")?, &file["host"]);
        let path = stage.disk.path().join(name);
        let pictures = decode(&path)?;
        report::note("recording", &format!("{name}: {pictures} pictures"))?;
        let codecs: &[&str] = if host.is_null() {
            &["h264", "aac"]
        } else {
            &["h264", "opus"]
        };
        ensure!(probe::codecs(&path)? == codecs, "{name}");
        ensure!(host.is_null() || name.ends_with("Z-ann.mp4"), "{name}");
        ensure!(pictures >= 20, "{name} has {pictures} pictures");
    }

    stage.disk.fill()?;
    stage.record(&json!({"mix": true}))?;
    let states = ["ended", "ended", "ended", "ended", "failed"];
    let files = stage.wait_for(&states)?;
    let reason = files[4]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("No space left"), "{files:?}");
    let event = until(PATIENCE, "a webhook of the full disk", || {
        let events = stage.webhook.events()?;
        Ok(events
            .into_iter()
            .find(|event| event["event"] == "recording_failed"))
    })?;
    ensure!(
        event["recording"]["state"] == "failed" && event["room"] == ROOM,
        "{event}"
    );
    let failures = stage
        .edge
        .metric("lianmai_recording_failures_total", &["reason=\"failed\""])?;
    ensure!(failures == 1.0, "{failures} failures");
    stage.watch(2, &report::dir()?.join("recording-full-disk.mp4"))?;
    browser.close().await?;
    Ok(())
}
