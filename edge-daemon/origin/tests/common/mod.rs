//! Peers of the origin: ours, and ffmpeg.
#![expect(dead_code, reason = "every test binary uses another part of this")]

use lianmai_origin::{Metrics, Origin, OriginConfig};
use lianmai_rtmp::{Client, ClientError, ClientEvent, RtmpUrl, Tag};
use prometheus_client::registry::Registry;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

/// Nothing here takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Edge {
    pub(crate) origin: Origin,
    registry: Registry,
}

impl Edge {
    pub(crate) async fn new(change: impl FnOnce(&mut OriginConfig)) -> Self {
        let mut config = OriginConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..OriginConfig::default()
        };
        change(&mut config);
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        let origin = Origin::bind(config, metrics).await.expect("a free port");
        Self { origin, registry }
    }

    pub(crate) fn url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}", self.origin.local_addr())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.origin.local_addr())
            .await
            .expect("the origin listens")
    }

    pub(crate) async fn publish(&self, stream: &str) -> Peer {
        Peer::open(self, Client::publish(&self.target(stream)))
            .await
            .expect("accepted")
    }

    pub(crate) async fn play(&self, stream: &str) -> Peer {
        Peer::open(self, Client::play(&self.target(stream)))
            .await
            .expect("accepted")
    }

    pub(crate) fn target(&self, stream: &str) -> RtmpUrl {
        RtmpUrl::parse(&self.url(stream)).expect("valid")
    }

    /// A line of `/metrics`, by its beginning.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("text");
        let value = text
            .lines()
            .find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// Until a condition of the running origin holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let held = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, held)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }
}

/// One of our clients on a socket.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) client: Client,
}

impl Peer {
    pub(crate) async fn open(edge: &Edge, client: Client) -> Result<Self, ClientError> {
        let mut peer = Self {
            stream: edge.connect().await,
            client,
        };
        peer.flush().await;
        assert_eq!(peer.next().await?, Some(ClientEvent::Accepted));
        Ok(peer)
    }

    /// The next event; `None` when the origin closed.
    pub(crate) async fn next(&mut self) -> Result<Option<ClientEvent>, ClientError> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Some(event) = self.client.poll_event() {
                return Ok(Some(event));
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("an answer in time");
            let Some(length) = read.ok().filter(|length| *length > 0) else {
                return Ok(None);
            };
            self.client.handle_input(&buffer[..length])?;
            self.flush().await;
        }
    }

    pub(crate) async fn next_tag(&mut self) -> Tag {
        match self.next().await.expect("a session") {
            Some(ClientEvent::Tag(tag)) => tag,
            other => panic!("{other:?} where a tag was due"),
        }
    }

    /// The next tag that is no header.
    pub(crate) async fn next_frame(&mut self) -> Tag {
        loop {
            let tag = self.next_tag().await;
            if tag.is_frame() {
                return tag;
            }
        }
    }

    pub(crate) async fn send(&mut self, tag: &Tag) {
        self.client.send(tag).expect("accepted");
        self.flush().await;
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.client.poll_output() {
            self.stream.write_all(&bytes).await.expect("the origin reads");
        }
    }
}

pub(crate) fn video_header() -> Tag {
    let body = bytes::Bytes::from_static(&[0x17, 0, 0, 0, 0, 1]);
    Tag {
        body,
        ..Tag::avc_frame(0, true, b"")
    }
}

/// A directory that goes with the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lianmai-origin-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `ffmpeg` or `ffprobe`, ended with the test; or a failure that says what to install.
pub(crate) fn ffmpeg(name: &str) -> Command {
    let probe = std::process::Command::new(name)
        .arg("-version")
        .stdout(Stdio::null())
        .status();
    assert!(probe.is_ok(), "this test needs `{name}`: apt-get install ffmpeg");
    let mut command = Command::new(name);
    command
        .args(["-v", "error"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a command wrote, if it was content.
pub(crate) async fn output(command: &mut Command) -> String {
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .expect("in time")
        .expect("it runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
    String::from_utf8(output.stdout).expect("text")
}
