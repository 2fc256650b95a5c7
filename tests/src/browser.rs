//! Real headless browsers with fake cameras and microphones: Chromium, and Firefox, which has no H.264 here.

use crate::capture::Capture;
use crate::chromium::Chromium;
use crate::edge::free_tcp;
use crate::firefox::Firefox;
use crate::wait::until_async;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// One browser with one page. It ends when dropped.
#[derive(Debug)]
pub struct Browser(Kind);

#[derive(Debug)]
enum Kind {
    Chromium(Chromium),
    Firefox(Box<Firefox>),
}

impl Browser {
    /// Starts a Chromium on this machine.
    pub async fn open(capture: Option<&Capture>) -> Result<Self> {
        let driver = free_tcp()?;
        let command = Command::new("chromedriver");
        Self::open_with(command, driver, capture).await
    }

    /// Starts a Chromium whose driver is `command` (for example inside a network namespace), listening on `driver`.
    pub async fn open_with(command: Command, driver: SocketAddr, capture: Option<&Capture>) -> Result<Self> {
        let chromium = Chromium::open(command, driver, capture).await?;
        Ok(Self(Kind::Chromium(chromium)))
    }

    /// Starts a Firefox on this machine, whose camera changes its colour and whose microphone hears `tone` hertz.
    pub async fn firefox(tone: u32) -> Result<Self> {
        let firefox = Firefox::open(tone).await?;
        Ok(Self(Kind::Firefox(Box::new(firefox))))
    }

    /// Opens a page.
    pub async fn goto(&self, url: &str) -> Result<()> {
        let opened = match &self.0 {
            Kind::Chromium(browser) => browser.goto(url).await,
            Kind::Firefox(browser) => browser.goto(url).await,
        };
        opened.with_context(|| format!("opening {url}"))
    }

    /// Runs the body of an async function in the page; `args` are its arguments.
    pub async fn eval(&self, body: &str, args: Vec<Value>) -> Result<Value> {
        let value = match &self.0 {
            Kind::Chromium(browser) => browser.eval(body, args).await,
            Kind::Firefox(browser) => browser.eval(body, args).await,
        };
        value.with_context(|| format!("running {body}"))
    }

    /// Evaluates until the result is neither null nor false.
    pub async fn until(&self, patience: Duration, what: &str, body: &str) -> Result<Value> {
        let found = until_async(patience, what, || async {
            let value = self.eval(body, vec![]).await?;
            Ok((!value.is_null() && value != json!(false)).then_some(value))
        })
        .await;
        if found.is_err() {
            self.screenshot(&crate::report::dir()?.join("failure.png"))
                .await?;
        }
        found
    }

    /// Writes a PNG of what the page shows.
    pub async fn screenshot(&self, file: &Path) -> Result<()> {
        let png = match &self.0 {
            Kind::Chromium(browser) => browser.screenshot().await?,
            Kind::Firefox(browser) => browser.screenshot().await?,
        };
        std::fs::write(file, png).with_context(|| format!("writing {}", file.display()))
    }

    /// Closes the browser; dropping alone would leave that to its driver.
    pub async fn close(self) -> Result<()> {
        match self.0 {
            Kind::Chromium(browser) => browser.close().await,
            Kind::Firefox(browser) => browser.close().await,
        }
    }
}
