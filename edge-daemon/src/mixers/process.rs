//! One life of a mixer process: started, introduced, spoken with until it ends.

use super::MixerSpec;
use super::pictures::Pictures;
use super::sockets::Sockets;
use crate::child::{self, Lines, SILENCE, START, silent};
use crate::snapshots::Snapshot;
use lianmai_mixer_control::{FromMixer, ToMixer, VERSION, encode};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::time::timeout;

/// How long a process may take to finish its streams when told to.
const FAREWELL: Duration = Duration::from_secs(3);

/// What comes from a process.
pub(super) enum Said {
    Message(FromMixer),
    Snapshot(Snapshot),
}

/// A running mixer. Dropping it kills the process.
pub(super) struct Process {
    child: Child,
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    media: OwnedFd,
    pictures: Pictures,
    sockets: Sockets,
}

impl Process {
    /// Starts the program and waits until it has said hello.
    pub(super) async fn start(spec: &MixerSpec, name: &str) -> io::Result<Self> {
        let (sockets, pictures) = Sockets::listen(spec.runtime_dir.join(name))?;
        let mut command = child::command(&spec.program, &spec.log);
        command
            .arg("--socket-dir")
            .arg(sockets.dir())
            .stdin(Stdio::null());
        let mut child = child::spawn(&mut command)?;
        let (control, media) = tokio::select! {
            accepted = timeout(START, sockets.accept()) => accepted.map_err(|_| silent("connect"))??,
            status = child.wait() => return Err(io::Error::other(format!("ended before it connected: {}", status?))),
        };
        let (reader, writer) = control.into_split();
        let mut process = Self {
            child,
            lines: Lines::new(reader),
            writer,
            media,
            pictures: Pictures::accept(pictures),
            sockets,
        };
        process.greet().await?;
        Ok(process)
    }

    async fn greet(&mut self) -> io::Result<()> {
        match self.lines.next().await? {
            FromMixer::Hello { version: VERSION, .. } => Ok(()),
            other => Err(io::Error::other(format!(
                "began with {other:?}; version {VERSION} was expected"
            ))),
        }
    }

    /// Where its sockets are.
    pub(super) fn directory(&self) -> &Path {
        self.sockets.dir()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// One more descriptor of the media socket, for the plane to send on.
    pub(super) fn media(&self) -> io::Result<OwnedFd> {
        self.media.as_fd().try_clone_to_owned()
    }

    /// Tells the process something. One that does not read its orders hangs.
    pub(super) async fn tell(&mut self, message: &ToMixer) -> io::Result<()> {
        let line = encode(message).map_err(io::Error::other)?;
        timeout(SILENCE, self.writer.write_all(line.as_bytes()))
            .await
            .map_err(|_| silent("read its orders"))?
    }

    /// What the process says or hands over next; an error is the end of this process. Safe to cancel.
    pub(super) async fn next(&mut self) -> io::Result<Said> {
        tokio::select! {
            message = self.lines.next() => message.map(Said::Message),
            snapshot = self.pictures.next() => snapshot.map(Said::Snapshot),
        }
    }

    /// Asks the process to finish; kills it when it does not.
    pub(super) async fn finish(mut self) {
        let _ = self.tell(&ToMixer::Shutdown).await;
        if timeout(FAREWELL, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Makes sure that the process is gone, and says how it ended.
    pub(super) async fn kill(mut self) {
        let _ = self.child.start_kill();
        if let Ok(status) = self.child.wait().await {
            tracing::debug!(%status, "mixer process ended");
        }
    }
}
