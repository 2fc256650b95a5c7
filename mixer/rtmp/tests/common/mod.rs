//! Real material and real peers.
#![expect(dead_code, reason = "every test binary uses another part of this")]

pub(crate) mod nginx;
pub(crate) mod pump;

use lianmai_rtmp::flv::FlvReader;
use lianmai_rtmp::{Server, ServerEvent, StreamPath, Tag};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Nothing here takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that goes with the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lianmai-rtmp-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test, also with a failed one.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, or a failure that says what to install.
pub(crate) fn program(name: &str, package: &str) -> Command {
    let mut command = Command::new(name);
    let probe = Command::new(name)
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        probe.is_ok(),
        "this test needs `{name}`: apt-get install {package}"
    );
    command.stdin(Stdio::null());
    command
}

/// `seconds` of 25 pictures a second, constrained baseline with a key frame each second, and a tone, as tags.
pub(crate) fn sample(seconds: u32) -> Vec<Tag> {
    let scratch = Scratch::new();
    let path = scratch.0.join("sample.flv");
    let made = program("ffmpeg", "ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            &format!("testsrc2=size=320x240:rate=25:duration={seconds}"),
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            &format!("sine=frequency=440:sample_rate=48000:duration={seconds}"),
        ])
        .args([
            "-c:v",
            "libx264",
            "-profile:v",
            "baseline",
            "-preset",
            "ultrafast",
            "-g",
            "25",
            "-b:v",
            "400k",
        ])
        .args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-b:a", "64k"])
        .arg(&path)
        .status()
        .expect("ffmpeg runs");
    assert!(
        made.success(),
        "ffmpeg could not make the sample: does it have libx264?"
    );
    let tags = read_flv(&path);
    assert!(tags.iter().any(Tag::is_key_frame));
    tags
}

pub(crate) fn read_flv(path: &Path) -> Vec<Tag> {
    let mut reader = FlvReader::new();
    reader.push(&std::fs::read(path).expect("an FLV file"));
    std::iter::from_fn(|| reader.next_tag().expect("FLV")).collect()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

pub(crate) fn await_port(port: u16) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An RTMP server under the test's control, one connection after the other.
pub(crate) struct Peer {
    listener: TcpListener,
}

pub(crate) struct PeerSession {
    pub(crate) stream: TcpStream,
    pub(crate) server: Server,
    pub(crate) path: StreamPath,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").expect("a free port"),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    pub(crate) fn accept_raw(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Up to the peer's `publish`, not answered yet.
    pub(crate) fn accept(&self) -> PeerSession {
        let mut stream = self.accept_raw();
        let mut server = Server::new(lianmai_rtmp::Limits::default());
        loop {
            pump(&mut stream, &mut server).expect("a publisher");
            if let Some(event) = server.poll_event() {
                let ServerEvent::Publish(path) = event else {
                    panic!("{event:?} before publish")
                };
                return PeerSession { stream, server, path };
            }
        }
    }
}

impl PeerSession {
    pub(crate) fn agree(&mut self) {
        self.server.accept().expect("agreed");
        self.write();
    }

    pub(crate) fn write(&mut self) {
        while let Some(bytes) = self.server.poll_output() {
            self.stream.write_all(&bytes).expect("the publisher reads");
        }
    }

    /// The next event, or `None` when the peer has closed.
    pub(crate) fn next(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.server.poll_event() {
                return Some(event);
            }
            pump(&mut self.stream, &mut self.server)?;
        }
    }

    pub(crate) fn next_tag(&mut self) -> Tag {
        match self.next() {
            Some(ServerEvent::Tag(tag)) => tag,
            other => panic!("{other:?} where a tag was due"),
        }
    }
}

fn pump(stream: &mut TcpStream, server: &mut Server) -> Option<()> {
    let mut buffer = [0; 64 * 1024];
    let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
    server.handle_input(&buffer[..length]).expect("RTMP");
    while let Some(bytes) = server.poll_output() {
        stream.write_all(&bytes).ok()?;
    }
    Some(())
}
