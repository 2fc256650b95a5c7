//! Messages of a process, one JSON object a line, that do not stop coming.

use lianmai_mixer_control::{MAX_LINE, decode};
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::time::timeout;

/// A process reports once a second; one that is silent for this long hangs.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);

/// Reads them.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::new(reader),
            line: Vec::new(),
        }
    }

    /// What the process says next; an error is the end of this process. Safe to cancel: a half-read line is kept.
    pub(crate) async fn next<M: DeserializeOwned>(&mut self) -> io::Result<M> {
        let room = (MAX_LINE + 1).saturating_sub(self.line.len()) as u64;
        let mut limited = (&mut self.reader).take(room);
        timeout(SILENCE, limited.read_until(b'\n', &mut self.line))
            .await
            .map_err(|_| silent("report"))??;
        if self.line.last() != Some(&b'\n') {
            return Err(io::Error::other(if self.line.len() > MAX_LINE {
                "sent a line without end"
            } else {
                "said no more"
            }));
        }
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
        decode(text).map_err(io::Error::other)
    }
}

/// It did not do that in time.
pub(crate) fn silent(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("did not {what} in time"))
}

#[cfg(test)]
mod tests {
    use super::{Lines, MAX_LINE, SILENCE};
    use std::io::ErrorKind;
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn lines_come_one_by_one_and_silence_is_an_error() {
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader);
        writer.write_all(b"1\n2\n3").await.expect("room");
        assert_eq!(lines.next::<u32>().await.expect("a line"), 1);
        assert_eq!(lines.next::<u32>().await.expect("a line"), 2);
        let before = Instant::now();
        let error = lines.next::<u32>().await.expect_err("no end of the line");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Timers go by whole milliseconds.
        assert_eq!(before.elapsed().as_secs(), SILENCE.as_secs());
        writer.write_all(b"4\n").await.expect("room");
        assert_eq!(lines.next::<u32>().await.expect("the half was kept"), 34);
    }

    #[tokio::test]
    async fn a_line_without_end_and_the_end_itself_are_errors() {
        let endless = vec![b'x'; MAX_LINE + 2];
        for input in [endless.as_slice(), b"", b"half"] {
            assert!(Lines::new(input).next::<u32>().await.is_err());
        }
    }
}
