//! An RTMP server that keeps what is published to it.

use lianmai_rtmp::flv::file_header;
use lianmai_rtmp::{Limits, Server, ServerEvent, Tag};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Listens on a port of its own; each connection's tags are kept apart.
pub(crate) struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sessions: Mutex<Vec<Vec<Tag>>>,
    cut: AtomicBool,
}

impl Sink {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts it on a port of this machine.
    pub(crate) fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bound");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(stream, &accepting);
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes the connection it has.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(true, Ordering::Relaxed);
    }

    /// The tags of each connection so far.
    pub(crate) fn sessions(&self) -> Vec<Vec<Tag>> {
        self.shared.sessions.lock().expect("not poisoned").clone()
    }

    /// Waits until the newest connection has this many frames.
    pub(crate) fn wait_for_frames(&self, session: usize, frames: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        let have = || {
            self.sessions()
                .get(session)
                .map_or(0, |tags| tags.iter().filter(|tag| tag.is_frame()).count())
        };
        while have() < frames {
            assert!(
                Instant::now() < deadline,
                "session {session} has {} of {frames} frames",
                have()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Writes tags to an FLV file.
pub(crate) fn write_flv(tags: &[Tag], file: &Path) {
    let mut bytes = file_header(true, true).to_vec();
    tags.iter().for_each(|tag| bytes.extend_from_slice(&tag.to_flv()));
    fs::write(file, bytes).expect("written");
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a timeout");
    let mut server = Server::new(Limits::default());
    shared.sessions.lock().expect("not poisoned").push(Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    while !shared.cut.swap(false, Ordering::Relaxed) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => server
                .handle_input(&buffer[..length])
                .expect("the mixer speaks RTMP"),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return,
        }
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Publish(_) => server.accept().expect("asked"),
                ServerEvent::Tag(tag) => {
                    shared
                        .sessions
                        .lock()
                        .expect("not poisoned")
                        .last_mut()
                        .expect("ours")
                        .push(tag);
                }
                ServerEvent::Play(_) | ServerEvent::Finished => {}
            }
        }
        while let Some(bytes) = server.poll_output() {
            stream.write_all(&bytes).ok();
        }
    }
}
