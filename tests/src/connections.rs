//! The PeerConnections of the hosts' pages: whether they are the same as before, and what they received since.

use crate::browser::Browser;
use crate::talk::{NAMES, number};
use anyhow::{Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// Marks every PeerConnection of a page, and counts what it offers from now on.
const MARK: &str = "
    window.offers = 0;
    const offer = RTCPeerConnection.prototype.createOffer;
    RTCPeerConnection.prototype.createOffer = function (...all) { window.offers += 1; return offer.apply(this, all); };
    for (const { pc } of Object.values(window.lianmai.peers)) pc.marked = true;
    return true;
";

const LOOK: &str = "
    const peers = Object.entries(window.lianmai.peers);
    const received = {};
    let sent = 0;
    for (const [name, { pc }] of peers)
        for (const entry of (await pc.getStats()).values()) {
            if (entry.type === 'inbound-rtp') (received[name] ??= {})[entry.kind] = entry;
            if (entry.type === 'outbound-rtp') sent += entry.packetsSent;
        }
    const all = Object.values(received).flatMap(Object.values);
    return {
        offers: window.offers,
        marked: peers.filter(([, { pc }]) => pc.marked && pc.connectionState === 'connected').length,
        decoded: Object.values(received).reduce((frames, { video }) => frames + (video?.framesDecoded ?? 0), 0),
        packets: all.reduce((packets, { packetsReceived }) => packets + packetsReceived, 0),
        sent,
        received,
    };
";

/// From now on, new offers and other connections are noticed.
pub async fn mark(browsers: &[Browser]) -> Result<()> {
    for browser in browsers {
        browser.eval(MARK, vec![]).await?;
    }
    Ok(())
}

/// What a page's connections received, by the name of the other host and the kind of the track.
pub async fn look(browser: &Browser) -> Result<Value> {
    browser.eval(LOOK, vec![]).await
}

/// Everybody sees more of everybody, on the connections that were there when they were [`mark`]ed.
pub async fn check_that_they_go_on(browsers: &[Browser]) -> Result<()> {
    for (browser, name) in browsers.iter().zip(NAMES) {
        let more = number(&look(browser).await?, "decoded") + 30.0;
        let body =
            format!("const look = await (async () => {{ {LOOK} }})(); return look.decoded > {more} && look;");
        let what = format!("{name} to see more");
        let after = browser.until(Duration::from_secs(10), &what, &body).await?;
        ensure!(after["offers"] == 0, "{name} offered anew: {after}");
        ensure!(
            number(&after, "marked") as usize == browsers.len(),
            "{name} lost connections: {after}"
        );
    }
    Ok(())
}

/// What one host received of one track of another one between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gain {
    /// Packets.
    pub received: f64,
    /// Gaps in the sequence numbers; retransmissions do not close them.
    pub lost: f64,
    /// Times that one was asked for again.
    pub nacks: f64,
}

/// What was gained between two looks, by kind.
#[must_use]
pub fn gain(before: &Value, after: &Value, of: &str, kind: &str) -> Gain {
    let (was, is) = (&before["received"][of][kind], &after["received"][of][kind]);
    let gained = |key: &str| number(is, key) - number(was, key);
    Gain {
        received: gained("packetsReceived"),
        lost: gained("packetsLost"),
        nacks: gained("nackCount"),
    }
}
