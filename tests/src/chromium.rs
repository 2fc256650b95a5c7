//! A real headless Chromium with a fake camera and microphone, driven through chromedriver.

use crate::capture::Capture;
use crate::process::Running;
use crate::wait::until_async;
use anyhow::Result;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// One Chromium with one page. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Chromium {
    client: Client,
    _driver: Running,
    profile: TempDir,
}

/// What every headless Chromium is started with.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-features=LocalNetworkAccessChecks,WebRtcHideLocalIpsWithMdns",
    "--ignore-certificate-errors",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
];

impl Chromium {
    /// Starts one whose driver is `command` (for example inside a network namespace), listening on `driver`.
    pub(crate) async fn open(
        mut command: Command,
        driver: SocketAddr,
        capture: Option<&Capture>,
    ) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        command
            .arg(format!("--port={}", driver.port()))
            .args(["--allowed-ips=", "--allowed-origins=*"]);
        let process = Running::start(&mut command, &profile.path().join("chromedriver.log"))?;
        let capabilities = capabilities(profile.path(), capture)?;
        let client = until_async(Duration::from_secs(40), "chromedriver and Chromium", || {
            connect(driver, &capabilities)
        })
        .await?;
        Ok(Self {
            client,
            _driver: process,
            profile,
        })
    }

    /// Opens a page.
    pub(crate) async fn goto(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// Runs the body of an async function in the page; `args` are its `arguments`.
    pub(crate) async fn eval(&self, body: &str, args: Vec<Value>) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const args = Array.from(arguments).slice(0, -1);\
             (async () => {{ {body} }})().then(value => done({{ value }}), error => done({{ error: String(error && error.stack || error) }}));"
        );
        let answer = self.client.execute_async(&script, args).await?;
        if let Some(error) = answer["error"].as_str() {
            anyhow::bail!("in the page: {error}");
        }
        Ok(answer["value"].clone())
    }

    /// A PNG of what the page shows.
    pub(crate) async fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.client.screenshot().await?)
    }

    /// Closes the browser; dropping alone would leave that to its driver.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.client.clone().close().await?)
    }
}

impl Drop for Chromium {
    /// A driver that is ended leaves its browser behind: whatever runs on this browser's profile ends here, by pid.
    fn drop(&mut self) {
        let profile = self.profile.path().to_string_lossy().into_owned();
        for pid in processes_naming(&profile) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Processes that have this text in their arguments.
fn processes_naming(text: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let names = |pid: &i32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(text)
    };
    pids.filter(names).map(Pid::from_raw).collect()
}

async fn connect(driver: SocketAddr, capabilities: &Capabilities) -> Result<Option<Client>> {
    let mut builder = ClientBuilder::new(HttpConnector::new());
    Ok(builder
        .capabilities(capabilities.clone())
        .connect(&format!("http://{driver}"))
        .await
        .ok())
}

fn capabilities(profile: &Path, capture: Option<&Capture>) -> Result<Capabilities> {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.push(format!("--user-data-dir={}", profile.join("profile").display()));
    if let Some(capture) = capture {
        flags.push(format!(
            "--use-file-for-fake-video-capture={}",
            capture.video()?.display()
        ));
        flags.push(format!(
            "--use-file-for-fake-audio-capture={}",
            capture.audio()?.display()
        ));
    }
    let wanted = [
        ("browserName", json!("chrome")),
        ("acceptInsecureCerts", json!(true)),
        ("goog:chromeOptions", json!({ "args": flags })),
        ("timeouts", json!({ "script": 60_000, "pageLoad": 30_000 })),
    ];
    Ok(wanted
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect())
}
