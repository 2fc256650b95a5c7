//! What the mixer says to the daemon: queued, so that nothing in the mixer ever waits for the daemon.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use lianmai_mixer_control::{FromMixer, encode};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;

/// Messages that wait for a slow daemon: minutes of statistics.
const QUEUE: usize = 256;

/// A handle to say things by.
#[derive(Clone, Debug)]
pub(crate) struct Daemon(Sender<FromMixer>);

impl Daemon {
    /// A daemon, and what it is told.
    #[must_use]
    pub(crate) fn channel() -> (Self, Receiver<FromMixer>) {
        let (say, said) = bounded(QUEUE);
        (Self(say), said)
    }

    /// A daemon at the other end of `control`; a thread writes there until the last handle is dropped.
    pub(crate) fn spawn(mut control: UnixStream) -> std::io::Result<Self> {
        let (daemon, said) = Self::channel();
        thread::Builder::new()
            .name("daemon".to_owned())
            .spawn(move || write_all(&said, &mut control))?;
        Ok(daemon)
    }

    /// Says something, or drops it if the daemon has not listened for minutes.
    pub(crate) fn say(&self, message: FromMixer) {
        if let Err(TrySendError::Full(message)) = self.0.try_send(message) {
            tracing::warn!(?message, "the daemon does not listen: a message is dropped");
        }
    }
}

fn write_all(said: &Receiver<FromMixer>, control: &mut impl Write) {
    for message in said {
        let written = encode(&message).map(|line| control.write_all(line.as_bytes()));
        match written {
            Ok(Ok(())) => {}
            // The reading side notices the same and ends the mixer.
            Ok(Err(error)) => return tracing::debug!(%error, "the daemon is gone"),
            Err(error) => tracing::error!(%error, "a message to the daemon is dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Daemon, QUEUE};
    use lianmai_mixer_control::FromMixer;
    use lianmai_mixer_control::media::HostId;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixStream;

    #[test]
    fn messages_arrive_as_lines_in_order() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let daemon = Daemon::spawn(ours).expect("a thread");
        for host in 0..3 {
            daemon.say(FromMixer::KeyFrameNeeded { host: HostId(host) });
        }
        let lines: Vec<String> = BufReader::new(theirs)
            .lines()
            .take(3)
            .map(|line| line.expect("text"))
            .collect();
        assert_eq!(lines[2], r#"{"type":"key_frame_needed","host":2}"#);
    }

    #[test]
    fn a_daemon_that_does_not_listen_blocks_nobody() {
        let (daemon, said) = Daemon::channel();
        for host in 0..2 * QUEUE as u32 {
            daemon.say(FromMixer::KeyFrameNeeded { host: HostId(host) });
        }
        assert_eq!(said.len(), QUEUE);
    }
}
