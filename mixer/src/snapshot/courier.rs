//! The way of pictures to the daemon: a socket of their own, so that no picture stands before a control message.

use lianmai_mixer_control::{PICTURES_SOCKET, SnapshotHeader, encode};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For a write to make progress.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects when there is a picture, and again after a failure.
pub(super) struct Courier {
    socket: PathBuf,
    connection: Option<UnixStream>,
}

impl Courier {
    /// To the daemon that listens in `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            socket: directory.join(PICTURES_SOCKET),
            connection: None,
        }
    }

    /// Hands a picture over. Half of one is never followed by another on the same connection.
    pub(super) fn send(&mut self, header: &SnapshotHeader, jpeg: &[u8]) -> io::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let line = encode(header).map_err(io::Error::other)?;
        connection.write_all(line.as_bytes())?;
        connection.write_all(jpeg)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let connection = UnixStream::connect(&self.socket)?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }
}
