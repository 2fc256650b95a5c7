//! A host: a real browser on our join page.

use crate::browser::Browser;
use crate::capture::Capture;
use anyhow::Result;
use std::time::Duration;

/// A room and a name to join with.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// `https://127.0.0.1:PORT` of the edge.
    pub edge: &'a str,
    /// The room.
    pub room: &'a str,
    /// The name.
    pub name: &'a str,
}

impl Seat<'_> {
    /// The page's address with everything filled in.
    pub fn url(&self, capture: &Capture) -> String {
        let Self { edge, room, name } = self;
        let Capture {
            width, height, fps, ..
        } = capture;
        format!(
            "{edge}/?room={room}&name={name}&autojoin=1&width={width}&height={height}&fps={fps}&processing=off"
        )
    }

    /// Opens a browser, joins, and waits until its own stream is connected.
    pub async fn join(&self, capture: &Capture) -> Result<Browser> {
        let browser = Browser::open(Some(capture)).await?;
        browser.goto(&self.url(capture)).await?;
        self.wait_until_connected(&browser).await?;
        Ok(browser)
    }

    /// Waits until the host's own stream is connected.
    pub async fn wait_until_connected(&self, browser: &Browser) -> Result<()> {
        let name = self.name;
        let connected =
            format!("return window.lianmai?.peers?.[{name:?}]?.pc?.connectionState === 'connected';");
        browser
            .until(
                Duration::from_secs(30),
                &format!("{name} to be connected"),
                &connected,
            )
            .await?;
        Ok(())
    }
}
