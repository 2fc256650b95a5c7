//! A host's pictures on their way into the mix: filtered, looked at by another program, drawn over.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::{Capture, HOSTS, python};
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::http::send_json;
use lianmai_tests::live::{Viewer, strictly_rising};
use lianmai_tests::process::output;
use lianmai_tests::wait::until;
use lianmai_tests::{probe, report};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use ureq::http::{Method, StatusCode};

const ROOM: &str = "show";
const PATIENCE: Duration = Duration::from_secs(20);
const SIZE: (usize, usize) = (640, 360);

/// The colour of the sample's boxes.
const BOX: [u8; 3] = [0x30, 0xe0, 0x60];

/// Where a host shows its colour, and no face.
const PLAIN: [f64; 4] = [0.65, 0.2, 0.3, 0.6];

fn edge() -> Result<Edge> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/vision/faces.py");
    let vision = format!("{} {}", python().display(), sample.display());
    Edge::start(&["--canvas", "640x360@15", "--vision", &vision])
}

fn ann() -> Capture {
    HOSTS[2].sized(640, 360, 15).with_face()
}

async fn join(edge: &Edge) -> Result<Browser> {
    let seat = Seat {
        edge: &edge.url,
        room: ROOM,
        name: "ann",
    };
    seat.join(&ann()).await
}

fn filters_url(edge: &Edge) -> String {
    format!("{}/api/v1/rooms/{ROOM}/participants/ann/filters", edge.url)
}

fn put(edge: &Edge, filters: &Value) -> Result<(StatusCode, String)> {
    send_json(Method::PUT, &filters_url(edge), filters)
}

fn mixer(edge: &Edge) -> Result<Value> {
    edge.api(&format!("rooms/{ROOM}/mixer"))
}

fn vision_pid(edge: &Edge) -> Result<Option<Pid>> {
    let pid = mixer(edge)?["vision_pid"].as_i64();
    Ok(pid.and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw))
}

fn count(edge: &Edge, pointer: &str) -> Result<u64> {
    let mixer = mixer(edge)?;
    mixer["stats"]
        .pointer(pointer)
        .and_then(Value::as_u64)
        .with_context(|| format!("no {pointer} in {mixer}"))
}

/// What the mix looks like.
struct Look {
    file: PathBuf,
    picture: probe::Picture,
}

impl Look {
    fn take(edge: &Edge, name: &str) -> Result<Self> {
        let file = report::dir()?.join(format!("vision-{name}.flv"));
        probe::take(&edge.mix_url(ROOM), 1, &file)?;
        let picture = probe::pictures(&file, SIZE.0, SIZE.1)?
            .pop()
            .context("a picture")?;
        Ok(Self { file, picture })
    }

    /// Left, top, right and bottom of all that has the colour of boxes, if there is enough of it.
    fn boxed(&self) -> Option<[usize; 4]> {
        let pixels = self.picture.rgb.as_chunks::<3>().0.iter().enumerate();
        let like = pixels.filter(|(_, rgb)| {
            rgb.iter()
                .zip(BOX)
                .all(|(seen, wanted)| seen.abs_diff(wanted) < 50)
        });
        let (mut found, mut count) = ([usize::MAX, usize::MAX, 0, 0], 0);
        for (index, _) in like {
            let (x, y) = (index % SIZE.0, index / SIZE.0);
            found = [found[0].min(x), found[1].min(y), found[2].max(x), found[3].max(y)];
            count += 1;
        }
        (count > 100).then_some(found)
    }

    /// Where the middle of the boxes is, as a fraction of the width.
    fn centre(&self) -> Option<f64> {
        let [left, _, right, _] = self.boxed()?;
        Some((left + right) as f64 / 2.0 / SIZE.0 as f64)
    }

    /// How far the host's colour is from grey.
    fn colour(&self) -> f64 {
        let [red, green, blue] = self.picture.mean(PLAIN);
        red.max(green).max(blue) - red.min(green).min(blue)
    }

    /// For people to look at.
    fn save(&self) -> Result<()> {
        let png = self.file.with_extension("png");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-i"]).arg(&self.file);
        output(ffmpeg.args(["-update", "1"]).arg(png)).map(drop)
    }
}

fn wait_to_see(edge: &Edge, name: &str, is_it: impl Fn(&Look) -> bool) -> Result<Look> {
    let look = until(PATIENCE, &format!("the mix to look {name}"), || {
        Ok(Look::take(edge, name).ok().filter(&is_it))
    })
    .with_context(|| edge.log())?;
    look.save()?;
    Ok(look)
}

fn face_at(look: &Look, wanted: f64) -> bool {
    look.centre().is_some_and(|centre| (centre - wanted).abs() < 0.06)
}

#[tokio::test]
async fn pictures_are_filtered_and_looked_at_and_a_vision_program_may_die_or_stop() -> Result<()> {
    let edge = edge()?;
    let _browser = join(&edge).await?;

    // The face is a quarter from the left, and has a box.
    let look = wait_to_see(&edge, "boxed", |look| face_at(look, 0.25) && look.colour() > 80.0)?;
    report::note("vision", &format!("a face at {:?}", look.boxed()))?;

    // Filters hold from one picture to the next, and the vision program sees what they made.
    let filters = json!([{"type": "mirror"}, {"type": "saturation", "factor": 0}]);
    let (status, body) = put(&edge, &filters)?;
    ensure!(status == StatusCode::NO_CONTENT, "{status} {body}");
    wait_to_see(&edge, "filtered", |look| {
        face_at(look, 0.75) && look.colour() < 20.0
    })?;
    let shown = edge.api(&format!("rooms/{ROOM}/participants/ann/filters"))?;
    ensure!(
        shown[0]["type"] == "mirror" && shown[1]["factor"] == 0.0,
        "{shown}"
    );
    let (status, body) = put(&edge, &json!([{"type": "blur", "radius": 99}]))?;
    ensure!(
        status == StatusCode::UNPROCESSABLE_ENTITY && body.contains("radius is 99"),
        "{status} {body}"
    );

    // A program that is killed is followed by another; one that stops is waited for; the mix takes no notice.
    let viewer = Viewer::watch(&edge.url, ROOM)?;
    let late = count(&edge, "/frames_skipped")?;
    let killed = vision_pid(&edge)?.context("a vision program")?;
    kill(killed, Signal::SIGKILL)?;
    let next = until(PATIENCE, "another vision program", || {
        Ok(vision_pid(&edge)?.filter(|pid| *pid != killed))
    })?;
    wait_to_see(&edge, "boxed-again", |look| face_at(look, 0.75))?;
    kill(next, Signal::SIGSTOP)?;
    wait_to_see(&edge, "unboxed", |look| look.boxed().is_none())?;
    let skipped = count(&edge, "/vision/frames_skipped")?;
    until(PATIENCE, "pictures to be skipped", || {
        Ok((count(&edge, "/vision/frames_skipped")? > skipped + 3).then_some(()))
    })?;
    kill(next, Signal::SIGCONT)?;
    wait_to_see(&edge, "boxed-at-last", |look| face_at(look, 0.75))?;
    let frames = viewer.frames();
    ensure!(strictly_rising(&frames), "the timestamps of the mix rise");
    let steps = frames
        .windows(2)
        .map(|pair| pair[1].tag.timestamp_ms - pair[0].tag.timestamp_ms);
    let (least, most) = steps.fold((u32::MAX, 0), |(least, most), step| {
        (least.min(step), most.max(step))
    });
    report::note(
        "vision",
        &format!(
            "killed and stopped: {} pictures, {least} to {most} ms apart",
            frames.len()
        ),
    )?;
    ensure!(
        (66..=67).contains(&least) && most <= 67 && count(&edge, "/frames_skipped")? == late,
        "{least} to {most} ms between pictures of the mix"
    );
    ensure!(edge.metric("lianmai_vision_restarts_total", &[])? == 1.0);

    // What was said of ann's pictures outlives the mixer, whose successor has a vision program of its own.
    let dead = edge.mixer_pid(ROOM)?.context("a mixer")?;
    kill(Pid::from_raw(dead), Signal::SIGKILL)?;
    until(PATIENCE, "another mixer", || {
        Ok(edge.mixer_pid(ROOM)?.filter(|pid| *pid != dead).map(drop))
    })?;
    wait_to_see(&edge, "as-before", |look| {
        face_at(look, 0.75) && look.colour() < 20.0
    })?;
    report::note("vision", &mixer(&edge)?["stats"]["vision"].to_string())
}
