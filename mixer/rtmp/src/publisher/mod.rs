//! Publishing to one place for as long as it takes: a thread, a queue, reconnects.

mod backoff;
mod connection;
mod shared;
mod worker;

pub use backoff::Backoff;

use crate::client::ClientError;
use crate::flv::{Tag, TagFormat};
use crate::queue::QueueLimits;
use crate::tls::{TlsError, Trust};
use crate::url::RtmpUrl;
use shared::Shared;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How to publish.
#[derive(Clone, Debug)]
pub struct PublisherConfig {
    /// Where to.
    pub target: RtmpUrl,
    /// Who may sign the peer's certificate, if the target has TLS.
    pub trust: Arc<Trust>,
    /// How codecs are named to the peer.
    pub tags: TagFormat,
    /// What may wait while the peer is slow.
    pub queue: QueueLimits,
    /// What is done when more would have to wait.
    pub when_full: WhenFull,
    /// For TCP, and again for everything up to the peer's consent.
    pub connect_timeout: Duration,
    /// How long one write may make no progress.
    pub write_timeout: Duration,
    /// Between attempts: 0.2 s to 10 s unless changed.
    pub backoff: Backoff,
    /// Failures in a row after which there is no further attempt; for ever if `None`.
    pub retries: Option<u32>,
    /// How long a peer is left alone, at the least, after a stream that it had accepted ended: some hold the name for a
    /// while, and refuse it meanwhile.
    pub restart_delay: Duration,
}

/// What is done when a peer is so slow that its queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Whole groups of pictures are left out, oldest first.
    #[default]
    DropFrames,
    /// The connection is closed and made anew: the stream begins again at its newest picture.
    Reconnect,
}

/// What a target does; the same states as in the control protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublisherState {
    /// TCP, handshake, `connect`, `publish`.
    Connecting,
    /// The peer accepted the stream.
    Publishing,
    /// Closed or refused.
    Retrying {
        /// Why.
        reason: PublishError,
        /// When the next attempt comes.
        after: Duration,
    },
    /// It failed too often: there is no further attempt.
    GaveUp {
        /// Why the last one failed.
        reason: PublishError,
    },
}

/// What a publisher tells its owner, from its own thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublisherEvent {
    /// It does something else now.
    State(PublisherState),
    /// The peer needs a key frame to go on: after a (re)connect, and after frames were dropped.
    KeyFrameWanted,
}

/// Why a connection ended or did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The name has no address.
    #[error("{host} cannot be resolved: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No address took the connection.
    #[error("no connection to {address}: {reason}")]
    Connect {
        /// The address tried last.
        address: String,
        /// What the kernel said.
        reason: String,
    },
    /// TCP stood, but the peer did not accept the stream in time.
    #[error("the peer did not accept the stream within {0:?}")]
    Slow(Duration),
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// Reading failed.
    #[error("reading from the peer: {0}")]
    Read(String),
    /// Writing failed or made no progress.
    #[error("writing to the peer: {0}")]
    Write(String),
    /// There is no TLS with the peer.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The peer was so slow that the queue was full, and [`WhenFull::Reconnect`] was asked for.
    #[error("the peer is too slow: its queue is full")]
    Behind,
    /// The peer refused, or does not speak RTMP.
    #[error(transparent)]
    Protocol(#[from] ClientError),
}

/// What a publisher did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublisherStats {
    /// Connections on which the peer accepted the stream.
    pub sessions: u64,
    /// Attempts that failed and sessions that ended against our will.
    pub failures: u64,
    /// Tags handed to the peer.
    pub sent_tags: u64,
    /// Bytes handed to the kernel.
    pub sent_bytes: u64,
    /// Frames dropped because the peer was slow.
    pub dropped_frames: u64,
    /// Frames that came while nobody was connected.
    pub unsent_frames: u64,
    /// Bytes that wait now.
    pub queued_bytes: u64,
}

/// One target. Dropping it closes without waiting; [`Self::stop`] says goodbye first.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl PublisherConfig {
    /// The defaults for `target`.
    #[must_use]
    pub fn new(target: RtmpUrl) -> Self {
        Self {
            target,
            trust: Arc::default(),
            tags: TagFormat::default(),
            queue: QueueLimits::default(),
            when_full: WhenFull::default(),
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            backoff: Backoff::default(),
            retries: None,
            restart_delay: Duration::ZERO,
        }
    }
}

impl Publisher {
    /// Starts the thread; the first attempt begins at once. `on_event` runs on that thread and must not block.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(
        config: PublisherConfig,
        on_event: impl FnMut(PublisherEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(config.queue, config.when_full));
        let worker = worker::Worker::new(config, Arc::clone(&shared), Box::new(on_event));
        let thread = std::thread::Builder::new()
            .name("rtmp-publisher".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Hands over a tag: metadata and sequence headers first, then frames in order of time. Never waits for the peer;
    /// the headers are remembered for every later connection.
    pub fn push(&self, tag: Tag) {
        self.shared.push(tag);
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> PublisherStats {
        self.shared.stats()
    }

    /// Sends what is queued, unpublishes and closes, all within `deadline`. `true` when everything was sent.
    #[must_use]
    pub fn stop(mut self, deadline: Duration) -> bool {
        self.end(Instant::now() + deadline)
    }

    fn end(&mut self, deadline: Instant) -> bool {
        let Some(thread) = self.thread.take() else {
            return false;
        };
        let stop = self.shared.stop(deadline);
        // A worker that is still inside a name look-up ends by itself later; nobody waits for it.
        if stop.finished && thread.join().is_err() {
            tracing::error!("the publisher thread panicked");
        }
        stop.flushed
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}
