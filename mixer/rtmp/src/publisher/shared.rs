//! What the owner, the worker and the reader of one publisher share.

use super::{PublishError, PublisherStats, WhenFull};
use crate::flv::Tag;
use crate::headers::StreamHeaders;
use crate::queue::{QueueLimits, TagQueue};
use bytes::BytesMut;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A publisher hears little from its peer; beyond this the reader waits for the worker.
const MAX_INBOX: usize = 64 * 1024;

/// Tags taken at once: enough to fill a segment, few enough to look at the inbox and the clock in between.
const BATCH: usize = 32;

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    queue: TagQueue,
    when_full: WhenFull,
    /// The connection is closed because the queue was full.
    given_up: bool,
    headers: StreamHeaders,
    session: Session,
    live: bool,
    key_frame_wanted: bool,
    inbox: BytesMut,
    ended: Option<PublishError>,
    socket: Option<TcpStream>,
    stop: Option<Instant>,
    finished: bool,
    flushed: bool,
    stats: PublisherStats,
}

/// Tells the reader of this connection from that of the last one, which may still be about to report its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session(u64);

/// How a stop went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// The worker is at its end.
    pub(super) finished: bool,
    /// It had sent everything.
    pub(super) flushed: bool,
}

/// What the worker has to do.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) input: BytesMut,
    pub(super) tags: Vec<Tag>,
    pub(super) key_frame_wanted: bool,
    pub(super) ended: Option<PublishError>,
    pub(super) stop: Option<Instant>,
}

impl Shared {
    pub(super) fn new(limits: QueueLimits, when_full: WhenFull) -> Self {
        let state = State {
            queue: TagQueue::new(limits),
            when_full,
            given_up: false,
            headers: StreamHeaders::default(),
            session: Session::default(),
            live: false,
            key_frame_wanted: false,
            inbox: BytesMut::new(),
            ended: None,
            socket: None,
            stop: None,
            finished: false,
            flushed: false,
            stats: PublisherStats::default(),
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Nothing here can leave the state half changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The owner.

    pub(super) fn push(&self, tag: Tag) {
        let mut state = self.lock();
        state.headers.note(&tag);
        if !state.live {
            state.stats.unsent_frames += u64::from(tag.is_frame());
            return;
        }
        let overflows = state.queue.stats().overflows;
        state.key_frame_wanted |= state.queue.push(tag);
        if state.when_full == WhenFull::Reconnect && state.queue.stats().overflows > overflows {
            state.give_up();
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn stats(&self) -> PublisherStats {
        let state = self.lock();
        PublisherStats {
            dropped_frames: state.queue.stats().dropped_frames,
            queued_bytes: u64::try_from(state.queue.bytes()).unwrap_or(u64::MAX),
            ..state.stats
        }
    }

    /// Asks the worker to end by `deadline` and waits until it has, or until then. A worker inside a name look-up
    /// cannot be hurried; it finds out when that returns.
    pub(super) fn stop(&self, deadline: Instant) -> Stop {
        let mut state = self.lock();
        state.stop = Some(deadline);
        self.changed.notify_all();
        while !state.finished {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                break;
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if let Some(socket) = state.socket.take() {
            // The worker may sit in a write that the peer does not take: this ends it.
            let _ = socket.shutdown(Shutdown::Both);
        }
        Stop {
            finished: state.finished,
            flushed: state.flushed,
        }
    }

    // The worker.

    /// A connection begins: nothing of the last one is left.
    pub(super) fn attach(&self, socket: TcpStream) -> Session {
        let mut state = self.lock();
        state.session.0 += 1;
        state.inbox.clear();
        state.ended = None;
        state.given_up = false;
        state.socket = Some(socket);
        state.session
    }

    /// The peer accepted the stream: it gets the headers now and frames from the next key frame on.
    pub(super) fn go_live(&self) {
        let mut state = self.lock();
        let State { queue, headers, .. } = &mut *state;
        queue.restart(headers);
        state.live = true;
        state.key_frame_wanted = state.headers.has_video();
        state.stats.sessions += 1;
    }

    /// The connection is over.
    pub(super) fn detach(&self) {
        let mut state = self.lock();
        state.live = false;
        state.key_frame_wanted = false;
        if let Some(socket) = state.socket.take() {
            // Wakes the reader.
            let _ = socket.shutdown(Shutdown::Both);
        }
        state.inbox.clear();
        self.changed.notify_all();
    }

    /// Waits until there is something to do or `until` has come.
    pub(super) fn work(&self, until: Option<Instant>) -> Work {
        let mut state = self.lock();
        loop {
            let idle = state.inbox.is_empty()
                && state.ended.is_none()
                && state.stop.is_none()
                && !state.key_frame_wanted
                && (!state.live || state.queue.is_empty());
            if !idle {
                return self.take(&mut state);
            }
            let Some(until) = until else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return Work::default();
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn take(&self, state: &mut State) -> Work {
        let tags = if state.live {
            std::iter::from_fn(|| state.queue.pop()).take(BATCH).collect()
        } else {
            Vec::new()
        };
        let work = Work {
            input: state.inbox.split(),
            tags,
            key_frame_wanted: std::mem::take(&mut state.key_frame_wanted),
            ended: state.ended.clone(),
            stop: state.stop,
        };
        self.changed.notify_all();
        work
    }

    /// Sleeps until `until`, or less when asked to stop. `true` when asked to stop.
    pub(super) fn pause(&self, until: Instant) -> bool {
        let mut state = self.lock();
        while state.stop.is_none() {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Waits until the peer has closed, or until `until`.
    pub(super) fn await_end(&self, until: Instant) {
        let mut state = self.lock();
        while state.ended.is_none() {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return;
            };
            state.inbox.clear();
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Whether the connection was closed because the queue was full.
    pub(super) fn is_given_up(&self) -> bool {
        self.lock().given_up
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut PublisherStats)) {
        change(&mut self.lock().stats);
    }

    pub(super) fn finish(&self, flushed: bool) {
        let mut state = self.lock();
        state.finished = true;
        state.flushed = flushed;
        drop(state);
        self.changed.notify_all();
    }

    // The reader.

    /// Hands over what was read; waits while the worker is behind.
    pub(super) fn received(&self, session: Session, bytes: &[u8]) {
        let mut state = self.lock();
        while state.inbox.len() > MAX_INBOX && state.is_current(session) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_current(session) {
            state.inbox.extend_from_slice(bytes);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more can be read.
    pub(super) fn read_ended(&self, session: Session, reason: PublishError) {
        let mut state = self.lock();
        if state.is_current(session) {
            state.ended = Some(reason);
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl State {
    /// Ends the connection; the worker may sit in a write that the peer does not take.
    fn give_up(&mut self) {
        self.live = false;
        self.given_up = true;
        self.ended = Some(PublishError::Behind);
        if let Some(socket) = &self.socket {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn is_current(&self, session: Session) -> bool {
        self.session == session && self.socket.is_some()
    }
}
