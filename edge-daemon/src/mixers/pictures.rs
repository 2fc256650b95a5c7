//! The socket by which a mixer hands its snapshots over.

use crate::snapshots::Snapshot;
use lianmai_mixer_control::{MAX_JPEG, MAX_SNAPSHOT_HEADER, SnapshotHeader, decode};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Snapshots that wait for the supervisor; the mixer waits with the next one, on a thread of its own.
const QUEUE: usize = 4;

/// How every JPEG begins (ITU-T T.81 §B.1.1.3).
const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];

/// What a mixer hands over, read by a task that ends with this.
pub(super) struct Pictures {
    received: mpsc::Receiver<io::Result<Snapshot>>,
    reading: JoinHandle<()>,
}

impl Pictures {
    /// Takes connections one after the other.
    pub(super) fn accept(listener: UnixListener) -> Self {
        let (sender, received) = mpsc::channel(QUEUE);
        let reading = tokio::spawn(async move {
            if let Err(error) = read_all(&listener, &sender).await {
                // A supervisor that is gone has killed the process.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { received, reading }
    }

    /// The next one; an error is the end of the process. Safe to cancel.
    pub(super) async fn next(&mut self) -> io::Result<Snapshot> {
        let gone = || Err(io::Error::other("the reader of its pictures ended"));
        self.received.recv().await.unwrap_or_else(gone)
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read_all(listener: &UnixListener, sender: &mpsc::Sender<io::Result<Snapshot>>) -> io::Result<()> {
    loop {
        let (connection, _) = listener.accept().await?;
        let mut reader = BufReader::new(connection);
        while let Some(snapshot) = read(&mut reader).await? {
            if sender.send(Ok(snapshot)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// One snapshot; nothing at the end of the connection, wherever it comes: a mixer that could not write on closes it.
async fn read(reader: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Snapshot>> {
    let mut line = Vec::new();
    let limit = MAX_SNAPSHOT_HEADER as u64;
    reader.take(limit).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        let whole = line.len() == MAX_SNAPSHOT_HEADER;
        return if whole {
            Err(wrong("a header without end"))
        } else {
            Ok(None)
        };
    }
    let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
    let header: SnapshotHeader = decode(text).map_err(io::Error::other)?;
    let bytes = usize::try_from(header.bytes).unwrap_or(usize::MAX);
    if bytes > MAX_JPEG {
        return Err(wrong("a picture that is too long"));
    }
    let mut jpeg = vec![0; bytes];
    match reader.read_exact(&mut jpeg).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    };
    if !jpeg.starts_with(&START_OF_IMAGE) {
        return Err(wrong("a picture that is no JPEG"));
    }
    Ok(Some(Snapshot { header, jpeg }))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("handed over {what}"))
}

#[cfg(test)]
mod tests {
    use super::{MAX_JPEG, MAX_SNAPSHOT_HEADER, Pictures, SnapshotHeader, read};
    use lianmai_mixer_control::encode;
    use lianmai_mixer_control::media::HostId;
    use proptest::prelude::{any, proptest};
    use proptest::{collection, prop_assert};
    use tokio::io::{AsyncWriteExt, BufReader};
    use tokio::net::{UnixListener, UnixStream};

    fn header(bytes: usize) -> SnapshotHeader {
        SnapshotHeader {
            host: Some(HostId(3)),
            request: None,
            width: 640,
            height: 360,
            taken_ms: 5,
            bytes: u32::try_from(bytes).expect("small"),
        }
    }

    fn message(jpeg: &[u8]) -> Vec<u8> {
        let line = encode(&header(jpeg.len())).expect("short");
        [line.as_bytes(), jpeg].concat()
    }

    async fn read_bytes(bytes: &[u8]) -> std::io::Result<Option<super::Snapshot>> {
        read(&mut BufReader::new(bytes)).await
    }

    #[tokio::test]
    async fn pictures_come_in_order_over_one_connection_and_over_the_next() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pictures.sock");
        let mut pictures = Pictures::accept(UnixListener::bind(&path).expect("bound"));
        for connection in 0..2u8 {
            let mut mixer = UnixStream::connect(&path).await.expect("it listens");
            for number in 0..3u8 {
                let jpeg = [0xff, 0xd8, connection, number];
                mixer.write_all(&message(&jpeg)).await.expect("read");
                let snapshot = pictures.next().await.expect("a picture");
                assert_eq!((snapshot.header, snapshot.jpeg), (header(4), jpeg.to_vec()));
            }
            // Half of one is no picture, and no failure either.
            mixer
                .write_all(&message(&[0xff, 0xd8, 1])[..20])
                .await
                .expect("read");
        }
    }

    #[tokio::test]
    async fn what_is_no_picture_ends_the_process() {
        let long = vec![b'x'; MAX_SNAPSHOT_HEADER];
        let claims = encode(&header(MAX_JPEG + 1)).expect("short");
        for (bytes, what) in [
            (long, "without end"),
            (claims.into_bytes(), "too long"),
            (message(b"GIF89a"), "no JPEG"),
            (b"{}\n".to_vec(), "missing field"),
        ] {
            let error = read_bytes(&bytes).await.expect_err("refused").to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_anywhere_is_no_error() {
        let whole = message(&[0xff, 0xd8, 1, 2, 3]);
        for length in 0..whole.len() {
            assert_eq!(
                read_bytes(&whole[..length]).await.expect("no error"),
                None,
                "{length}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(noise in collection::vec(any::<u8>(), 0..1000), at in 0_usize..100, value in any::<u8>()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let mut message = [message(&[0xff, 0xd8, 9]), noise].concat();
            let at = at % message.len();
            message[at] = value;
            if let Ok(Some(snapshot)) = runtime.block_on(read_bytes(&message)) {
                prop_assert!(snapshot.jpeg.len() <= message.len());
            }
        }
    }
}
