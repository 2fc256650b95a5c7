//! The side of the decoding thread: the newest picture of each host, now and then.

use crate::clock;
use lianmai_compositor::Frame;
use lianmai_mixer_control::VisionStats;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pictures of one host are looked at this often at most.
const EVERY: Span = Span::from_millis(200);

/// Hands pictures to the program. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Eye(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hosts: Mutex<BTreeMap<HostId, Host>>,
    bell: EventFd,
    counters: Arc<VisionCounters>,
}

#[derive(Debug)]
struct Host {
    name: String,
    due: EdgeTime,
    newest: Option<Arc<Frame>>,
}

/// What is counted. Read by the mixing thread.
#[derive(Debug, Default)]
pub(crate) struct VisionCounters {
    pub(super) connected: AtomicBool,
    pub(super) connections: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) stuck: AtomicU64,
}

impl Eye {
    /// Nothing is looked at before [`Self::set_open`].
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(Arc::new(Shared {
            hosts: Mutex::default(),
            bell: EventFd::from_value_and_flags(0, flags)?,
            counters: Arc::default(),
        })))
    }

    /// What is counted.
    pub(crate) fn counters(&self) -> &Arc<VisionCounters> {
        &self.0.counters
    }

    /// A host joins, or has another name.
    pub(crate) fn add(&self, host: HostId, name: &str) {
        self.lock()
            .entry(host)
            .or_insert_with(|| Host {
                name: String::new(),
                due: EdgeTime::default(),
                newest: None,
            })
            .name = name.to_owned();
    }

    /// A host leaves.
    pub(crate) fn remove(&self, host: HostId) {
        self.lock().remove(&host);
    }

    /// A picture of a host, which is looked at if it is time and somebody looks.
    pub(crate) fn offer(&self, host: HostId, frame: &Arc<Frame>) {
        if !self.0.counters.connected.load(Ordering::Relaxed) {
            return;
        }
        let now = clock::now();
        let mut hosts = self.lock();
        let Some(host) = hosts.get_mut(&host).filter(|host| host.due <= now) else {
            return;
        };
        // As often as it may, although pictures come a little late or early; not more often after a pause.
        let last = if now - host.due < EVERY { host.due } else { now };
        host.due = last + EVERY;
        if host.newest.replace(Arc::clone(frame)).is_some() {
            self.0.counters.skipped.fetch_add(1, Ordering::Relaxed);
        }
        drop(hosts);
        // A bell that cannot be rung any louder is heard.
        self.0.bell.write(1).ok();
    }

    /// Somebody looks, or no longer.
    pub(super) fn set_open(&self, open: bool) {
        self.0.counters.connected.store(open, Ordering::Relaxed);
        for host in self.lock().values_mut() {
            host.newest = None;
        }
    }

    /// The newest pictures of hosts for whom there is `room`, with their names.
    pub(super) fn take(&self, room: impl Fn(HostId) -> bool) -> Vec<(HostId, String, Arc<Frame>)> {
        let mut hosts = self.lock();
        let ready = hosts.iter_mut().filter(|(host, _)| room(**host));
        ready
            .filter_map(|(id, host)| Some((*id, host.name.clone(), host.newest.take()?)))
            .collect()
    }

    /// Readable when there is something to take.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }

    /// Silences the bell.
    pub(super) fn heard(&self) {
        self.0.bell.read().ok();
    }

    /// Held for a few look-ups at a time, in which nothing panics.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<HostId, Host>> {
        self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VisionCounters {
    /// For the daemon.
    pub(crate) fn report(&self) -> VisionStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        VisionStats {
            connected: self.connected.load(Ordering::Relaxed),
            connections: get(&self.connections),
            frames_sent: get(&self.sent),
            frames_skipped: get(&self.skipped),
            frames_answered: get(&self.answered),
            lines_refused: get(&self.refused),
            stuck: get(&self.stuck),
        }
    }
}
