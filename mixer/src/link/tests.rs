//! The link against the daemon's end of both sockets.

use super::{Link, LinkError, Received};
use lianmai_mixer_control::{CONTROL_SOCKET, MEDIA_SOCKET, ToMixer};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, listen, send, socket,
};
use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lianmai-link-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("made");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// The daemon's end of the media socket: `nix` hands it out as a number.
struct Media(RawFd);

impl Drop for Media {
    fn drop(&mut self) {
        nix::unistd::close(self.0).ok();
    }
}

fn link() -> (Link, UnixStream, Media) {
    let directory = Directory::new();
    let control = UnixListener::bind(directory.0.join(CONTROL_SOCKET)).expect("bound");
    let media = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::empty(), None).expect("a socket");
    bind(
        media.as_raw_fd(),
        &UnixAddr::new(&directory.0.join(MEDIA_SOCKET)).expect("short"),
    )
    .expect("bound");
    listen(&media, Backlog::new(1).expect("small")).expect("listening");
    let link = Link::connect(&directory.0).expect("connected");
    let media = accept(media.as_raw_fd()).expect("accepted");
    (link, control.accept().expect("accepted").0, Media(media))
}

#[test]
fn lines_come_out_as_messages_however_they_are_cut() {
    let (mut link, mut control, _media) = link();
    assert_eq!(link.control().expect("open"), Received::Nothing);
    control.write_all(b"{\"type\":\"shut").expect("written");
    assert_eq!(link.control().expect("open"), Received::Nothing);
    control
        .write_all(b"down\"}\n{\"type\":\"shutdown\"}\n")
        .expect("written");
    assert_eq!(link.control().expect("open"), Received::Some(ToMixer::Shutdown));
    assert_eq!(link.control().expect("open"), Received::Some(ToMixer::Shutdown));
    assert_eq!(link.control().expect("open"), Received::Nothing);
}

#[test]
fn media_messages_keep_their_borders() {
    let (mut link, _control, media) = link();
    for message in [&b"one"[..], b"three"] {
        send(media.0, message, MsgFlags::empty()).expect("sent");
    }
    assert_eq!(link.media().expect("open"), Received::Some(&b"one"[..]));
    assert_eq!(link.media().expect("open"), Received::Some(&b"three"[..]));
    assert_eq!(link.media().expect("open"), Received::Nothing);
}

#[test]
fn the_end_of_either_socket_is_seen() {
    let (mut link, control, media) = link();
    drop(media);
    assert_eq!(link.media().expect("closed"), Received::End);
    drop(control);
    assert_eq!(link.control().expect("closed"), Received::End);
}

#[test]
fn a_line_without_end_is_refused_at_the_limit() {
    let (mut link, mut control, _media) = link();
    let writer = std::thread::spawn(move || control.write_all(&vec![b'x'; 4_000_000]));
    let refused = loop {
        link.wait(1000).expect("waits");
        if let Err(error) = link.control() {
            break error;
        }
    };
    assert!(matches!(refused, LinkError::Line(_)), "{refused}");
    drop(link);
    assert!(writer.join().expect("no panic").is_err());
}

#[test]
fn a_missing_daemon_is_an_error_that_names_the_socket() {
    let error = Link::connect(Path::new("/nonexistent"))
        .err()
        .expect("refused")
        .to_string();
    assert!(error.contains("/nonexistent/control.sock"), "{error}");
}
