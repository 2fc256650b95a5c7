//! The edge under test: the built program on ports of its own.

use crate::http::{get, get_json};
use crate::process::Running;
use crate::wait::until;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A running edge. Dropping it ends it and, through it, its mixers.
#[derive(Debug)]
pub struct Edge {
    /// The process.
    pub process: Running,
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// The media port.
    pub media: SocketAddr,
    /// The embedded origin.
    pub origin: SocketAddr,
    dir: TempDir,
}

/// Where `cargo xtask` built the programs.
pub fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release")
}

/// A TCP port of loopback that nobody listens on.
pub fn free_tcp() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A UDP port of loopback that nobody listens on.
pub fn free_udp() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

impl Edge {
    /// Starts one on free loopback ports and waits until it is healthy.
    pub fn start(flags: &[&str]) -> Result<Self> {
        Self::start_with_origin(free_tcp()?, flags)
    }

    /// The same with an origin that the flags may name.
    pub fn start_with_origin(origin: SocketAddr, flags: &[&str]) -> Result<Self> {
        let (http, media) = (free_tcp()?, free_udp()?);
        let mut command = Command::new(programs().join("lianmai-edge"));
        command.args([
            "--http",
            &http.to_string(),
            "--media",
            &media.to_string(),
            "--origin",
            &origin.to_string(),
        ]);
        Self::launch(command.args(flags), http, media, origin)
    }

    /// The same with a parent, `lianmai-edge keep`, that keeps what its daemon leaves, and starts another.
    pub fn start_kept(flags: &[&str]) -> Result<Self> {
        let (http, media, origin) = (free_tcp()?, free_udp()?, free_tcp()?);
        let [shown_http, shown_media, shown_origin] =
            [http, media, origin].map(|address| address.to_string());
        let mut command = Command::new(programs().join("lianmai-edge"));
        command.args(["keep", "--http", &shown_http, "--media", &shown_media]);
        command.args(["--origin", &shown_origin]).args(flags);
        Self::launch(&mut command, http, media, origin)
    }

    /// Starts a prepared command, for example inside a network namespace.
    pub fn launch(
        command: &mut Command,
        http: SocketAddr,
        media: SocketAddr,
        origin: SocketAddr,
    ) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let scheme = if command.get_args().any(|arg| arg == "off") {
            "http"
        } else {
            "https"
        };
        let process = Running::start(command, &dir.path().join("edge.log"))?;
        let mut edge = Self {
            process,
            url: format!("{scheme}://{http}"),
            media,
            origin,
            dir,
        };
        edge.wait_until_healthy()?;
        Ok(edge)
    }

    fn wait_until_healthy(&mut self) -> Result<()> {
        let health = format!("{}/healthz", self.url);
        until(Duration::from_secs(15), "the edge to be healthy", || {
            if let Some(status) = self.process.status() {
                bail!("the edge ended with {status}:\n{}", self.log());
            }
            Ok(get(&health).ok())
        })
        .with_context(|| self.log())?;
        Ok(())
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("edge.log")).unwrap_or_default()
    }

    /// A directory that lives as long as the edge.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A document of the admin API.
    pub fn api(&self, path: &str) -> Result<Value> {
        get_json(&format!("{}/api/v1/{path}", self.url))
    }

    /// The sum of a metric's samples whose labels contain all of `labels`; 0 when there is none.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let text = get(&format!("{}/metrics", self.url))?;
        let samples = text.lines().filter_map(|line| {
            let rest = line
                .strip_prefix(name)
                .filter(|rest| rest.starts_with(['{', ' ']))?;
            let (series, value) = rest.rsplit_once(' ')?;
            labels
                .iter()
                .all(|label| series.contains(label))
                .then(|| value.parse::<f64>().unwrap_or(0.0))
        });
        Ok(samples.sum())
    }

    /// Where players find a room's mix.
    pub fn mix_url(&self, room: &str) -> String {
        format!("rtmp://{}/live/{room}", self.origin)
    }

    /// The process of a room's mixer.
    pub fn mixer_pid(&self, room: &str) -> Result<Option<i32>> {
        let room = self.api(&format!("rooms/{room}"))?;
        Ok(room["mixer"]["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok()))
    }
}
