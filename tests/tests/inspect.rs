//! Looking into a room from outside: snapshots on demand, as files and as webhooks, and a host's RTP that ffmpeg receives.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lianmai_tests::capture::HOSTS;
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::{bytes, get, send, send_json};
use lianmai_tests::probe::SAMPLE_RATE;
use lianmai_tests::process::output;
use lianmai_tests::wait::until;
use lianmai_tests::webhook::Webhook;
use lianmai_tests::{probe, report, tone};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use ureq::http::{Method, Request, StatusCode};

const ROOM: &str = "show";
const SECRET: &str = "a secret of the inspection test";
const PATIENCE: Duration = Duration::from_secs(20);

/// Of 255; what camera, browser and three codecs do to a colour.
const TOLERANCE: f64 = 16.0;

/// Where a host's picture has its colour alone, in fractions: left, top, width, height.
const PLAIN: [f64; 4] = [0.1, 0.1, 0.8, 0.5];

struct Stage {
    webhook: Webhook,
    pictures: TempDir,
    edge: Edge,
}

impl Stage {
    fn set() -> Result<Self> {
        let (webhook, pictures) = (Webhook::listen(SECRET)?, tempfile::tempdir()?);
        let secret = tempfile::NamedTempFile::new()?;
        std::fs::write(secret.path(), SECRET)?;
        let edge = Edge::start(&[
            "--canvas",
            "640x360@15",
            "--snapshot-interval",
            "2",
            "--snapshot-dir",
            &pictures.path().display().to_string(),
            "--snapshot-webhook",
            &webhook.url(),
            "--webhook-secret-file",
            &secret.path().display().to_string(),
        ])?;
        Ok(Self {
            webhook,
            pictures,
            edge,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/rooms/{ROOM}/{path}", self.edge.url)
    }

    /// Waits for a snapshot on demand that shows ann: in the mix she appears by a fade.
    fn check_snapshot(&self, path: &str, name: &str) -> Result<()> {
        let file = report::dir()?.join(format!("snapshot-{name}.jpg"));
        until(PATIENCE, &format!("{path} to show ann"), || {
            let (status, jpeg) = bytes(&self.url(path))?;
            if status != StatusCode::OK {
                return Ok(None);
            }
            std::fs::write(&file, jpeg)?;
            Ok((off(&file)? < TOLERANCE).then_some(()))
        })
        .with_context(|| self.edge.log())?;
        check_colour(&file, name)
    }

    /// Waits for a picture of somebody that is taken from now on, and checks what is told of it.
    fn check_webhook(&self, user: Option<&str>) -> Result<()> {
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let is_it = |event: &Value| {
            event["user"].as_str() == user && event["taken_ms"].as_u64().is_some_and(|taken| taken >= now)
        };
        let event = until(PATIENCE, &format!("a webhook with a picture of {user:?}"), || {
            Ok(self.webhook.events()?.into_iter().find(is_it))
        })
        .with_context(|| self.edge.log())?;
        ensure!(event["event"] == "snapshot" && event["room"] == ROOM, "{event}");
        let jpeg = STANDARD.decode(event["jpeg"].as_str().context("no picture")?)?;
        let name = event["file"].as_str().context("no file")?;
        let file = self.pictures.path().join(name);
        let written = until(PATIENCE, &format!("{name} to be written"), || {
            Ok(std::fs::read(&file).ok())
        })?;
        ensure!(written == jpeg, "file and webhook have the same picture");
        check_colour(&file, name)
    }

    fn forward(&self, body: &Value) -> Result<(StatusCode, String)> {
        send_json(Method::POST, &self.url("participants/ann/forwards"), body)
    }

    fn forwarded(&self, what: &str) -> Result<f64> {
        self.edge
            .metric(&format!("lianmai_forward_{what}_total"), &["room=\"show\""])
    }
}

/// How far the last picture of a file is from ann's colour.
fn off(file: &Path) -> Result<f64> {
    let pictures = probe::pictures(file, 160, 90)?;
    let seen = pictures.last().context("no picture")?.mean(PLAIN);
    let parts = seen.iter().zip(HOSTS[0].rgb);
    Ok(parts
        .map(|(seen, sent)| (seen - f64::from(sent)).abs())
        .fold(0.0, f64::max))
}

/// The last picture of a file has ann's colour.
fn check_colour(file: &Path, name: &str) -> Result<()> {
    let off = off(file)?;
    report::note("inspect", &format!("{name}: {off:.0} of 255 off"))?;
    ensure!(off < TOLERANCE, "{name} is {off:.0} off");
    Ok(())
}

/// Two even ports whose successors are free too.
fn ports() -> Result<[u16; 2]> {
    let bind = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
    let mut held = Vec::new();
    while held.len() < 2 {
        let rtp = bind(0)?;
        let port = rtp.local_addr()?.port();
        if let (0, Ok(rtcp)) = (port % 2, bind(port.saturating_add(1))) {
            held.push((port, rtp, rtcp));
        }
    }
    Ok([held[0].0, held[1].0])
}

/// What ffmpeg receives by an SDP file in some seconds, decoded and coded again.
fn receive(sdp: &Path, seconds: u32) -> Result<PathBuf> {
    let file = report::dir()?.join("forwarded.mkv");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-protocol_whitelist", "file,udp,rtp", "-i"]);
    command.arg(sdp).args(["-t", &seconds.to_string()]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le"]);
    output(command.arg(&file))?;
    Ok(file)
}

#[tokio::test]
async fn a_host_is_seen_in_snapshots_and_heard_by_ffmpeg_and_both_outlive_the_mixer() -> Result<()> {
    let stage = Stage::set()?;
    let (status, _) = bytes(&stage.url("snapshot.jpg"))?;
    ensure!(status == StatusCode::NOT_FOUND, "there is no room yet: {status}");
    let seat = Seat {
        edge: &stage.edge.url,
        room: ROOM,
        name: "ann",
    };
    let browser = seat.join(&HOSTS[0].sized(320, 180, 15)).await?;
    stage.check_snapshot("participants/ann/snapshot.jpg", "host")?;
    stage.check_snapshot("snapshot.jpg", "mix")?;
    stage.check_webhook(Some("ann"))?;
    stage.check_webhook(None)?;

    let [audio, video] = ports()?;
    let (status, refused) = stage.forward(&json!({"host": "224.0.0.1", "video_port": video}))?;
    ensure!(
        status == StatusCode::UNPROCESSABLE_ENTITY && refused.contains("multicast"),
        "{refused}"
    );
    let body = json!({"host": "127.0.0.1", "audio_port": audio, "video_port": video, "key_frame_seconds": 1});
    let (status, added) = stage.forward(&body)?;
    ensure!(status == StatusCode::CREATED, "{added}");
    let id = serde_json::from_str::<Value>(&added)?["id"].clone();
    let forward = stage.url(&format!("participants/ann/forwards/{id}"));
    let sdp = report::dir()?.join("forward.sdp");
    std::fs::write(&sdp, get(&format!("{forward}/stream.sdp"))?)?;
    let file = receive(&sdp, 4).with_context(|| stage.edge.log())?;
    ensure!(
        probe::codecs(&file)? == ["h264", "pcm_s16le"],
        "{:?}",
        probe::codecs(&file)?
    );
    check_colour(&file, "forwarded")?;
    let sound = probe::sound(&file)?;
    let middle = &sound[sound.len() / 4..sound.len() * 3 / 4];
    let prominence = tone::prominence(middle, SAMPLE_RATE, HOSTS[0].tone);
    let (packets, reports) = (stage.forwarded("packets")?, stage.forwarded("reports")?);
    report::note(
        "inspect",
        &format!(
            "forwarded: {packets} packets, {reports} reports; the tone stands {prominence:.0} dB above its neighbours"
        ),
    )?;
    ensure!(prominence > 20.0, "the tone: {prominence:.0} dB");
    ensure!(
        packets > 100.0 && reports > 0.0,
        "{packets} packets, {reports} reports"
    );

    let mixer = stage.edge.mixer_pid(ROOM)?.context("a mixer")?;
    kill(Pid::from_raw(mixer), Signal::SIGKILL)?;
    until(PATIENCE, "another mixer", || {
        Ok(stage.edge.mixer_pid(ROOM)?.filter(|pid| *pid != mixer).map(drop))
    })?;
    until(PATIENCE, "another mixer to forward", || {
        let sent = stage.forwarded("packets")?;
        Ok((sent > 0.0 && sent < packets).then_some(()))
    })?;
    stage.check_snapshot("participants/ann/snapshot.jpg", "host-again")?;
    let gone = send(Request::delete(&forward).body(String::new())?)?;
    ensure!(gone.status() == StatusCode::NO_CONTENT, "{}", gone.body());
    ensure!(
        stage.forwarded("packets")? == 0.0,
        "a forward that is gone has no series"
    );
    browser.close().await
}
