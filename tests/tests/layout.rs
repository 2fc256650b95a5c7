//! A room whose layout and volumes change while it is watched, and whose mixer dies.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::{Capture, HOSTS};
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::send_json;
use lianmai_tests::wait::until;
use lianmai_tests::{probe, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Method, StatusCode};

const ROOM: &str = "show";
const FPS: f64 = 15.0;
const PATIENCE: Duration = Duration::from_secs(20);

/// Where in the canvas a host is alone, in fractions: left, top, width, height.
type Part = [f64; 4];
const LEFT: Part = [0.1, 0.3, 0.3, 0.15];
const RIGHT: Part = [0.6, 0.3, 0.3, 0.15];
const CORNER: Part = [0.75, 0.78, 0.2, 0.06];
const REST: Part = [0.05, 0.05, 0.5, 0.1];

fn hosts() -> [Capture; 2] {
    [HOSTS[0].sized(320, 180, 15), HOSTS[1].sized(320, 180, 15)]
}

async fn join_both(edge: &Edge) -> Result<Vec<Browser>> {
    let mut browsers = Vec::new();
    for (name, capture) in ["ann", "bob"].into_iter().zip(hosts()) {
        let seat = Seat {
            edge: &edge.url,
            room: ROOM,
            name,
        };
        browsers.push(seat.join(&capture).await?);
    }
    Ok(browsers)
}

fn put(edge: &Edge, what: &str, value: &Value) -> Result<(StatusCode, String)> {
    let url = format!("{}/api/v1/rooms/{ROOM}/{what}", edge.url);
    send_json(Method::PUT, &url, value)
}

fn is_colour(picture: &probe::Picture, part: Part, host: usize) -> bool {
    let seen = picture.mean(part);
    let wanted = hosts()[host].rgb.map(f64::from);
    seen.iter()
        .zip(wanted)
        .all(|(seen, wanted)| (seen - wanted).abs() < 40.0)
}

fn file(name: &str) -> Result<PathBuf> {
    Ok(report::dir()?.join(format!("layout-{name}.flv")))
}

/// Whether the SEI in a part of the mix says that somebody is so loud.
fn says_volume(file: &Path, percent: u16) -> Result<bool> {
    let wanted = format!("\"volume\":{percent},");
    Ok(std::fs::read(file)?
        .windows(wanted.len())
        .any(|bytes| bytes == wanted.as_bytes()))
}

/// Whether the last picture of a part of the mix has these hosts in these places.
fn ends_with(file: &Path, places: &[(Part, usize)]) -> Result<bool> {
    let pictures = probe::pictures(file, 160, 90)?;
    let last = pictures.last().context("no picture")?;
    Ok(places.iter().all(|(part, host)| is_colour(last, *part, *host)))
}

fn wait_to_see(edge: &Edge, name: &str, places: &[(Part, usize)]) -> Result<()> {
    let file = file(name)?;
    until(PATIENCE, &format!("the mix to look {name}"), || {
        let taken = probe::take(&edge.mix_url(ROOM), 1, &file).is_ok();
        Ok((taken && ends_with(&file, places).unwrap_or(false)).then_some(()))
    })
    .with_context(|| edge.log())
}

#[tokio::test]
async fn a_layout_changes_without_a_gap_and_outlives_the_mixer() -> Result<()> {
    let edge = Edge::start(&["--canvas", "640x360@15"])?;
    let _browsers = join_both(&edge).await?;
    wait_to_see(&edge, "like-a-grid", &[(LEFT, 0), (RIGHT, 1)])?;

    let (url, change) = (edge.mix_url(ROOM), file("change")?);
    let watching = {
        let change = change.clone();
        std::thread::spawn(move || probe::take(&url, 5, &change))
    };
    let layout = json!({
        "layout": {"type": "picture_in_picture", "main": "bob", "percent": 30},
        "labels": true,
        "watermarks": [{"content": {"type": "clock"}, "corner": "top_right"}],
    });
    let volume = json!({ "volume": 150 });
    for (what, value) in [("layout", &layout), ("participants/ann/volume", &volume)] {
        let (status, body) = put(&edge, what, value)?;
        ensure!(status == StatusCode::NO_CONTENT, "{what}: {status} {body}");
    }
    watching
        .join()
        .map_err(|_| anyhow::anyhow!("the watching thread panicked"))??;
    ensure!(
        ends_with(&change, &[(REST, 1), (CORNER, 0)])?,
        "bob has all of it and ann the corner: {}",
        change.display()
    );
    ensure!(says_volume(&change, 150)?, "ann is louder: {}", change.display());
    let times: Vec<f64> = probe::packets(&change)?
        .iter()
        .filter(|packet| packet.video)
        .map(|packet| packet.dts)
        .collect();
    let steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (least, most) = steps.iter().fold((f64::MAX, 0.0_f64), |(least, most), step| {
        (least.min(*step), most.max(*step))
    });
    report::note(
        "layout",
        &format!(
            "a change of layout: {} pictures, {:.0} to {:.0} ms apart",
            times.len(),
            least * 1000.0,
            most * 1000.0
        ),
    )?;
    ensure!(
        (least - 1.0 / FPS).abs() < 0.002 && (most - 1.0 / FPS).abs() < 0.002,
        "{least} to {most} s between pictures"
    );

    let shown = edge.api(&format!("rooms/{ROOM}/layout"))?;
    ensure!(shown["layout"]["main"] == "bob", "{shown}");
    let (status, body) = put(&edge, "layout", &json!({"layout": {"type": "circle"}}))?;
    ensure!(
        status == StatusCode::UNPROCESSABLE_ENTITY && body.contains("circle"),
        "{status} {body}"
    );

    let mixer = edge.mixer_pid(ROOM)?.context("a mixer")?;
    kill(Pid::from_raw(mixer), Signal::SIGKILL)?;
    until(PATIENCE, "another mixer", || {
        Ok(edge.mixer_pid(ROOM)?.filter(|pid| *pid != mixer).map(drop))
    })?;
    let again = "as-it-did-before-the-mixer-died";
    wait_to_see(&edge, again, &[(REST, 1), (CORNER, 0)])?;
    ensure!(says_volume(&file(again)?, 150)?, "ann is as loud as before");
    Ok(())
}
