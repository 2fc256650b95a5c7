//! The thread that owns the UDP port, and drives the kernel if there is one to drive.

use crate::clock::{Clock, Stamp};
use crate::command::{Command, Event};
use crate::engine::Engine;
use crate::flows::Ground;
use crate::handle::Input;
use crate::kernel_side::KernelSide;
use crate::metrics::{DropReason, Metrics, PacketKind};
use crate::outbox::Outbox;
use crate::socket::{BATCH, Received, Receiver, Sender};
use crate::transit::TransitRecorder;
use bytes::Bytes;
use crossbeam_channel::TryRecvError;
use lianmai_fanout::demux::{Protocol, classify};
use lianmai_kernel::Ledger;
use lianmai_webrtc::Datagram;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the feedback machines are asked what is due; the shortest of their intervals is longer.
const TICK: Duration = Duration::from_millis(10);

/// How often measured times are shown.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(500);

/// Batches that are received before commands and timers have their turn.
const BATCHES_A_TURN: usize = 8;

/// Commands that are applied before packets have their turn.
const COMMANDS_A_TURN: usize = 256;

/// Packets that are sealed before they are sent: few enough that the first of them does not wait for the last.
const FLUSH_AT: usize = BATCH / 2;

/// What the thread is given.
pub(crate) struct Parts {
    pub(crate) socket: UdpSocket,
    pub(crate) local: SocketAddr,
    pub(crate) wake: Arc<EventFd>,
    pub(crate) inputs: crossbeam_channel::Receiver<Input>,
    pub(crate) datagrams: mpsc::Sender<Datagram>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) metrics: Metrics,
    pub(crate) ledger: Ledger,
    /// What the edge knows of the time before.
    pub(crate) resumed: Vec<Command>,
    /// `None` is the userspace plane.
    pub(crate) kernel: Option<KernelSide>,
}

/// The thread's state.
pub(crate) struct MediaThread {
    kernel: Option<KernelSide>,
    socket: UdpSocket,
    wake: Arc<EventFd>,
    inputs: crossbeam_channel::Receiver<Input>,
    datagrams: mpsc::Sender<Datagram>,
    metrics: Metrics,
    clock: Clock,
    engine: Engine,
    receiver: Receiver,
    sender: Sender,
    outbox: Outbox,
    transit: TransitRecorder,
    next_tick: Instant,
    publish_at: Instant,
    look: Look,
    resumed: Vec<Command>,
}

/// When the kernel's copies are looked at, and its rings filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// When there is something to do anyway: no stream is in the kernel.
    Idle,
    /// Not later than this.
    At(Instant),
    /// There is more to do.
    Now,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inputs {
    Open,
    Closed,
    Abandoned,
}

/// A panic of this thread is the end of the process: the kernel goes on with what is pinned, and the next process with
/// that. Unwinding would take it away.
struct Crash;

impl Drop for Crash {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl MediaThread {
    /// To be called on the media thread: message headers hold pointers and stay where they were made.
    pub(crate) fn new(parts: Parts) -> Self {
        let clock = Clock::new();
        let now = clock.now().at;
        Self {
            kernel: parts.kernel,
            look: Look::Idle,
            sender: Sender::new(parts.local),
            socket: parts.socket,
            wake: parts.wake,
            inputs: parts.inputs,
            datagrams: parts.datagrams,
            transit: parts.metrics.transit.recorder(),
            engine: Engine::new(parts.ledger, parts.metrics.clone(), parts.events),
            resumed: parts.resumed,
            metrics: parts.metrics,
            clock,
            receiver: Receiver::new(),
            outbox: Outbox::default(),
            next_tick: now,
            publish_at: now,
        }
    }

    /// Runs until every handle is gone.
    pub(crate) fn run(mut self) {
        let _crash = Crash;
        self.resume();
        loop {
            self.wait();
            match self.take_inputs() {
                Inputs::Open => {}
                Inputs::Closed => break,
                Inputs::Abandoned => return self.abandon(),
            }
            self.serve_kernel();
            self.tick_if_due();
            for _ in 0..self.batches() {
                if self.receive_batch() < BATCH {
                    break;
                }
            }
        }
        self.engine.withdraw_flows(self.clock.now().at);
        self.flush();
        self.transit.publish();
    }

    /// Goes on where an earlier process ended.
    fn resume(&mut self) {
        let commands = std::mem::take(&mut self.resumed);
        let kernel = self.kernel.as_mut().map(|kernel| kernel as &mut dyn Ground);
        self.engine
            .resume(self.clock.now(), commands, kernel, &mut self.outbox);
        self.flush();
    }

    /// One, while there is more to do for the kernel: what it takes costs the daemon a tenth of what it leaves, so pads come before
    /// packets that came for the lack of them.
    fn batches(&self) -> usize {
        match self.look {
            Look::Now if self.kernel.is_some() => 1,
            Look::Now | Look::Idle | Look::At(_) => BATCHES_A_TURN,
        }
    }

    fn take_inputs(&mut self) -> Inputs {
        // Read before the queue, so that a command that comes now wakes the next wait.
        let _ = self.wake.read();
        let mut has_changed = false;
        for _ in 0..COMMANDS_A_TURN {
            match self.inputs.try_recv() {
                Ok(Input::Command(command)) => {
                    has_changed = true;
                    self.engine.apply(self.clock.now(), command, &mut self.outbox);
                }
                Ok(Input::Snapshot(reply)) => self.answer(reply),
                Ok(Input::Abandon) => return Inputs::Abandoned,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Inputs::Closed,
            }
        }
        if let Some(kernel) = self.kernel.as_mut().filter(|_| has_changed) {
            self.engine.review_flows(self.clock.now().at, kernel);
            self.look = Look::Now;
        }
        self.flush();
        Inputs::Open
    }

    /// A killed process drops nothing.
    fn abandon(mut self) {
        if let Some(kernel) = self.kernel.take() {
            kernel.abandon();
        }
        std::mem::forget(self);
    }

    fn answer(&mut self, reply: tokio::sync::oneshot::Sender<crate::snapshot::Snapshot>) {
        self.transit.publish();
        // Whoever asked may have gone.
        let _ = reply.send(self.engine.snapshot());
    }

    /// Takes copies, serves legs that the kernel left behind, and fills its rings.
    fn serve_kernel(&mut self) {
        let Some(kernel) = &mut self.kernel else { return };
        let (engine, outbox, clock) = (&mut self.engine, &mut self.outbox, &self.clock);
        let now = clock.now();
        let all = kernel.take(|copy, header, payload| {
            engine.on_copy(clock.now(), copy, header, payload, outbox);
        });
        if all {
            engine.copies_drained(now.at);
        }
        let is_due = match self.look {
            Look::Idle | Look::Now => true,
            Look::At(at) => at <= now.at,
        };
        if is_due || !all {
            engine.settle(now, outbox);
            let more = engine.feed(now, kernel) || !all;
            self.look = match engine.look_within(now.at) {
                _ if more => Look::Now,
                Some(time) => Look::At(now.at + time),
                None => Look::Idle,
            };
        }
        self.flush();
    }

    fn tick_if_due(&mut self) {
        let now = self.clock.now();
        if now.at < self.next_tick {
            return;
        }
        self.next_tick = now.at + TICK;
        self.engine.on_tick(now, &mut self.outbox);
        if self.kernel.as_mut().is_some_and(|kernel| kernel.has_news(now.at)) {
            self.engine.routes_changed();
        }
        self.flush();
        if now.at >= self.publish_at {
            self.publish_at = now.at + PUBLISH_INTERVAL;
            self.publish();
        }
    }

    /// Shows what was measured.
    fn publish(&mut self) {
        self.transit.publish();
        let Some(kernel) = &mut self.kernel else { return };
        self.engine.show_flows(kernel);
        match kernel.kernel().outcomes() {
            Ok(outcomes) => self.metrics.show_outcomes(&outcomes),
            Err(error) => tracing::warn!(%error, "the counters of the kernel programs cannot be read"),
        }
    }

    /// Until a packet, a command or the next tick.
    fn wait(&self) {
        let alarm = self.kernel.as_ref().map(KernelSide::alarm);
        let fds = [Some(self.socket.as_fd()), Some(self.wake.as_fd()), alarm];
        let fds = fds.into_iter().flatten();
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, self.timeout());
    }

    fn timeout(&self) -> PollTimeout {
        if !self.inputs.is_empty() || self.kernel.is_some() && self.look == Look::Now {
            return PollTimeout::ZERO;
        }
        if self.engine.is_idle() {
            // What the programs count is shown all the same.
            let shown_within = self.kernel.as_ref().map(|_| PUBLISH_INTERVAL);
            return shown_within.map_or(PollTimeout::NONE, |time| {
                PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO)
            });
        }
        let until = match self.look {
            Look::At(at) => at.min(self.next_tick),
            Look::Idle | Look::Now => self.next_tick,
        };
        // Rounded up: a wait that ends a little early would be followed by some of no length.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
    }

    fn receive_batch(&mut self) -> usize {
        let count = match self.receiver.receive(&self.socket, &self.clock) {
            Ok(count) => count,
            Err(error) => {
                tracing::warn!(%error, "the media port refused to be read");
                return 0;
            }
        };
        let now = self.clock.now();
        for place in 0..count {
            match self.receiver.get(place) {
                None => self.metrics.dropped.inc(DropReason::NotServed),
                Some((received, bytes)) => {
                    let parts = (&mut self.engine, &mut self.outbox, &self.datagrams, &self.metrics);
                    deliver(parts, now, &received, bytes);
                }
            }
            if self.outbox.len() >= FLUSH_AT {
                self.flush();
            }
        }
        self.flush();
        count
    }

    /// Sends what waits, and notes how long its packets took.
    fn flush(&mut self) {
        for nanos in self.outbox.take_transits() {
            self.transit.record(nanos);
        }
        if self.outbox.len() == 0 {
            return;
        }
        let (clock, metrics, transit) = (&self.clock, &self.metrics, &mut self.transit);
        let not_sent = self.sender.send(&self.socket, self.outbox.queue(), |sent| {
            let now = clock.now();
            for outgoing in sent {
                metrics.sent.inc(outgoing.kind);
                if let Some(arrival) = outgoing.arrival {
                    transit.record(now.nanos.saturating_sub(arrival.nanos));
                }
            }
        });
        self.metrics
            .dropped
            .add(DropReason::SendRefused, not_sent.refused as u64);
        self.metrics
            .dropped
            .add(DropReason::SendBufferFull, not_sent.buffer_full as u64);
        self.outbox.clear();
    }
}

type Reach<'a> = (
    &'a mut Engine,
    &'a mut Outbox,
    &'a mpsc::Sender<Datagram>,
    &'a Metrics,
);

/// Brings a datagram to whom it is for (RFC 7983).
fn deliver((engine, outbox, datagrams, metrics): Reach<'_>, now: Stamp, received: &Received, bytes: &[u8]) {
    if received.truncated {
        metrics.dropped.inc(DropReason::Oversized);
        return;
    }
    let protocol = classify(bytes);
    match protocol {
        Protocol::Stun => metrics.received.inc(PacketKind::Stun),
        Protocol::Dtls => metrics.received.inc(PacketKind::Dtls),
        Protocol::Rtp => metrics.received.inc(PacketKind::Rtp),
        Protocol::Rtcp => metrics.received.inc(PacketKind::Rtcp),
        Protocol::Other => metrics.dropped.inc(DropReason::NotServed),
    }
    match protocol {
        Protocol::Rtp | Protocol::Rtcp => {
            engine.on_datagram(now, received.arrival, received.from, protocol, bytes, outbox);
        }
        Protocol::Stun | Protocol::Dtls => {
            let bytes = Bytes::copy_from_slice(bytes);
            let datagram = Datagram {
                from: received.from,
                arrival: received.arrival.at,
                bytes,
            };
            if datagrams.try_send(datagram).is_err() {
                metrics.dropped.inc(DropReason::SignallingBusy);
            }
        }
        Protocol::Other => {}
    }
}
