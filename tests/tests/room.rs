//! Four hosts in one room: two by our page, two by the npm clients of Kurento. Everybody sees and hears everybody.

use anyhow::{Context, Result, ensure};
use lianmai_tests::browser::Browser;
use lianmai_tests::capture::Capture;
use lianmai_tests::edge::Edge;
use lianmai_tests::report;
use lianmai_tests::talk::{NAMES, capture, close, number, watch};
use lianmai_tests::web::KurentoPage;
use serde_json::json;
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
