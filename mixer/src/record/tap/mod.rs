//! Where hosts and the mix go into their recordings. Neither ever waits here.

mod hosts;
mod mix;

pub(crate) use hosts::HostTap;
pub(crate) use mix::MixTap;

use super::board::{Board, Source};
use crate::daemon::Daemon;
use crate::video::Task;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use lianmai_compositor::Rotation;
use lianmai_mixer_control::Record;
use lianmai_mixer_control::media::HostId;
use lianmai_rtmp::Tag;
use lianmai_timeline::EdgeTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Pictures and sound that wait for the disk: ten seconds of ten sources.
const MAX_MEDIA: usize = 8192;

/// Their bytes.
const MAX_BYTES: usize = 64 << 20;

/// What else waits: who joins and leaves, headers.
const MAX_CONTROL: usize = 1024;

/// What the writer gets.
#[derive(Debug)]
pub(super) enum Entry {
    /// This is recorded from now on.
    Record(Record),
    /// A host is there, or its tracks changed.
    Joined {
        host: HostId,
        name: String,
        audio: bool,
        video: bool,
    },
    /// A host left.
    Gone(HostId),
    /// A tag of the mix, and when it is played.
    Tag(EdgeTime, Tag),
    /// A coded picture of a host.
    Picture(HostId, Task),
    /// An Opus packet of a host.
    Sound(HostId, EdgeTime, Bytes),
}

/// The writer's end.
pub(super) struct Entries {
    queue: Receiver<Entry>,
    shared: Arc<Shared>,
}

/// What both taps have in common.
#[derive(Clone)]
struct Tap {
    queue: Sender<Entry>,
    shared: Arc<Shared>,
    board: Arc<Board>,
}

#[derive(Default)]
struct Shared {
    bytes: AtomicUsize,
    /// Which recording of the mix goes on; zero for none.
    mix: AtomicU64,
}

/// Both taps, and what comes out.
pub(super) fn taps(board: &Arc<Board>, daemon: Daemon) -> (HostTap, MixTap, Entries) {
    let (sender, queue) = bounded(MAX_MEDIA + MAX_CONTROL);
    let shared = Arc::<Shared>::default();
    let tap = Tap {
        queue: sender,
        shared: Arc::clone(&shared),
        board: Arc::clone(board),
    };
    let hosts = HostTap::new(tap.clone(), daemon);
    (hosts, MixTap::new(tap), Entries { queue, shared })
}

impl Tap {
    /// False if it was left out.
    fn push(&self, source: Source, bytes: usize, entry: impl FnOnce() -> Entry) -> bool {
        let waiting = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = self.queue.len() < MAX_MEDIA && waiting + bytes <= MAX_BYTES;
        let sent = fits && self.queue.try_send(entry()).is_ok();
        if !sent {
            self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.board.dropped(source);
        }
        sent
    }

    fn tell(&self, entry: Entry) {
        if let Err(TrySendError::Full(entry)) = self.queue.try_send(entry) {
            tracing::error!(?entry, "the disk hangs: a change of the recordings is lost");
        }
    }
}

impl Entries {
    /// The next one; `None` when no more can come.
    pub(super) fn next(&self) -> Option<Entry> {
        let entry = self.queue.recv().ok()?;
        self.shared.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
        Some(entry)
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Record(_) | Self::Joined { .. } | Self::Gone(_) => 0,
            // Headers go in uncounted.
            Self::Tag(_, tag) if !tag.is_frame() => 0,
            Self::Tag(_, tag) => tag.body.len(),
            Self::Picture(_, task) => task.data.len(),
            Self::Sound(_, _, packet) => packet.len(),
        }
    }
}

/// In quarters clockwise.
pub(super) const fn turns(rotation: Rotation) -> u8 {
    match rotation {
        Rotation::None => 0,
        Rotation::Quarter => 1,
        Rotation::Half => 2,
        Rotation::ThreeQuarters => 3,
    }
}

#[cfg(test)]
mod tests;
