//! A real headless Chromium with a fake camera and microphone, driven through chromedriver.

use crate::capture::Capture;
use crate::edge::free_tcp;
use crate::process::Running;
use crate::wait::until_async;
use anyhow::{Context, Result};
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

/// One browser with one page. It ends when dropped.
#[derive(Debug)]
pub struct Browser {
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

impl Browser {
    /// Starts one on this machine.
    pub async fn open(capture: Option<&Capture>) -> Result<Self> {
        let driver = free_tcp()?;
        let command = Command::new("chromedriver");
        Self::open_with(command, driver, capture).await
    }

    /// Starts one whose driver is `command` (for example inside a network namespace), listening on `driver`.
    pub async fn open_with(
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
    pub async fn goto(&self, url: &str) -> Result<()> {
        self.client
            .goto(url)
            .await
            .with_context(|| format!("opening {url}"))
    }

    /// Runs the body of an async function in the page; `args` are its `arguments`.
    pub async fn eval(&self, body: &str, args: Vec<Value>) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const args = Array.from(arguments).slice(0, -1);\
             (async () => {{ {body} }})().then(value => done({{ value }}), error => done({{ error: String(error && error.stack || error) }}));"
        );
        let answer = self
            .client
            .execute_async(&script, args)
            .await
            .with_context(|| format!("running {body}"))?;
        if let Some(error) = answer["error"].as_str() {
            anyhow::bail!("in the page: {error}\nrunning {body}");
        }
        Ok(answer["value"].clone())
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
        let png = self.client.screenshot().await?;
        std::fs::write(file, png).with_context(|| format!("writing {}", file.display()))
    }

    /// Closes the browser; dropping alone would leave that to its driver.
    pub async fn close(self) -> Result<()> {
        Ok(self.client.clone().close().await?)
    }
}

impl Drop for Browser {
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
