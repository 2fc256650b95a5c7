//! The two sockets to the daemon, and the signals: everything that the mixer waits for.

use lianmai_mixer_control::media::MAX_LEN;
use lianmai_mixer_control::{CONTROL_SOCKET, LineError, MAX_LINE, MEDIA_SOCKET, ToMixer, decode};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, socket};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str;

/// Why there is no link, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A socket of the daemon could not be reached.
    #[error(
        "cannot connect to {path}: {source}; the daemon starts the mixer, with the directory of its sockets"
    )]
    Connect {
        /// The socket.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Reading or waiting failed.
    #[error("the link to the daemon: {0}")]
    Io(#[from] io::Error),
    /// The daemon sent something that is no message.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The daemon sent something that is no text.
    #[error("a control line that is not UTF-8: {0}")]
    Text(#[from] str::Utf8Error),
}

impl From<Errno> for LinkError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// What reading found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Received<T> {
    /// This.
    Some(T),
    /// Nothing for now.
    Nothing,
    /// The other side is gone.
    End,
}

/// The daemon's side of the mixer.
pub(crate) struct Link {
    control: UnixStream,
    line: Vec<u8>,
    media: OwnedFd,
    datagram: Vec<u8>,
    signals: SignalFd,
}

impl Link {
    /// Connects to both sockets. From then on SIGTERM and SIGINT are seen only by [`Self::is_asked_to_end`]: call
    /// this before other threads start.
    pub(crate) fn connect(directory: &Path) -> Result<Self, LinkError> {
        let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        signals.thread_block()?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let path = directory.join(CONTROL_SOCKET);
        let control = UnixStream::connect(&path).map_err(|source| refused(&path, source))?;
        let path = directory.join(MEDIA_SOCKET);
        let media = seqpacket(&path).map_err(|errno| refused(&path, errno.into()))?;
        // One byte more than a message may have, so that a longer one is seen to be too long.
        Ok(Self {
            control,
            line: Vec::new(),
            media,
            datagram: vec![0; MAX_LEN + 1],
            signals,
        })
    }

    /// A second handle on the control socket, to write to.
    pub(crate) fn writer(&self) -> io::Result<UnixStream> {
        self.control.try_clone()
    }

    /// Waits until something is there, but not longer than `millis`.
    pub(crate) fn wait(&self, millis: u16) -> Result<(), LinkError> {
        let mut fds = [self.control.as_fd(), self.media.as_fd(), self.signals.as_fd()]
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether SIGTERM or SIGINT came.
    #[must_use]
    pub(crate) fn is_asked_to_end(&self) -> bool {
        matches!(self.signals.read_signal(), Ok(Some(_)))
    }

    /// The next control message.
    pub(crate) fn control(&mut self) -> Result<Received<ToMixer>, LinkError> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let message = decode(str::from_utf8(&self.line[..end])?)?;
                self.line.drain(..=end);
                return Ok(Received::Some(message));
            }
            if self.line.len() > MAX_LINE {
                return Err(LineError::TooLong(self.line.len()).into());
            }
            match self.read_more()? {
                Received::Some(()) => {}
                Received::Nothing => return Ok(Received::Nothing),
                Received::End => return Ok(Received::End),
            }
        }
    }

    /// The next media message.
    pub(crate) fn media(&mut self) -> Result<Received<&[u8]>, LinkError> {
        match recv(self.media.as_raw_fd(), &mut self.datagram, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(Errno::ECONNRESET) => Ok(Received::End),
            Ok(length) => Ok(Received::Some(&self.datagram[..length])),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Received::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    fn read_more(&mut self) -> Result<Received<()>, LinkError> {
        let mut bytes = [0; 4096];
        match recv(self.control.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(Errno::ECONNRESET) => Ok(Received::End),
            Ok(length) => {
                self.line.extend_from_slice(&bytes[..length]);
                Ok(Received::Some(()))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Received::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn seqpacket(path: &Path) -> nix::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

fn refused(path: &Path, source: io::Error) -> LinkError {
    LinkError::Connect {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests;
