//! The sockets that a mixer process connects to.

use lianmai_mixer_control::{CONTROL_SOCKET, MEDIA_SOCKET, PICTURES_SOCKET};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::spawn_blocking;

/// How many packets wait in the kernel for a mixer that is busy: about a second of nine hosts.
const MEDIA_BUFFER: usize = 4 << 20;

/// How much later than to the first socket a mixer may connect to the second.
const MEDIA_PATIENCE: Duration = Duration::from_secs(2);

/// A private directory with the sockets listening; removed when dropped.
pub(super) struct Sockets {
    dir: PathBuf,
    control: UnixListener,
    media: Socket,
}

impl Sockets {
    /// Makes `dir`, readable by this user alone, and listens in it: also for pictures, which come later or never.
    pub(super) fn listen(dir: PathBuf) -> io::Result<(Self, UnixListener)> {
        let _ = std::fs::remove_dir_all(&dir);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let control = UnixListener::bind(dir.join(CONTROL_SOCKET))?;
        let media = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        media.set_read_timeout(Some(MEDIA_PATIENCE))?;
        media.bind(&SockAddr::unix(dir.join(MEDIA_SOCKET))?)?;
        media.listen(1)?;
        let pictures = UnixListener::bind(dir.join(PICTURES_SOCKET))?;
        Ok((Self { dir, control, media }, pictures))
    }

    /// What the mixer is told to connect to.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits for the mixer to connect to both.
    pub(super) async fn accept(&self) -> io::Result<(UnixStream, OwnedFd)> {
        let (control, _) = self.control.accept().await?;
        // tokio knows no SOCK_SEQPACKET; who connected to the one is about to connect to the other.
        let listener = self.media.try_clone()?;
        let media = spawn_blocking(move || listener.accept())
            .await
            .map_err(io::Error::other)??;
        Ok((control, Self::sender(media.0)?))
    }

    fn sender(socket: Socket) -> io::Result<OwnedFd> {
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(MEDIA_BUFFER)?;
        Ok(socket.into())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
