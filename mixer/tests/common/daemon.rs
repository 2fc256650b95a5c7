//! The daemon's side: both sockets, the process, and what the mixer says.

use super::Directory;
use lianmai_mixer_control::media::{HostId, Kind, Message};
use lianmai_mixer_control::{
    CONTROL_SOCKET, Canvas, Coding, FromMixer, MEDIA_SOCKET, PICTURES_SOCKET, SeiKind, Settings,
    SnapshotHeader, TargetId, TargetOptions, TargetUrl, ToMixer, VERSION, decode, encode,
};
use lianmai_timeline::EdgeTime;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, listen, send, socket,
};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A running mixer, configured. Killed when dropped.
pub(crate) struct Daemon {
    process: Child,
    control: Option<UnixStream>,
    media: Option<Media>,
    said: Arc<Mutex<Vec<FromMixer>>>,
    pictures: Arc<Mutex<Vec<Picture>>>,
    directory: Directory,
}

/// What a mixer hands over as a snapshot.
pub(crate) type Picture = (SnapshotHeader, Vec<u8>);

/// The daemon's end of the media socket. `nix` hands it out as a number.
struct Media(RawFd);

impl Drop for Media {
    fn drop(&mut self) {
        nix::unistd::close(self.0).ok();
    }
}

/// A small canvas, 30 pictures a second.
pub(crate) fn settings() -> Settings {
    Settings {
        room: "test room".to_owned(),
        canvas: Canvas {
            width: 320,
            height: 180,
            fps: 30,
        },
        video_bitrate: 1_000_000,
        audio_bitrate: 128_000,
        gop_seconds: 2,
        record: None,
        images: None,
        font: None,
        rtmps_ca: None,
        sei: SeiKind::default(),
        loudness: None,
        vision: false,
        coding: Coding::default(),
    }
}

impl Daemon {
    /// Starts a mixer and configures it.
    pub(crate) fn start(settings: Settings) -> Self {
        let directory = Directory::new();
        let control = UnixListener::bind(directory.path().join(CONTROL_SOCKET)).expect("bound");
        let media = media_socket(directory.path());
        let pictures = Arc::default();
        take_pictures(directory.path(), Arc::clone(&pictures));
        let process = Command::new(env!("CARGO_BIN_EXE_lianmai-mixer"))
            .arg("--socket-dir")
            .arg(directory.path())
            .env(
                "LIANMAI_LOG",
                std::env::var("LIANMAI_LOG").unwrap_or_else(|_| "warn".to_owned()),
            )
            .spawn()
            .expect("the mixer starts");
        let (control, _) = control.accept().expect("it connects");
        let media = Media(accept(media.as_raw_fd()).expect("it connects"));
        let said = Arc::default();
        listen_to(control.try_clone().expect("a handle"), Arc::clone(&said));
        let mut daemon = Self {
            process,
            control: Some(control),
            media: Some(media),
            said,
            pictures,
            directory,
        };
        daemon.wait_for("hello", |said| {
            matches!(said, FromMixer::Hello { version: VERSION, .. })
        });
        daemon.say(&ToMixer::Configure(settings));
        daemon
    }

    /// Where the sockets are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Says something on the control socket.
    pub(crate) fn say(&mut self, message: &ToMixer) {
        let line = encode(message).expect("short");
        self.control
            .as_mut()
            .expect("open")
            .write_all(line.as_bytes())
            .expect("the mixer listens");
    }

    /// Publishes to `port` on this machine.
    pub(crate) fn publish_to(&mut self, port: u16) {
        self.add_target(
            1,
            &format!("rtmp://127.0.0.1:{port}/live/mix"),
            TargetOptions::default(),
        );
    }

    /// Publishes to `url`.
    pub(crate) fn add_target(&mut self, id: u32, url: &str, options: TargetOptions) {
        self.say(&ToMixer::AddTarget {
            id: TargetId(id),
            url: TargetUrl(url.to_owned()),
            options,
        });
    }

    /// Sends a media message.
    pub(crate) fn media(&self, kind: Kind, host: HostId, arrival: EdgeTime, body: &[u8]) {
        let message = Message {
            kind,
            host,
            arrival_ns: arrival.0.unsigned_abs(),
            body,
        };
        self.raw_media(&[message.header().as_slice(), body].concat());
    }

    /// Sends any bytes on the media socket.
    pub(crate) fn raw_media(&self, bytes: &[u8]) {
        let media = self.media.as_ref().expect("open");
        send(media.0, bytes, MsgFlags::MSG_NOSIGNAL).expect("the mixer listens");
    }

    /// Waits for something that the mixer says.
    pub(crate) fn wait_for(&self, what: &str, is_it: impl Fn(&FromMixer) -> bool) -> FromMixer {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(found) = self.said().into_iter().rev().find(&is_it) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "the mixer never said {what}: {:?}",
                self.said()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything that the mixer has said.
    pub(crate) fn said(&self) -> Vec<FromMixer> {
        self.said.lock().expect("not poisoned").clone()
    }

    /// Everything that the mixer has handed over.
    pub(crate) fn pictures(&self) -> Vec<Picture> {
        self.pictures.lock().expect("not poisoned").clone()
    }

    /// From now on the mixer finds no socket for its pictures.
    pub(crate) fn refuse_pictures(&self) {
        std::fs::remove_file(self.directory.path().join(PICTURES_SOCKET)).expect("it is there");
    }

    /// Closes the control socket.
    pub(crate) fn close_control(&mut self) {
        let control = self.control.take().expect("open");
        control.shutdown(std::net::Shutdown::Both).expect("closed");
    }

    /// Closes the media socket.
    pub(crate) fn close_media(&mut self) {
        self.media = None;
    }

    /// The most memory that the mixer had so far.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.expect("a peak").parse().expect("a number")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("it runs");
    }

    /// Kills it, so that it can do nothing more.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("our child");
    }

    /// Waits for the end of the process.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(8);
        loop {
            if let Some(status) = self.process.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "the mixer does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn media_socket(directory: &Path) -> OwnedFd {
    let media = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::empty(), None).expect("a socket");
    bind(
        media.as_raw_fd(),
        &UnixAddr::new(&directory.join(MEDIA_SOCKET)).expect("short"),
    )
    .expect("bound");
    listen(&media, Backlog::new(1).expect("small")).expect("listening");
    media
}

fn listen_to(control: UnixStream, said: Arc<Mutex<Vec<FromMixer>>>) {
    thread::spawn(move || {
        for line in BufReader::new(control).lines().map_while(Result::ok) {
            said.lock()
                .expect("not poisoned")
                .push(decode(&line).expect("a message"));
        }
    });
}

/// Takes connections and what comes over them.
fn take_pictures(directory: &Path, pictures: Arc<Mutex<Vec<Picture>>>) {
    let listener = UnixListener::bind(directory.join(PICTURES_SOCKET)).expect("bound");
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut reader = BufReader::new(connection);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|len| len > 0) {
                let header: SnapshotHeader = decode(&line).expect("a header");
                let mut jpeg = vec![0; header.bytes as usize];
                reader.read_exact(&mut jpeg).expect("all of it");
                pictures.lock().expect("not poisoned").push((header, jpeg));
                line.clear();
            }
        }
    });
}
