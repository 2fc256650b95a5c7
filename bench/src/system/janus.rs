//! Debian's Janus with the videoroom plugin, configured for this wire and otherwise as it comes.

use super::janus_api::Api;
use super::{Server, Stream};
use crate::host::dtls::Identity;
use crate::host::sdp::{Remote, publish_offer, receive_answer};
use crate::host::{Local, Media};
use crate::load::trial::Tally;
use crate::processor::Processors;
use crate::scenario::Scenario;
use crate::wire::SERVER;
use anyhow::{Context, Result, bail};
use lianmai_tests::process::Running;
use lianmai_tests::wait::until;
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PLUGINS: &str = "/usr/lib/x86_64-linux-gnu/janus/plugins";
const TRANSPORTS: &str = "/usr/lib/x86_64-linux-gnu/janus/transports";

/// How long it may take to listen, and to announce a feed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where its API is, on the loopback of the server's namespace.
const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8188);

/// A running Janus.
pub(super) struct Janus {
    process: Running,
    api: Api,
    dir: TempDir,
}

/// Why Janus cannot run.
pub(super) fn obstacle() -> Option<String> {
    let found = Command::new("janus").arg("--version").output();
    found
        .is_err()
        .then(|| "the Debian package `janus` is not installed; `cargo xtask bench` installs it".to_owned())
}

impl Janus {
    /// The calling thread is in the server's namespace.
    pub(super) fn start(processors: Processors, scenario: Scenario) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        configure(dir.path())?;
        let (process, mut api) = launch(processors, dir.path())?;
        for room in 0..scenario.rooms {
            create(&mut api, room, scenario)?;
        }
        Ok(Self { process, api, dir })
    }

    fn join(&mut self, handle: u64, stream: Stream) -> Result<Value> {
        let body = json!({
            "request": "join",
            "ptype": "subscriber",
            "room": room_id(stream.room),
            "streams": [{"feed": feed(stream)}],
        });
        until(PATIENCE, "the publisher's feed", || {
            match self.api.message(handle, &body, None) {
                Ok(attached) => Ok(Some(attached)),
                // Janus learns of the publisher's handshake later than the publisher does.
                Err(error) if error.to_string().contains("No such feed") => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

fn launch(processors: Processors, dir: &Path) -> Result<(Running, Api)> {
    let log = dir.join("janus.log");
    let mut command = processors.server_command("janus");
    command.arg("--configs-folder").arg(dir);
    let mut process = Running::start(&mut command, &log)?;
    let api = until(PATIENCE, "Janus to listen", || {
        if let Some(status) = process.status() {
            bail!("Janus ended with {status}");
        }
        Ok(Api::connect(API).ok())
    });
    Ok((process, api.with_context(|| read(&log))?))
}

impl Server for Janus {
    fn pid(&self) -> Option<Pid> {
        Some(self.process.pid())
    }

    fn publish(&mut self, stream: Stream, local: &Local, identity: &Identity) -> Result<Remote> {
        let handle = self.api.attach()?;
        let body = json!({
            "request": "joinandconfigure",
            "ptype": "publisher",
            "room": room_id(stream.room),
            "id": feed(stream),
        });
        let offer = jsep("offer", &publish_offer(local, identity)?);
        let joined = self.api.message(handle, &body, Some(&offer))?;
        Remote::parse(sdp(&joined)?)
    }

    fn receive(&mut self, stream: Stream, local: &Local, identity: &Identity) -> Result<Remote> {
        let handle = self.api.attach()?;
        let attached = self.join(handle, stream)?;
        let offer = sdp(&attached)?;
        let answer = jsep("answer", &receive_answer(local, identity, offer)?);
        self.api
            .message(handle, &json!({"request": "start"}), Some(&answer))?;
        Remote::parse(offer)
    }

    fn tally(&self) -> Option<Tally> {
        None
    }

    fn log(&self) -> String {
        read(&self.dir.path().join("janus.log"))
    }
}

const fn room_id(room: usize) -> u64 {
    room as u64 + 1
}

/// Feeds are unique within their room.
const fn feed(stream: Stream) -> u64 {
    stream.publisher as u64 + 1
}

fn create(api: &mut Api, room: usize, scenario: Scenario) -> Result<()> {
    let handle = api.attach()?;
    let codec = match scenario.media() {
        Media::Audio => ("audiocodec", "opus"),
        Media::Video => ("videocodec", "h264"),
    };
    let body = json!({
        "request": "create",
        "room": room_id(room),
        "publishers": scenario.publishers,
        codec.0: codec.1,
        // 0: it asks for no bitrate and for no key frames of its own.
        "bitrate": 0,
        "fir_freq": 0,
    });
    api.message(handle, &body, None).map(drop)
}

fn jsep(kind: &str, sdp: &str) -> Value {
    json!({"type": kind, "sdp": sdp, "trickle": false})
}

fn sdp(answer: &Value) -> Result<&str> {
    answer["jsep"]["sdp"]
        .as_str()
        .with_context(|| format!("Janus sent no SDP: {answer}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Only what has to be said: addresses, ICE-lite without a STUN server, the API, one event loop for one processor, and
/// nothing loaded that is not used.
fn configure(dir: &Path) -> Result<()> {
    let plugins = all_but(PLUGINS, "libjanus_videoroom")?;
    let transports = all_but(TRANSPORTS, "libjanus_websockets")?;
    let core = format!(
        "general: {{\n  configs_folder = \"{dir}\"\n  plugins_folder = \"{PLUGINS}\"\n  transports_folder = \"{TRANSPORTS}\"\n  \
         interface = \"{SERVER}\"\n  session_timeout = 0\n  event_loops = 1\n  debug_level = 2\n  debug_colors = false\n}}\n\
         media: {{\n  ipv6 = false\n}}\n\
         nat: {{\n  ice_lite = true\n  ice_enforce_list = \"{SERVER}\"\n}}\n\
         plugins: {{\n  disable = \"{plugins}\"\n}}\n\
         transports: {{\n  disable = \"{transports}\"\n}}\n\
         events: {{\n  broadcast = false\n}}\n",
        dir = dir.display(),
    );
    std::fs::write(dir.join("janus.jcfg"), core)?;
    let transport = format!(
        "general: {{\n  json = \"compact\"\n  ws = true\n  ws_ip = \"{}\"\n  ws_port = {}\n  wss = false\n}}\n",
        API.ip(),
        API.port()
    );
    std::fs::write(dir.join("janus.transport.websockets.jcfg"), transport)?;
    std::fs::write(dir.join("janus.plugin.videoroom.jcfg"), "general: {\n}\n")?;
    Ok(())
}

fn all_but(folder: &str, kept: &str) -> Result<String> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{folder}: is Debian's `janus` installed?"))?;
    let names = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".so") && !name.starts_with(kept));
    Ok(names.collect::<Vec<_>>().join(","))
}
