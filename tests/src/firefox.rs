//! Debian's Firefox ESR, headless, driven by WebDriver BiDi. It has neither H.264 nor a network to fetch its plugin from:
//! what it sends and takes is VP8.

use crate::bidi::Session;
use crate::process::Running;
use crate::wait::until;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What it prints when it listens, before the address.
const LISTENING: &str = "WebDriver BiDi listening on ";

/// One Firefox with one page. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Firefox {
    session: Session,
    /// The id of its one page.
    context: String,
    _process: Running,
    _profile: TempDir,
}

impl Firefox {
    /// Starts one with an empty profile.
    pub(crate) async fn open(tone: u32) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        fs::write(profile.path().join("user.js"), preferences(tone))?;
        let mut process = start(profile.path())?;
        let log = profile.path().join("firefox.log");
        let url = until(Duration::from_secs(40), "Firefox to listen", || {
            if let Some(status) = process.status() {
                bail!("Firefox ended with {status}");
            }
            Ok(address(&fs::read_to_string(&log)?))
        })
        .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        let session = Session::open(&url).await?;
        let tree = session.command("browsingContext.getTree", json!({})).await?;
        let context = tree["contexts"][0]["context"]
            .as_str()
            .context("no page")?
            .to_owned();
        Ok(Self {
            session,
            context,
            _process: process,
            _profile: profile,
        })
    }

    pub(crate) async fn goto(&self, url: &str) -> Result<()> {
        let page = json!({ "context": self.context, "url": url, "wait": "complete" });
        self.session
            .command("browsingContext.navigate", page)
            .await
            .map(drop)
    }

    /// Values go in and out as JSON, as BiDi's own notation is another.
    pub(crate) async fn eval(&self, body: &str, args: Vec<Value>) -> Result<Value> {
        let function = format!(
            "async (text) => {{ const args = JSON.parse(text);\
             return JSON.stringify((await (async () => {{ {body} }})()) ?? null); }}"
        );
        let call = json!({
            "functionDeclaration": function,
            "arguments": [{ "type": "string", "value": serde_json::to_string(&args)? }],
            "target": { "context": self.context },
            "awaitPromise": true,
        });
        let answer = self.session.command("script.callFunction", call).await?;
        let Some(text) = answer["result"]["value"].as_str() else {
            bail!("in the page: {}", answer["exceptionDetails"]["text"]);
        };
        Ok(serde_json::from_str(text)?)
    }

    /// A PNG of what the page shows.
    pub(crate) async fn screenshot(&self) -> Result<Vec<u8>> {
        let page = json!({ "context": self.context });
        let answer = self
            .session
            .command("browsingContext.captureScreenshot", page)
            .await?;
        Ok(STANDARD.decode(answer["data"].as_str().context("no picture")?)?)
    }

    /// Closes the browser.
    pub(crate) async fn close(self) -> Result<()> {
        self.session.command("browser.close", json!({})).await.map(drop)
    }
}

fn start(profile: &Path) -> Result<Running> {
    let mut command = Command::new("firefox-esr");
    command
        .args([
            "--headless",
            "--no-remote",
            "--remote-debugging-port",
            "0",
            "--profile",
        ])
        .arg(profile)
        .env("HOME", profile)
        .env("MOZ_CRASHREPORTER_DISABLE", "1");
    Running::start(&mut command, &profile.join("firefox.log"))
}

fn address(log: &str) -> Option<String> {
    let line = log.lines().find_map(|line| line.strip_prefix(LISTENING))?;
    Some(line.trim().to_owned())
}

fn preferences(tone: u32) -> String {
    let wanted = [
        ("media.navigator.streams.fake", json!(true)),
        ("media.navigator.permission.disabled", json!(true)),
        ("media.navigator.audio.fake_frequency", json!(tone)),
        // Without a permission of its own it would use the address of the default route alone.
        ("permissions.default.camera", json!(1)),
        ("permissions.default.microphone", json!(1)),
        ("media.peerconnection.ice.loopback", json!(true)),
        ("media.peerconnection.ice.obfuscate_host_addresses", json!(false)),
        ("media.autoplay.default", json!(0)),
        ("app.update.enabled", json!(false)),
        ("browser.shell.checkDefaultBrowser", json!(false)),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("network.connectivity-service.enabled", json!(false)),
        (
            "services.settings.server",
            json!("data:,#remote-settings-dummy/v1"),
        ),
    ];
    wanted
        .iter()
        .map(|(name, value)| format!("user_pref({name:?}, {value});\n"))
        .collect()
}
