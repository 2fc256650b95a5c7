//! Four hosts in one room: two by our page, two by the npm clients of Kurento. Everybody sees and hears everybody.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::{Capture, HOSTS};
use lianmai_tests::edge::Edge;
use lianmai_tests::report;
use lianmai_tests::web::KurentoPage;
use serde_json::{Value, json};
use std::time::Duration;

const ROOM: &str = "studio";
const NAMES: [&str; 4] = ["ann", "bob", "cho", "dai"];

/// How long everybody is watched.
const TALK: Duration = Duration::from_secs(20);

/// Two large pictures, or four small ones, are what two cores encode and decode.
fn capture(index: usize, hosts: usize) -> Capture {
    let host = HOSTS[index];
    if hosts > 2 { host.sized(320, 180, 15) } else { host }
}

async fn join_by_page(edge: &Edge, index: usize, hosts: usize) -> Result<Browser> {
    let capture = capture(index, hosts);
    let browser = Browser::open(Some(&capture)).await?;
    let Capture {
        width, height, fps, ..
    } = capture;
    let query = format!(
        "room={ROOM}&name={}&autojoin=1&width={width}&height={height}&fps={fps}&processing=off",
        NAMES[index]
    );
    browser.goto(&format!("{}/?{query}", edge.url)).await?;
    Ok(browser)
}

async fn join_by_kurento(edge: &Edge, page: &KurentoPage, index: usize, hosts: usize) -> Result<Browser> {
    let capture = capture(index, hosts);
    let browser = Browser::open(Some(&capture)).await?;
    browser.goto(&page.url()).await?;
    let Capture {
        width, height, fps, ..
    } = capture;
    let off = json!({ "echoCancellation": false, "noiseSuppression": false, "autoGainControl": false });
    let join = json!({
        "uri": format!("{}/room", edge.url.replacen("http", "ws", 1)),
        "room": ROOM,
        "user": NAMES[index],
        "constraints": { "audio": off, "video": { "width": width, "height": height, "frameRate": fps } },
    });
    browser
        .eval("await window.lianmai.join(args[0]); return true;", vec![join])
        .await?;
    Ok(browser)
}

/// Until `count` streams of others are shown.
async fn wait_for_streams(browser: &Browser, own: &str, count: usize) -> Result<()> {
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
    const listen = async (stream) => {
      const context = new AudioContext();
      const analyser = new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0 });
      context.createMediaStreamSource(stream).connect(analyser);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const loudest = bins.indexOf(Math.max(...bins));
      await context.close();
      return loudest * context.sampleRate / analyser.fftSize;
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

fn number(value: &Value, key: &str) -> f64 {
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

async fn watch_talk(test: &str, browsers: &[Browser]) -> Result<()> {
    let hosts = browsers.len();
    for (me, browser) in browsers.iter().enumerate() {
        wait_for_streams(browser, NAMES[me], hosts - 1).await?;
    }
    let mut before = Vec::new();
    for browser in browsers {
        before.push(browser.eval(LOOK, vec![]).await?);
    }
    // The talk itself: there is nothing to wait for but time.
    tokio::time::sleep(TALK).await;
    for (me, browser) in browsers.iter().enumerate() {
        let after = browser.eval(LOOK, vec![]).await?;
        for other in (0..hosts).filter(|other| *other != me) {
            check(test, me, other, hosts, &before[me], &after)?;
        }
        browser
            .screenshot(&report::dir()?.join(format!("{test}-{}.png", NAMES[me])))
            .await?;
    }
    Ok(())
}

/// What a host's congestion control lets its own video have, in bits per second.
async fn target_bitrate(browser: &Browser, name: &str) -> Result<f64> {
    let body = format!(
        "for (const entry of (await window.lianmai.peers[{name:?}].pc.getStats()).values())\
           if (entry.type === 'outbound-rtp' && entry.kind === 'video') return entry.targetBitrate;"
    );
    Ok(browser.eval(&body, vec![]).await?.as_f64().unwrap_or(0.0))
}

async fn close(browsers: Vec<Browser>) -> Result<()> {
    for browser in browsers {
        browser.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_hosts_by_our_page_see_and_hear_each_other() -> Result<()> {
    let edge = Edge::start(&["--canvas", "640x360@15"])?;
    let browsers = vec![join_by_page(&edge, 0, 2).await?, join_by_page(&edge, 1, 2).await?];
    watch_talk("two-hosts", &browsers)
        .await
        .with_context(|| edge.log())?;
    for (browser, name) in browsers.iter().zip(NAMES) {
        let rate = target_bitrate(browser, name).await?;
        report::note(
            "two-hosts",
            &format!("{name} may send {:.0} kbit/s", rate / 1000.0),
        )?;
        // A browser starts at 300 kbit/s; only transport-wide feedback takes it beyond.
        ensure!(rate > 800_000.0, "{name} did not climb beyond {rate} bit/s");
    }
    let stats = edge.api("stats")?;
    report::note(
        "two-hosts",
        &format!("time through the daemon: {}", stats["transit_us"]),
    )?;
    ensure!(
        number(&stats["transit_us"], "count") > 1000.0,
        "the time through the daemon is measured"
    );
    ensure!(
        edge.metric("lianmai_plane_transit_count", &[])? > 1000.0,
        "and shown in /metrics"
    );
    close(browsers).await
}

#[tokio::test]
async fn four_hosts_two_of_them_with_kurentos_own_clients_see_and_hear_one_another() -> Result<()> {
    let edge = Edge::start(&["--canvas", "640x360@15"])?;
    let page = KurentoPage::serve()?;
    let mut browsers = vec![join_by_page(&edge, 0, 4).await?, join_by_page(&edge, 1, 4).await?];
    browsers.push(
        join_by_kurento(&edge, &page, 2, 4)
            .await
            .with_context(|| edge.log())?,
    );
    browsers.push(join_by_kurento(&edge, &page, 3, 4).await?);
    watch_talk("four-hosts", &browsers)
        .await
        .with_context(|| edge.log())?;
    close(browsers).await
}
