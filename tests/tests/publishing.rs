//! A mix and those who watch over it: targets that come and go, a mixer that is killed, hosts that leave, and what webhooks are
//! told of all that.

use anyhow::{Context, Result, ensure};
use lianmai_tests::capture::HOSTS;
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::{send, send_json};
use lianmai_tests::nginx::Nginx;
use lianmai_tests::wait::until;
use lianmai_tests::webhook::Webhook;
use lianmai_tests::{probe, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use ureq::http::{Method, Request, StatusCode};

const ROOM: &str = "show";
const SECRET: &str = "a secret of the publishing test";
const PATIENCE: Duration = Duration::from_secs(20);

/// Seconds that the mix goes on without hosts.
const SLATE: u64 = 6;

struct Stage {
    nginx: Nginx,
    webhook: Webhook,
    edge: Edge,
}

impl Stage {
    fn set() -> Result<Self> {
        let (nginx, webhook) = (Nginx::start()?, Webhook::listen(SECRET)?);
        let secret = tempfile::NamedTempFile::new()?;
        std::fs::write(secret.path(), SECRET)?;
        let edge = Edge::start(&[
            "--canvas",
            "640x360@15",
            "--rtmp-target",
            &nginx.url("{room}-secret?key=1"),
            "--idle-slate",
            &SLATE.to_string(),
            "--webhook",
            &webhook.url(),
            "--webhook-secret-file",
            &secret.path().display().to_string(),
        ])?;
        Ok(Self { nginx, webhook, edge })
    }

    fn targets_url(&self) -> String {
        format!("{}/api/v1/rooms/{ROOM}/targets", self.edge.url)
    }

    fn targets(&self) -> Result<Vec<Value>> {
        let targets = self.edge.api(&format!("rooms/{ROOM}/targets"))?;
        Ok(targets.as_array().cloned().unwrap_or_default())
    }

    fn add(&self, url: &str) -> Result<Value> {
        let target = json!({"url": url, "retry_max_ms": 1000});
        let (status, said) = send_json(Method::POST, &self.targets_url(), &target)?;
        ensure!(status == StatusCode::CREATED, "{said}");
        Ok(serde_json::from_str(&said)?)
    }

    fn remove(&self, id: &Value) -> Result<()> {
        let response = send(Request::delete(format!("{}/{id}", self.targets_url())).body(String::new())?)?;
        ensure!(response.status() == StatusCode::NO_CONTENT, "{}", response.body());
        Ok(())
    }

    fn wait_for(&self, states: &[&str]) -> Result<()> {
        until(PATIENCE, &format!("targets that are {states:?}"), || {
            let targets = self.targets()?;
            let found: Vec<_> = targets
                .iter()
                .filter_map(|target| target["state"].as_str())
                .collect();
            Ok((found == states).then_some(()))
        })
        .with_context(|| self.edge.log())
    }

    /// The events but those of targets, by name.
    fn heard(&self) -> Result<Vec<String>> {
        let events = self.webhook.events()?;
        let names = events.iter().filter_map(|event| event["event"].as_str());
        Ok(names
            .filter(|name| *name != "target_state")
            .map(str::to_owned)
            .collect())
    }

    fn wait_to_hear(&self, names: &[&str]) -> Result<()> {
        until(PATIENCE, &format!("webhooks of {names:?}"), || {
            Ok((self.heard()? == names).then_some(()))
        })
        .with_context(|| format!("{:?}", self.heard()))
    }
}

#[tokio::test]
async fn targets_come_and_go_survive_the_mixer_and_outlast_the_hosts_for_a_while() -> Result<()> {
    let stage = Stage::set()?;
    let seat = Seat {
        edge: &stage.edge.url,
        room: ROOM,
        name: "ann",
    };
    let browser = seat.join(&HOSTS[0].sized(320, 180, 15)).await?;
    stage.wait_for(&["publishing"])?;
    let added = stage.add(&stage.nginx.url("extra-secret"))?;
    stage.wait_for(&["publishing", "publishing"])?;
    let file = report::dir()?.join("publishing-extra.flv");
    probe::take(&stage.nginx.url("extra-secret"), 3, &file)?;
    ensure!(
        probe::codecs(&file)? == ["h264", "aac"],
        "the added target has the mix"
    );
    let sent = stage
        .edge
        .metric("lianmai_target_sent_bytes_total", &["target=\"1\""])?;
    ensure!(sent > 10_000.0, "{sent} bytes to the added target");

    let mixer = stage.edge.mixer_pid(ROOM)?.context("a mixer")?;
    kill(Pid::from_raw(mixer), Signal::SIGKILL)?;
    until(PATIENCE, "another mixer", || {
        Ok(stage.edge.mixer_pid(ROOM)?.filter(|pid| *pid != mixer).map(drop))
    })?;
    stage.wait_for(&["publishing", "publishing"])?;
    stage.wait_to_hear(&["room_opened", "host_joined", "mixer_restarted"])?;

    stage.remove(&added["id"])?;
    stage.wait_for(&["publishing"])?;
    let gone = stage
        .edge
        .metric("lianmai_target_sent_bytes_total", &["target=\"1\""])?;
    ensure!(gone == 0.0, "a target that is gone has no series");

    let shown = format!(
        "{:?} {:?} {} {}",
        stage.targets()?,
        stage.webhook.events()?,
        lianmai_tests::http::get(&format!("{}/metrics", stage.edge.url))?,
        stage.edge.log()
    );
    ensure!(!shown.contains("secret"), "a stream's name is shown:\n{shown}");

    // The last host leaves, and with it the room is closed; whoever watches sees the slate, without a break.
    browser.close().await?;
    let left = [
        "room_opened",
        "host_joined",
        "mixer_restarted",
        "host_left",
        "room_closed",
    ];
    stage.wait_to_hear(&left)?;
    let since = Instant::now();
    let file = report::dir()?.join("publishing-slate.flv");
    probe::take(&stage.nginx.url(&format!("{ROOM}-secret")), 3, &file)?;
    let pictures = probe::pictures(&file, 64, 36)?;
    let middle = pictures.last().context("a slate")?.mean([0.3, 0.3, 0.4, 0.4]);
    ensure!(
        middle.iter().all(|part| *part < 60.0),
        "the slate is the background: {middle:?}"
    );
    stage.wait_to_hear(&[left.as_slice(), &["mix_ended"]].concat())?;
    let lasted = since.elapsed();
    report::note(
        "publishing",
        &format!("the slate ended {lasted:.1?} after the room was closed"),
    )?;
    ensure!(
        lasted < Duration::from_secs(SLATE + 4),
        "it goes on for {SLATE} s and no more: {lasted:?}"
    );
    ensure!(
        stage.edge.metric("lianmai_mixers", &[])? == 0.0,
        "no mixer is left"
    );
    Ok(())
}
