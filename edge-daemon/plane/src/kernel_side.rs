//! The kernel, as the media thread drives it.

use crate::flows::Ground;
use crate::routes::Routes;
use lianmai_fanout::records;
use lianmai_kernel::{FrameHeader, Kernel, Maps};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Copies that are taken before anything else has its turn: a third of those that the ring buffer holds.
const COPIES_A_TURN: usize = 1_024;

/// How often it is asked whether routes or neighbours changed.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

/// The loaded programs with what goes around them.
pub(crate) struct KernelSide {
    kernel: Kernel,
    /// Wakes when the ring buffer fills up.
    ///
    /// The ring buffer itself is readable as long as there is anything in it, so to wait for it would be to run all the time.
    /// The programs wake a reader only when a quarter is full, and an edge-triggered descriptor sees just that.
    alarm: Epoll,
    routes: Routes,
    local_port: u16,
    news_at: Option<Instant>,
}

impl KernelSide {
    pub(crate) fn new(mut kernel: Kernel, local: SocketAddr) -> io::Result<Self> {
        kernel.next_hops().bind(local.ip());
        let alarm = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let edge = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
        alarm.add(kernel.copies().as_fd(), edge)?;
        Ok(Self {
            kernel,
            alarm,
            routes: Routes::default(),
            local_port: local.port(),
            news_at: None,
        })
    }

    /// Readable once the ring buffer has filled up.
    pub(crate) fn alarm(&self) -> BorrowedFd<'_> {
        self.alarm.0.as_fd()
    }

    /// Takes copies; returns whether that was all of them.
    pub(crate) fn take(&mut self, take: impl FnMut(&records::Copy, &[u8], &[u8])) -> bool {
        // Whether it had rung does not matter: the copies are looked at now.
        let _ = self.alarm.wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO);
        self.kernel.copies().take(COPIES_A_TURN, take) < COPIES_A_TURN
    }

    /// Whether the way to some peer may be another one now.
    pub(crate) fn has_news(&mut self, now: Instant) -> bool {
        let is_due = self
            .news_at
            .is_none_or(|at| now.saturating_duration_since(at) >= NEWS_INTERVAL);
        if !is_due {
            return false;
        }
        self.news_at = Some(now);
        let is_new = self.kernel.next_hops().changed().unwrap_or_else(|error| {
            tracing::warn!(%error, "changes of routes are not heard of; what is known is asked for again");
            true
        });
        self.routes.begin(now, is_new);
        is_new
    }

    /// See [`Kernel::abandon`].
    pub(crate) fn abandon(self) {
        self.kernel.abandon();
    }

    pub(crate) const fn kernel(&self) -> &Kernel {
        &self.kernel
    }
}

impl Ground for KernelSide {
    fn maps(&mut self) -> &mut Maps {
        self.kernel.maps()
    }

    fn frame_header(&mut self, remote: SocketAddr) -> Option<FrameHeader> {
        let (next_hops, port) = (self.kernel.next_hops(), self.local_port);
        self.routes.get(remote, || {
            next_hops
                .frame_header(remote, port)
                .inspect_err(|error| tracing::debug!(%remote, %error, "the daemon sends there itself"))
                .ok()
        })
    }
}
