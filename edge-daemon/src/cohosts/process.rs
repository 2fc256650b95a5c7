//! One life of a bridge: started, introduced, fed until it ends.

use super::CohostSpec;
use crate::child::{self, Lines, SILENCE, START, silent};
use lianmai_bridge_control::{BridgeStats, FromBridge, ToBridge, VERSION, encode};
use lianmai_origin::FlvStream;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

/// How long a process may take to end when its input has.
const FAREWELL: Duration = Duration::from_secs(1);

/// A running bridge. Dropping it kills the process.
pub(super) struct Process {
    child: Child,
    lines: Lines<ChildStdout>,
    input: ChildStdin,
}

/// Why a bridge takes no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// The stream is over.
    Ended,
    /// It cannot be shown.
    Refused(String),
}

impl Process {
    /// Starts the program and waits for its offer.
    pub(super) async fn start(spec: &CohostSpec) -> io::Result<(Self, String)> {
        let mut command = child::command(&spec.program, &spec.log);
        command
            .args(["--media", &spec.media.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = child::spawn(&mut command)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("has no pipes"));
        };
        let mut lines = Lines::new(output);
        let offer = timeout(START, lines.next()).await;
        let sdp = match offer.map_err(|_| silent("offer anything"))?? {
            FromBridge::Offer {
                version: VERSION,
                sdp,
            } => sdp,
            other => {
                return Err(io::Error::other(format!(
                    "began with {other:?}; an offer of version {VERSION} was expected"
                )));
            }
        };
        Ok((Self { child, lines, input }, sdp))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Gives it the answer to its offer.
    pub(super) async fn answer(&mut self, sdp: String) -> io::Result<()> {
        let line = encode(&ToBridge::Answer { sdp }).map_err(io::Error::other)?;
        write(&mut self.input, line.as_bytes()).await
    }

    /// Gives it a stream until that is over, and listens to what it says of it.
    pub(super) async fn feed(
        &mut self,
        stream: &mut FlvStream,
        mut hear: impl FnMut(BridgeStats),
    ) -> io::Result<Fed> {
        let Self { lines, input, .. } = self;
        let feed = async {
            while let Some(piece) = stream.recv().await {
                write(input, &piece).await?;
            }
            Ok(Fed::Ended)
        };
        let listen = async {
            loop {
                match lines.next().await? {
                    FromBridge::Stats(stats) => hear(stats),
                    FromBridge::Refused { reason } => return Ok(Fed::Refused(reason)),
                    FromBridge::Offer { .. } => return Err(io::Error::other("offered something else")),
                }
            }
        };
        // Who refuses ends at once: what it said counts, and not that it takes no more.
        tokio::pin!(feed, listen);
        tokio::select! {
            biased;
            heard = &mut listen => heard,
            fed = &mut feed => match fed {
                Ok(fed) => Ok(fed),
                Err(error) => match listen.await {
                    Ok(refused) => Ok(refused),
                    Err(_) => Err(error),
                },
            },
        }
    }

    /// Its input is over; makes sure that the process is, too.
    pub(super) async fn finish(mut self) {
        drop(self.input);
        if timeout(FAREWELL, self.child.wait()).await.is_err() {
            // What is left to do is to wait for it: kill(2) does not fail for a child.
            let _ = self.child.kill().await;
        }
    }
}

/// One that does not read hangs.
async fn write(input: &mut ChildStdin, bytes: &[u8]) -> io::Result<()> {
    timeout(SILENCE, input.write_all(bytes))
        .await
        .map_err(|_| silent("read its input"))?
}

#[cfg(test)]
mod tests {
    use super::super::{CohostMetrics, CohostSpec};
    use super::Process;
    use crate::webhooks::Webhooks;

    async fn failure(program: &str) -> String {
        let spec = CohostSpec {
            program: program.into(),
            log: "info".to_owned(),
            media: ([127, 0, 0, 1], 1).into(),
            metrics: CohostMetrics::default(),
            webhooks: Webhooks::default(),
        };
        let error = Process::start(&spec).await.err();
        error.expect("no bridge").to_string()
    }

    #[tokio::test]
    async fn a_program_that_is_no_bridge_is_named_or_quoted() {
        assert!(failure("/nowhere/bridge").await.contains("/nowhere/bridge"));
        assert_eq!(failure("/bin/false").await, "said no more");
        // It repeats its arguments.
        assert!(failure("/bin/echo").await.contains("not a control message"));
    }
}
