//! The socket that the daemon's notifications arrive at.

use super::held::MOST;
use super::notice::Notice;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg, sockopt::set_socket_passcred,
};
use std::fs::{DirBuilder, remove_dir, remove_file};
use std::io::{self, ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// The longest notification.
const TEXT: usize = 4_096;

/// Notifications, and who sent them. The socket is in a directory that only this user can enter.
#[derive(Debug)]
pub(super) struct Post {
    socket: UnixDatagram,
    dir: PathBuf,
}

/// One notification.
#[derive(Debug)]
pub(super) struct Letter {
    /// The process that sent it, as the kernel knows it.
    pub(super) sender: Option<u32>,
    /// What it says.
    pub(super) notice: Notice,
    /// What came with it.
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Post {
    /// Listens at an address that nobody else can have had before.
    pub(super) fn open() -> io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("lianmai-keep-{:016x}", rand::random::<u64>()));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let socket = UnixDatagram::bind(dir.join("notify")).inspect_err(|_| {
            let _ = remove_dir(&dir);
        })?;
        let post = Self { socket, dir };
        post.socket.set_nonblocking(true)?;
        set_socket_passcred(&post.socket, true)?;
        Ok(post)
    }

    /// What `NOTIFY_SOCKET` says.
    pub(super) fn address(&self) -> PathBuf {
        self.dir.join("notify")
    }

    /// The next notification, if there is one.
    pub(super) fn next(&self) -> io::Result<Option<Letter>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; TEXT];
        let mut into = [IoSliceMut::new(&mut bytes)];
        // What is kept is not for other programs to inherit.
        let message = match recvmsg(&self.socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut letter = Letter {
            sender: None,
            notice: Notice::default(),
            descriptors: Vec::new(),
        };
        for part in control.drain() {
            match part {
                RecvAncillaryMessage::ScmRights(descriptors) => letter.descriptors.extend(descriptors),
                RecvAncillaryMessage::ScmCredentials(who) => {
                    letter.sender = u32::try_from(who.pid.as_raw_pid()).ok();
                }
                // The enum of the crate may grow.
                _ => {}
            }
        }
        // Of one that was cut, nobody knows what it said.
        if !message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            letter.notice = Notice::read(&String::from_utf8_lossy(&bytes[..message.bytes]));
        }
        Ok(Some(letter))
    }
}

impl AsFd for Post {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let _ = remove_file(self.address());
        let _ = remove_dir(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::{Post, TEXT};
    use std::os::unix::net::UnixDatagram;

    fn send(post: &Post, text: &[u8]) {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(text, post.address()).expect("sent");
    }

    #[test]
    fn a_notification_comes_with_the_process_that_sent_it() {
        let post = Post::open().expect("a socket");
        assert!(post.next().expect("open").is_none());
        send(&post, b"READY=1");
        let letter = post.next().expect("open").expect("one");
        assert!(letter.notice.is_ready);
        assert_eq!(letter.sender, Some(std::process::id()));
        assert!(post.next().expect("open").is_none());
    }

    #[test]
    fn one_that_was_cut_says_nothing() {
        let post = Post::open().expect("a socket");
        let mut text = b"READY=1\n".to_vec();
        text.resize(TEXT + 1, b'x');
        send(&post, &text);
        assert!(!post.next().expect("open").expect("one").notice.is_ready);
    }

    #[test]
    fn the_directory_goes_with_the_socket() {
        let post = Post::open().expect("a socket");
        let dir = post.dir.clone();
        assert!(dir.exists());
        drop(post);
        assert!(!dir.exists());
    }
}
