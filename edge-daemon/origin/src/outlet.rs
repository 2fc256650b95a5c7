//! One player's end of a stream.

use lianmai_rtmp::{QueueLimits, StreamHeaders, Tag, TagKind, TagQueue};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The hub puts tags in, the player's task takes them out.
#[derive(Debug)]
pub(crate) struct Outlet {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug)]
struct State {
    queue: TagQueue,
    ended: bool,
}

impl Outlet {
    /// Starts with the headers and the cached group. Sequence headers get the time of the first frame; metadata is at zero,
    /// because FFmpeg takes a later one for a track of its own.
    pub(crate) fn new(limits: QueueLimits, headers: &StreamHeaders, group: &[Tag], now_ms: u32) -> Self {
        let mut queue = TagQueue::new(limits);
        let start = group.first().map_or(now_ms, |tag| tag.timestamp_ms);
        let mut dated = StreamHeaders::default();
        headers
            .tags()
            .for_each(|tag| dated.note(&tag.at(if tag.kind == TagKind::Script { 0 } else { start })));
        queue.restart(&dated);
        for tag in group {
            queue.push(tag.clone());
        }
        Self {
            state: Mutex::new(State { queue, ended: false }),
            filled: Notify::new(),
        }
    }

    /// Appends a tag; says how many frames were dropped for it.
    pub(crate) fn push(&self, tag: Tag) -> u64 {
        let mut state = self.lock();
        let before = state.queue.stats();
        state.queue.push(tag);
        let after = state.queue.stats();
        drop(state);
        self.filled.notify_one();
        after.dropped_frames - before.dropped_frames
    }

    /// Another publisher takes over: it cannot continue what the last one left unfinished.
    pub(crate) fn interrupt(&self) {
        self.lock().queue.interrupt();
    }

    /// No more will come.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.filled.notify_one();
    }

    /// The next tag, or `None` when the stream is over.
    pub(crate) async fn recv(&self) -> Option<Tag> {
        loop {
            if let Some(tag) = self.try_recv() {
                return Some(tag);
            }
            if self.lock().ended {
                return None;
            }
            self.filled.notified().await;
        }
    }

    /// The next tag, if there is one.
    pub(crate) fn try_recv(&self) -> Option<Tag> {
        self.lock().queue.pop()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
