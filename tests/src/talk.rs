//! A talk among hosts in real browsers: who is seen, in which colour, and heard, at which pitch.

use crate::browser::Browser;
use crate::capture::{Capture, HOSTS};
use crate::report;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// Hosts by their index.
pub const NAMES: [&str; 4] = ["ann", "bob", "cho", "dai"];

/// What a host shows: two large pictures, or four small ones, are what two cores encode and decode.
pub fn capture(index: usize, hosts: usize) -> Capture {
    let host = HOSTS[index];
    if hosts > 2 { host.sized(320, 180, 15) } else { host }
}

/// Until `count` streams of others are shown.
pub async fn wait_for_streams(browser: &Browser, own: &str, count: usize) -> Result<()> {
    let body = format!(
        "const peers = Object.entries(window.lianmai.peers).filter(([name]) => name !== {own:?});\
         return peers.length === {count} && peers.every(([, {{ video }}]) => video.videoWidth > 0 && video.currentTime > 0);"
    );
    browser
        .until(
            Duration::from_secs(30),
            &format!("{own} to see {count} others"),
            &body,
        )
        .await?;
    Ok(())
}

/// What one browser receives from one other, from getStats and from the sound itself.
const LOOK: &str = r#"
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const loudest = (analyser) => {
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      return bins.indexOf(Math.max(...bins)) * analyser.context.sampleRate / analyser.fftSize;
    };
    const analyserOf = (context) => new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0 });
    // Firefox plays nothing without a sound card, but records.
    const record = async (stream) => {
      const recorder = new MediaRecorder(new MediaStream(stream.getAudioTracks()));
      const recorded = new Promise((resolve) => { recorder.ondataavailable = ({ data }) => resolve(data); });
      recorder.start();
      await pause(1200);
      recorder.stop();
      const context = new OfflineAudioContext(1, 48000, 48000);
      const buffer = await context.decodeAudioData(await (await recorded).arrayBuffer());
      const source = new AudioBufferSourceNode(context, { buffer });
      const analyser = analyserOf(context);
      source.connect(analyser).connect(context.destination);
      source.start();
      await context.startRendering();
      return loudest(analyser);
    };
    const listen = async (stream) => {
      const context = new AudioContext();
      const analyser = analyserOf(context);
      context.createMediaStreamSource(stream).connect(analyser);
      await pause(1000);
      const heard = context.state === "running" ? loudest(analyser) : await record(stream);
      await context.close();
      return heard;
    };
    const colour = (video) => {
      const canvas = new OffscreenCanvas(8, 8);
      const context = canvas.getContext("2d");
      context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 2, 0, 0, 8, 8);
      return Array.from(context.getImageData(4, 2, 1, 1).data.slice(0, 3));
    };
    const result = {};
    for (const [name, { pc, video }] of Object.entries(window.lianmai.peers)) {
      const stats = [...(await pc.getStats()).values()];
      const find = (type, kind) => stats.find((entry) => entry.type === type && (!kind || entry.kind === kind));
      const transport = find("transport");
      const receives = Boolean(find("inbound-rtp", "video"));
      result[name] = {
        receives,
        srtp: transport?.srtpCipher,
        dtls: transport?.dtlsState,
        video: find("inbound-rtp", "video") ?? find("outbound-rtp", "video"),
        audio: find("inbound-rtp", "audio") ?? find("outbound-rtp", "audio"),
        tone: receives ? await listen(video.srcObject) : null,
        colour: receives ? colour(video) : null,
      };
    }
    return result;
"#;

/// Has a browser tell what it receives of everybody else.
pub async fn look(browser: &Browser) -> Result<Value> {
    browser.eval(LOOK, vec![]).await
}

/// A number of a report; 0 if there is none.
pub fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(0.0)
}

/// Checks what `me` received of `other` between two looks, and writes it down.
fn check(test: &str, me: usize, other: usize, hosts: usize, before: &Value, after: &Value) -> Result<()> {
    let expected = capture(other, hosts);
    let [who, whom] = [NAMES[me], NAMES[other]];
    let (was, is) = (&before[whom], &after[whom]);
    let seconds = (number(&is["video"], "timestamp") - number(&was["video"], "timestamp")) / 1000.0;
    let gained = |kind: &str, key: &str| number(&is[kind], key) - number(&was[kind], key);
    let rate = gained("video", "framesDecoded") / seconds;
    let freezes = gained("video", "freezeCount");
    let frozen = gained("video", "totalFreezesDuration");
    let tone = is["tone"].as_f64().context("no tone")?;
    report::note(
        test,
        &format!(
            "{who} <- {whom}: {rate:.1} of {} fps over {seconds:.0} s, {freezes} freezes ({frozen:.2} s), {:.0} packets lost, {tone:.0} Hz, {}, {:.0} kbit/s",
            expected.fps,
            gained("video", "packetsLost"),
            is["srtp"].as_str().unwrap_or("no cipher"),
            gained("video", "bytesReceived") * 8.0 / seconds / 1000.0,
        ),
    )?;
    ensure!(
        is["srtp"] == "SRTP_AEAD_AES_128_GCM",
        "{who} <- {whom}: {}",
        is["srtp"]
    );
    ensure!(
        rate > 0.6 * f64::from(expected.fps),
        "{who} decodes {rate:.1} fps of {whom}"
    );
    ensure!(
        (tone - f64::from(expected.tone)).abs() < 6.0,
        "{who} hears {tone} Hz from {whom}, not {}",
        expected.tone
    );
    let colour: Vec<f64> = is["colour"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect();
    let off = colour
        .iter()
        .zip(expected.rgb)
        .map(|(seen, sent)| (seen - f64::from(sent)).abs())
        .fold(0.0, f64::max);
    ensure!(
        colour.len() == 3 && off < 48.0,
        "{who} sees {colour:?} from {whom}, not {:?}",
        expected.rgb
    );
    Ok(())
}

/// Watches a talk for so long, and checks what everybody saw and heard of everybody else.
pub async fn watch(test: &str, browsers: &[Browser], talk: Duration) -> Result<()> {
    let hosts = browsers.len();
    for (me, browser) in browsers.iter().enumerate() {
        wait_for_streams(browser, NAMES[me], hosts - 1).await?;
    }
    let mut before = Vec::new();
    for browser in browsers {
        before.push(look(browser).await?);
    }
    // The talk itself: there is nothing to wait for but time.
    tokio::time::sleep(talk).await;
    for (me, browser) in browsers.iter().enumerate() {
        let after = look(browser).await?;
        for other in (0..hosts).filter(|other| *other != me) {
            check(test, me, other, hosts, &before[me], &after)?;
        }
        browser
            .screenshot(&report::dir()?.join(format!("{test}-{}.png", NAMES[me])))
            .await?;
    }
    Ok(())
}

/// Watches what one browser receives of all `hosts`, some of which may be no browsers, for so long, and checks it.
pub async fn watch_from(
    test: &str,
    browser: &Browser,
    me: usize,
    hosts: usize,
    talk: Duration,
) -> Result<()> {
    wait_for_streams(browser, NAMES[me], hosts - 1).await?;
    let before = browser.eval(LOOK, vec![]).await?;
    // The talk itself: there is nothing to wait for but time.
    tokio::time::sleep(talk).await;
    let after = browser.eval(LOOK, vec![]).await?;
    for other in (0..hosts).filter(|other| *other != me) {
        check(test, me, other, hosts, &before, &after)?;
    }
    browser
        .screenshot(&report::dir()?.join(format!("{test}-{}.png", NAMES[me])))
        .await
}

/// Closes all browsers.
pub async fn close(browsers: Vec<Browser>) -> Result<()> {
    for browser in browsers {
        browser.close().await?;
    }
    Ok(())
}
