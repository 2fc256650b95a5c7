//! Four hosts in one room: two by our page, two by the npm clients of Kurento; and a Firefox without H.264 with a
//! Chromium. Everybody sees and hears everybody.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::Capture;
use lianmai_tests::edge::Edge;
use lianmai_tests::probe::{self, Picture};
use lianmai_tests::report;
use lianmai_tests::talk::{NAMES, capture, close, look, number, wait_for_streams, watch};
use lianmai_tests::tone::prominence;
use lianmai_tests::web::KurentoPage;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

const ROOM: &str = "studio";

/// How long everybody is watched.
const TALK: Duration = Duration::from_secs(20);

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

/// What a host's congestion control lets its own video have, in bits per second.
async fn target_bitrate(browser: &Browser, name: &str) -> Result<f64> {
    let body = format!(
        "for (const entry of (await window.lianmai.peers[{name:?}].pc.getStats()).values())\
           if (entry.type === 'outbound-rtp' && entry.kind === 'video') return entry.targetBitrate;"
    );
    Ok(browser.eval(&body, vec![]).await?.as_f64().unwrap_or(0.0))
}

#[tokio::test]
async fn two_hosts_by_our_page_see_and_hear_each_other() -> Result<()> {
    let edge = Edge::start(&["--canvas", "640x360@15"])?;
    let browsers = vec![join_by_page(&edge, 0, 2).await?, join_by_page(&edge, 1, 2).await?];
    watch("two-hosts", &browsers, TALK)
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
    watch("four-hosts", &browsers, TALK)
        .await
        .with_context(|| edge.log())?;
    close(browsers).await
}

/// What Firefox's fake microphone hears.
const FIREFOX_TONE: u32 = 1320;

/// How long Firefox and Chromium are watched, in seconds.
const MIXED_TALK: u32 = 5;

/// Checks what `who` received of the other between two looks.
fn receives(who: &str, tone: u32, before: &Value, after: &Value) -> Result<()> {
    let gained = |key: &str| number(&after["video"], key) - number(&before["video"], key);
    let rate = gained("framesDecoded") * 1000.0 / gained("timestamp");
    let heard = after["tone"].as_f64().context("no tone")?;
    report::note(
        "firefox",
        &format!("{who} sees {rate:.1} frames per second and hears {heard:.0} Hz"),
    )?;
    ensure!(rate > 9.0, "{who} sees {rate:.1} frames per second");
    ensure!(
        (heard - f64::from(tone)).abs() < 6.0,
        "{who} hears {heard} Hz, not {tone}"
    );
    Ok(())
}

/// How often a part of the mix differs from the picture before, of 1: two hosts are side by side in its middle.
fn motion(pictures: &[Picture], columns: Range<usize>) -> f64 {
    let differs = |before: &Picture, after: &Picture| {
        let places = (9..27).flat_map(|row| columns.clone().map(move |column| (row * 64 + column) * 3));
        let mut bytes = places.flat_map(|place| place..place + 3);
        bytes.any(|byte| before.rgb[byte].abs_diff(after.rgb[byte]) > 24)
    };
    let moves = pictures
        .windows(2)
        .filter(|pair| differs(&pair[0], &pair[1]))
        .count();
    moves as f64 / (pictures.len() - 1) as f64
}

#[tokio::test]
async fn a_firefox_without_h264_and_a_chromium_see_and_hear_each_other_and_both_move_in_the_mix() -> Result<()>
{
    let edge = Edge::start(&["--canvas", "640x360@15"])?;
    let page = |name: &str| {
        format!(
            "{}/?room={ROOM}&name={name}&autojoin=1&width=320&height=180&fps=15&processing=off",
            edge.url
        )
    };
    let ann = capture(0, NAMES.len());
    let chromium = Browser::open(Some(&ann)).await?;
    let firefox = Browser::firefox(FIREFOX_TONE).await?;
    chromium.goto(&format!("{}&codec=vp8", page("ann"))).await?;
    firefox.goto(&page("bob")).await?;
    for (browser, name) in [(&chromium, "ann"), (&firefox, "bob")] {
        wait_for_streams(browser, name, 1)
            .await
            .with_context(|| edge.log())?;
    }
    let before = [look(&chromium).await?, look(&firefox).await?];
    let file = report::dir()?.join("firefox.flv");
    probe::take(&edge.mix_url(ROOM), MIXED_TALK, &file)?;
    let after = [look(&chromium).await?, look(&firefox).await?];
    receives("Chromium", FIREFOX_TONE, &before[0]["bob"], &after[0]["bob"])?;
    receives("Firefox", ann.tone, &before[1]["ann"], &after[1]["ann"])?;
    let hosts = &edge.api(&format!("rooms/{ROOM}"))?["mixer"]["stats"]["hosts"];
    let pictures = probe::pictures(&file, 64, 36)?;
    let moving = [motion(&pictures, 1..31), motion(&pictures, 33..63)];
    let sound = probe::sound(&file)?;
    let last = &sound[sound.len().saturating_sub(2 * probe::SAMPLE_RATE as usize)..];
    let heard = [ann.tone, FIREFOX_TONE].map(|tone| prominence(last, probe::SAMPLE_RATE, tone));
    report::note(
        "firefox",
        &format!(
            "in the mix they move in {moving:.2?} of the pictures, and stand out by {heard:.0?} dB; {hosts}"
        ),
    )?;
    probe::still(&file, 3, &report::dir()?.join("firefox-mix.png"))?;
    firefox.screenshot(&report::dir()?.join("firefox.png")).await?;
    ensure!(moving.iter().all(|moving| *moving > 0.5), "{moving:?}");
    ensure!(heard.iter().all(|heard| *heard > 12.0), "{heard:?}");
    let decoded = hosts.as_array().into_iter().flatten();
    ensure!(
        decoded
            .filter(|host| number(host, "frames_decoded") > 50.0)
            .count()
            == 2,
        "{hosts}"
    );
    close(vec![chromium, firefox]).await
}
