//! Recordings of the mix and of the hosts, on a thread of their own: disks are slow at times.
//!
//! ```text
//!  ingest ─ HostTap ─┐
//!                    ├─ a bounded queue ─► writer: reels ─► files
//!  mix ──── MixTap ──┘
//! ```
//!
//! What does not fit into the queue is left out and counted; nobody waits for the disk. A `reel` decides when files begin and
//! end and what is in them, without I/O and clock. The `board` is what everybody may read while the writer hangs in a write.

mod board;
mod epoch;
mod feeds;
mod file;
mod reel;
mod tap;
mod writer;

pub(crate) use board::Board;
pub(crate) use tap::{HostTap, MixTap};

use crate::clock;
use crate::daemon::Daemon;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use epoch::Epoch;
use file::Directory;
use lianmai_mixer_control::Settings;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use writer::Writer;

/// The recordings of one room.
pub(crate) struct Recorder {
    board: Arc<Board>,
    /// Disconnected when the writer has ended.
    ended: Receiver<()>,
}

impl Recorder {
    /// What records into the directory of `settings`, if there is one, and where the hosts and the mix go in.
    pub(crate) fn start(settings: &Settings, daemon: &Daemon) -> std::io::Result<(Self, HostTap, MixTap)> {
        let board = Arc::new(Board::default());
        let (end, ended) = crossbeam_channel::bounded(0);
        let (hosts, mix, entries) = tap::taps(&board, daemon.clone());
        if let Some(directory) = &settings.record {
            let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let epoch = Epoch::new(clock::now(), wall_clock);
            let shelf = Directory::new(directory.clone());
            let writer = Writer::new(shelf, settings.room.clone(), epoch, Arc::clone(&board));
            thread::Builder::new()
                .name("recorder".to_owned())
                .spawn(move || {
                    writer.run(&entries);
                    drop(end);
                })?;
        }
        Ok((Self { board, ended }, hosts, mix))
    }

    /// What becomes of the files.
    #[must_use]
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Waits until everything is written and the files are closed, within `deadline`. The taps must be gone.
    pub(crate) fn stop(self, deadline: Duration) {
        if self.ended.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the disk did not take the end of the recordings before the mixer ended");
        }
    }
}
