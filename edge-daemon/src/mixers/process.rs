//! One life of a mixer process: started, introduced, spoken with until it ends.

use super::MixerSpec;
use super::pictures::Pictures;
use super::sockets::Sockets;
use crate::handover;
use crate::snapshots::Snapshot;
use crate::webhooks::SECRET_VARIABLE;
use lianmai_mixer_control::{FromMixer, MAX_LINE, ToMixer, VERSION, decode, encode};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a new process may take to connect and say hello.
const START: Duration = Duration::from_secs(5);

/// A mixer reports once a second; one that is silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(5);

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
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    media: OwnedFd,
    pictures: Pictures,
    line: Vec<u8>,
    /// When it said something, or began.
    heard: Instant,
    _sockets: Sockets,
}

impl Process {
    /// Starts the program and waits until it has said hello.
    pub(super) async fn start(spec: &MixerSpec, name: &str) -> io::Result<Self> {
        let (sockets, pictures) = Sockets::listen(spec.runtime_dir.join(name))?;
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
            pictures: Pictures::accept(pictures),
            line: Vec::new(),
            heard: Instant::now(),
            _sockets: sockets,
        };
        process.greet().await?;
        Ok(process)
    }

    async fn greet(&mut self) -> io::Result<()> {
        match next_message(&mut self.reader, &mut self.line, &mut self.heard).await? {
            FromMixer::Hello { version: VERSION, .. } => Ok(()),
            other => Err(io::Error::other(format!(
                "began with {other:?}; version {VERSION} was expected"
            ))),
        }
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
        let Self {
            reader,
            line,
            heard,
            pictures,
            ..
        } = self;
        tokio::select! {
            message = next_message(reader, line, heard) => message.map(Said::Message),
            snapshot = pictures.next() => snapshot.map(Said::Snapshot),
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

/// The next message. Safe to cancel: a half-read line is kept, and silence is counted from the last message on, whatever else the
/// process hands over.
async fn next_message(
    reader: &mut BufReader<OwnedReadHalf>,
    line: &mut Vec<u8>,
    heard: &mut Instant,
) -> io::Result<FromMixer> {
    let room = (MAX_LINE + 1).saturating_sub(line.len()) as u64;
    timeout_at(*heard + SILENCE, reader.take(room).read_until(b'\n', line))
        .await
        .map_err(|_| silent("report"))??;
    if line.last() != Some(&b'\n') {
        return Err(io::Error::other(if line.len() > MAX_LINE {
            "sent a line without end"
        } else {
            "closed its socket"
        }));
    }
    *heard = Instant::now();
    let line = std::mem::take(line);
    let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
    decode(text).map_err(io::Error::other)
}

fn silent(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("did not {what} in time"))
}
