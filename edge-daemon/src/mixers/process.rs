//! One life of a mixer process: started, introduced, spoken with until it ends.

use super::MixerSpec;
use super::sockets::Sockets;
use crate::handover;
use crate::webhooks::SECRET_VARIABLE;
use lianmai_mixer_control::{FromMixer, MAX_LINE, ToMixer, VERSION, decode, encode};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a new process may take to connect and say hello.
const START: Duration = Duration::from_secs(5);

/// A mixer reports once a second; one that is silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a process may take to finish its streams when told to.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running mixer. Dropping it kills the process.
pub(super) struct Process {
    child: Child,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    media: OwnedFd,
    line: Vec<u8>,
    sockets: Sockets,
}

impl Process {
    /// Starts the program and waits until it has said hello.
    pub(super) async fn start(spec: &MixerSpec, name: &str) -> io::Result<Self> {
        let sockets = Sockets::listen(spec.runtime_dir.join(name))?;
        let mut command = Command::new(&spec.program);
        for variable in handover::VARIABLES.into_iter().chain([SECRET_VARIABLE]) {
            command.env_remove(variable);
        }
        let mut child = command
            .arg("--socket-dir")
            .arg(sockets.dir())
            .args(["--log", &spec.log])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::other(format!("cannot start {}: {error}", spec.program.display())))?;
        let (control, media) = tokio::select! {
            accepted = timeout(START, sockets.accept()) => accepted.map_err(|_| silent("connect"))??,
            status = child.wait() => return Err(io::Error::other(format!("ended before it connected: {}", status?))),
        };
        let (reader, writer) = control.into_split();
        let reader = BufReader::new(reader);
        let mut process = Self {
            child,
            reader,
            writer,
            media,
            line: Vec::new(),
            sockets,
        };
        process.greet().await?;
        Ok(process)
    }

    async fn greet(&mut self) -> io::Result<()> {
        match self.next().await? {
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

    /// What the process says next; an error is the end of this process. Safe to cancel: a half-read line is kept.
    pub(super) async fn next(&mut self) -> io::Result<FromMixer> {
        let room = (MAX_LINE + 1).saturating_sub(self.line.len()) as u64;
        let mut limited = (&mut self.reader).take(room);
        timeout(SILENCE, limited.read_until(b'\n', &mut self.line))
            .await
            .map_err(|_| silent("report"))??;
        if self.line.last() != Some(&b'\n') {
            return Err(io::Error::other(if self.line.len() > MAX_LINE {
                "sent a line without end"
            } else {
                "closed its socket"
            }));
        }
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
        decode(text).map_err(io::Error::other)
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

fn silent(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("did not {what} in time"))
}
