//! The mixed stream at a real nginx-rtmp and at the embedded origin, read by ffmpeg.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::{Capture, HOSTS};
use lianmai_tests::edge::Edge;
use lianmai_tests::host::Seat;
use lianmai_tests::nginx::Nginx;
use lianmai_tests::probe::{self, Packet, SAMPLE_RATE};
use lianmai_tests::wait::until;
use lianmai_tests::{report, tone};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const ROOM: &str = "show";
const FPS: f64 = 15.0;

fn hosts() -> [Capture; 2] {
    [HOSTS[0].sized(320, 180, 15), HOSTS[1].sized(320, 180, 15)]
}

/// An edge that publishes every mix to nginx and to its own origin.
fn edge(nginx: &Nginx) -> Result<Edge> {
    let origin = lianmai_tests::edge::free_tcp()?;
    let own = format!("rtmp://{origin}/live/{{room}}");
    let flags = [
        "--canvas",
        "640x360@15",
        "--rtmp-target",
        &nginx.url("{room}"),
        "--rtmp-target",
        &own,
    ];
    Edge::start_with_origin(origin, &flags)
}

async fn join_both(edge: &Edge) -> Result<Vec<Browser>> {
    let mut browsers = Vec::new();
    for (name, capture) in ["ann", "bob"].into_iter().zip(hosts()) {
        browsers.push(
            Seat {
                edge: &edge.url,
                room: ROOM,
                name,
            }
            .join(&capture)
            .await?,
        );
    }
    Ok(browsers)
}

fn targets_publishing(edge: &Edge) -> Result<usize> {
    let room = edge.api(&format!("rooms/{ROOM}"))?;
    let targets = room["mixer"]["targets"].as_array().cloned().unwrap_or_default();
    Ok(targets
        .iter()
        .filter(|target| target["state"] == "publishing")
        .count())
}

fn wait_for_targets(edge: &Edge, count: usize) -> Result<()> {
    until(
        Duration::from_secs(20),
        &format!("{count} targets to be published to"),
        || Ok((targets_publishing(edge)? == count).then_some(())),
    )
}

fn deltas(packets: &[Packet], video: bool) -> Vec<f64> {
    let times: Vec<_> = packets
        .iter()
        .filter(|packet| packet.video == video)
        .map(|packet| packet.dts)
        .collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Codecs, frame rate, timestamps, pictures and tones of ten seconds of the mix.
fn check_mix(place: &str, file: &Path) -> Result<()> {
    ensure!(
        probe::codecs(file)? == ["h264", "aac"],
        "{place}: {:?}",
        probe::codecs(file)?
    );
    let packets = probe::packets(file)?;
    let (video, audio) = (deltas(&packets, true), deltas(&packets, false));
    ensure!(
        video.iter().chain(&audio).all(|delta| *delta > 0.0),
        "{place}: timestamps rise"
    );
    let longest = |deltas: &[f64]| deltas.iter().copied().fold(0.0, f64::max);
    let rate = video.len() as f64 / video.iter().sum::<f64>();
    report::note(
        "mix",
        &format!(
            "{place}: {rate:.2} fps, longest step {:.0} ms video, {:.0} ms audio, {} key frames",
            longest(&video) * 1000.0,
            longest(&audio) * 1000.0,
            packets.iter().filter(|packet| packet.video && packet.key).count()
        ),
    )?;
    ensure!((rate - FPS).abs() < 1.0, "{place}: {rate:.2} fps");
    ensure!(
        longest(&video) < 3.5 / FPS && longest(&audio) < 0.05,
        "{place}: a hole in the timestamps"
    );
    check_pictures(place, file)?;
    check_tones(place, file)
}

/// Two hosts share the canvas side by side, in the order in which they came.
fn check_pictures(place: &str, file: &Path) -> Result<()> {
    let pictures = probe::pictures(file, 160, 90)?;
    let last = pictures.last().context("no picture")?;
    for (capture, left) in hosts().iter().zip([0.05, 0.55]) {
        let seen = last.mean([left, 0.30, 0.40, 0.15]);
        let off = seen
            .iter()
            .zip(capture.rgb)
            .map(|(seen, sent)| (seen - f64::from(sent)).abs())
            .fold(0.0, f64::max);
        ensure!(off < 40.0, "{place}: {seen:?} where {:?} should be", capture.rgb);
    }
    Ok(())
}

fn check_tones(place: &str, file: &Path) -> Result<()> {
    let sound = probe::sound(file)?;
    let middle = &sound[sound.len() / 2..(sound.len() / 2 + 2 * SAMPLE_RATE as usize).min(sound.len())];
    for capture in hosts() {
        let prominence = tone::prominence(middle, SAMPLE_RATE, capture.tone);
        report::note(
            "mix",
            &format!(
                "{place}: {} Hz stands {prominence:.0} dB above its neighbours",
                capture.tone
            ),
        )?;
        ensure!(
            prominence > 20.0,
            "{place}: {} Hz is {prominence:.0} dB above its neighbours",
            capture.tone
        );
    }
    let silent = tone::prominence(middle, SAMPLE_RATE, HOSTS[3].tone);
    ensure!(silent < 12.0, "{place}: a tone that nobody sends, {silent:.0} dB");
    Ok(())
}

#[tokio::test]
async fn nginx_and_the_embedded_origin_carry_both_hosts_in_picture_and_sound() -> Result<()> {
    let nginx = Nginx::start()?;
    let edge = edge(&nginx)?;
    let browsers = join_both(&edge).await?;
    wait_for_targets(&edge, 2).with_context(|| edge.log())?;
    for (place, url) in [("nginx", nginx.url(ROOM)), ("origin", edge.mix_url(ROOM))] {
        let file = report::dir()?.join(format!("mix-{place}.flv"));
        probe::take(&url, 10, &file).with_context(|| edge.log())?;
        check_mix(place, &file)?;
    }
    watch_page(&edge).await.with_context(|| edge.log())?;
    for browser in browsers {
        browser.close().await?;
    }
    Ok(())
}

/// The watch page plays, shows both hosts, and what it plays has both tones.
async fn watch_page(edge: &Edge) -> Result<()> {
    let viewer = Browser::open(None).await?;
    viewer.goto(&format!("{}/watch/{ROOM}", edge.url)).await?;
    let playing = "return document.querySelector('video').currentTime > 3;";
    viewer
        .until(Duration::from_secs(30), "the watch page to play", playing)
        .await?;
    let seen = viewer.eval(LOOK, vec![]).await?;
    viewer.screenshot(&report::dir()?.join("watch.png")).await?;
    report::note("mix", &format!("watch page: {seen}"))?;
    for (index, capture) in hosts().iter().enumerate() {
        let colour: Vec<f64> = seen["colours"][index]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        let off = colour
            .iter()
            .zip(capture.rgb)
            .map(|(seen, sent)| (seen - f64::from(sent)).abs())
            .fold(0.0, f64::max);
        ensure!(
            colour.len() == 3 && off < 48.0,
            "the watch page shows {colour:?}, not {:?}",
            capture.rgb
        );
        let tones: Vec<f64> = seen["tones"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        let heard = tones
            .iter()
            .any(|tone| (tone - f64::from(capture.tone)).abs() < 8.0);
        ensure!(
            heard,
            "the watch page sounds like {tones:?}, without {}",
            capture.tone
        );
    }
    viewer.close().await
}

/// The colours in the middle of both halves, and the two loudest tones.
const LOOK: &str = r#"
    const video = document.querySelector("video");
    const canvas = new OffscreenCanvas(64, 36);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, 64, 36);
    const colour = (x) => Array.from(context.getImageData(x, 13, 1, 1).data.slice(0, 3));
    const audio = new AudioContext();
    const analyser = new AnalyserNode(audio, { fftSize: 32768, smoothingTimeConstant: 0 });
    audio.createMediaStreamSource(video.captureStream()).connect(analyser);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const peak = () => {
      const loudest = bins.indexOf(Math.max(...bins));
      bins.fill(-Infinity, Math.max(0, loudest - 40), loudest + 40);
      return loudest * audio.sampleRate / analyser.fftSize;
    };
    return { colours: [colour(14), colour(48)], tones: [peak(), peak()], at: video.currentTime };
"#;

#[tokio::test]
async fn a_target_that_closes_is_published_to_again_by_the_same_mixer() -> Result<()> {
    let mut nginx = Nginx::start()?;
    let edge = edge(&nginx)?;
    let browsers = join_both(&edge).await?;
    wait_for_targets(&edge, 2).with_context(|| edge.log())?;
    let mixer = edge.mixer_pid(ROOM)?;
    nginx.stop()?;
    wait_for_targets(&edge, 1).context("the mixer notices that nginx is gone")?;
    nginx.start_again()?;
    wait_for_targets(&edge, 2).context("the mixer comes back to nginx")?;
    let file = report::dir()?.join("mix-after-reconnect.flv");
    probe::take(&nginx.url(ROOM), 4, &file)?;
    ensure!(
        probe::codecs(&file)? == ["h264", "aac"],
        "the stream is whole after the reconnect"
    );
    ensure!(
        mixer.is_some() && edge.mixer_pid(ROOM)? == mixer,
        "the mixer was not restarted"
    );
    for browser in browsers {
        browser.close().await?;
    }
    Ok(())
}
