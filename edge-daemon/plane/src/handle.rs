//! Starting a plane and speaking to it.

use crate::command::{Command, Event};
use crate::kernel_side::KernelSide;
use crate::media_thread::{MediaThread, Parts};
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::socket::{self, MediaSender};
use crossbeam_channel::{Sender, TrySendError, bounded};
use lianmai_kernel::{Config as KernelConfig, Kernel, Ledger, Outliving, Unavailable};
use lianmai_webrtc::Datagram;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for the media thread; it takes them within microseconds.
const COMMANDS: usize = 4_096;

/// STUN and DTLS that wait for signalling.
const DATAGRAMS: usize = 1_024;

/// Events that wait for policy.
const EVENTS: usize = 1_024;

/// What a plane is started with.
#[derive(Debug)]
pub struct PlaneConfig {
    /// The one UDP port.
    pub bind: SocketAddr,
    /// Bytes of the socket's receive and send buffers, each; the kernel may grant less.
    pub socket_buffer: usize,
    /// A BPF file system in which programs and maps outlive the process, if they should.
    pub pins: Option<PathBuf>,
    /// What an earlier process left. It is taken out by the plane that starts.
    pub resumption: Resumption,
}

/// What is left of a plane whose process was killed.
#[derive(Debug, Default)]
pub struct Resumption {
    /// Its socket ([`PlaneHandle::socket`]) with what arrived at it: used instead of binding if it is at [`PlaneConfig::bind`].
    pub socket: Option<UdpSocket>,
    /// Its ledger ([`PlaneHandle::ledger`]).
    pub ledger: Option<OwnedFd>,
    /// What it was told, as far as that still holds, with [`Command::Resume`] for [`Command::Connect`].
    pub commands: Vec<Command>,
}

impl PlaneConfig {
    /// With buffers for a second of 64 Mbit/s.
    #[must_use]
    pub const fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            socket_buffer: 8 << 20,
            pins: None,
            resumption: Resumption {
                socket: None,
                ledger: None,
                commands: Vec::new(),
            },
        }
    }
}

/// What a plane gives out.
#[derive(Debug)]
pub struct Outputs {
    /// STUN and DTLS.
    pub datagrams: mpsc::Receiver<Datagram>,
    /// What policy may care about.
    pub events: mpsc::Receiver<Event>,
    /// Answers to STUN and DTLS go out here.
    pub sender: MediaSender,
}

/// Why a plane cannot be started or reached.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The port cannot be had.
    #[error(
        "cannot listen on UDP {address}: {source}; is another edge running, or is the address not of this machine?"
    )]
    Bind {
        /// The port.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The kernel does not take the programs, or the interface does not run them.
    #[error("no kernel plane on {interface}: {reason}")]
    Kernel {
        /// The interface.
        interface: String,
        /// Why, and what to do.
        reason: Box<Unavailable>,
    },
    /// A thread or a descriptor cannot be had.
    #[error("cannot start the media thread: {0}")]
    Start(#[from] io::Error),
    /// The media thread has not taken its commands for a long time.
    #[error("the media thread does not keep up: {COMMANDS} commands are waiting")]
    Overloaded,
    /// The media thread is gone.
    #[error("the media thread has ended")]
    Ended,
}

/// What reaches the media thread.
#[derive(Debug)]
pub(crate) enum Input {
    Command(Command),
    Snapshot(oneshot::Sender<Snapshot>),
    Abandon,
}

/// Drives a plane. Clones drive the same one; when the last is dropped, the plane ends.
#[derive(Clone, Debug)]
pub struct PlaneHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    inputs: Mutex<Option<Sender<Input>>>,
    wake: Arc<EventFd>,
    thread: Mutex<Option<JoinHandle<()>>>,
    metrics: Metrics,
    local: SocketAddr,
    ledger: OwnedFd,
    sender: MediaSender,
    interface: Option<String>,
}

/// Binds the port and starts the userspace plane on a thread of its own.
pub fn spawn_userspace(config: &mut PlaneConfig) -> Result<(PlaneHandle, Outputs), PlaneError> {
    spawn(config, None)
}

/// The same with streams forwarded by the kernel, as far as they come in and leave by this interface.
pub fn spawn_kernel(config: &mut PlaneConfig, interface: &str) -> Result<(PlaneHandle, Outputs), PlaneError> {
    spawn(config, Some(interface.to_owned()))
}

fn load(interface: &str, local: SocketAddr, outliving: Outliving) -> Result<KernelSide, PlaneError> {
    let config = KernelConfig {
        interface: interface.to_owned(),
        media_port: local.port(),
        outliving,
    };
    let kernel = Kernel::load(&config).map_err(|reason| PlaneError::Kernel {
        interface: interface.to_owned(),
        reason: Box::new(reason),
    })?;
    for program in kernel.programs() {
        tracing::debug!(interface, ?program, "the kernel took a program");
    }
    Ok(KernelSide::new(kernel, local)?)
}

/// The ledger of an earlier process, if it left a good one; whether it did, and the file.
fn ledger(left: Option<&OwnedFd>) -> io::Result<(Ledger, bool, OwnedFd)> {
    if let Some(file) = left {
        match Ledger::adopt(file) {
            Ok(ledger) => return Ok((ledger, true, file.try_clone()?)),
            Err(error) => tracing::error!(%error, "everybody must connect again"),
        }
    }
    let (ledger, file) = Ledger::create()?;
    Ok((ledger, false, file))
}

/// The socket of an earlier process, or a new one.
fn bound(config: &PlaneConfig) -> io::Result<UdpSocket> {
    let left = config.resumption.socket.as_ref();
    match left.filter(|left| socket::is_at(left, config.bind)) {
        Some(left) => socket::prepared(left.try_clone()?, config.socket_buffer),
        None => socket::bind(config.bind, config.socket_buffer),
    }
}

fn spawn(config: &mut PlaneConfig, interface: Option<String>) -> Result<(PlaneHandle, Outputs), PlaneError> {
    let bound = bound(config);
    let socket = bound.map_err(|source| PlaneError::Bind {
        address: config.bind,
        source,
    })?;
    let local = socket.local_addr()?;
    let sender = MediaSender::new(socket.try_clone()?)?;
    let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let wake = Arc::new(wake.map_err(io::Error::from)?);
    let (ledger, is_resumed, ledger_file) = ledger(config.resumption.ledger.as_ref())?;
    let outliving = match &config.pins {
        None => Outliving::No,
        Some(root) if is_resumed => Outliving::Adopted(root.clone()),
        Some(root) => Outliving::Pinned(root.clone()),
    };
    let kernel = interface
        .as_deref()
        .map(|interface| load(interface, local, outliving))
        .transpose()?;
    let (inputs, commands) = bounded(COMMANDS);
    let (datagrams_in, datagrams) = mpsc::channel(DATAGRAMS);
    let (events_in, events) = mpsc::channel(EVENTS);
    let metrics = Metrics::default();
    let parts = Parts {
        socket,
        local,
        wake: wake.clone(),
        inputs: commands,
        datagrams: datagrams_in,
        events: events_in,
        metrics: metrics.clone(),
        ledger,
        resumed: std::mem::take(&mut config.resumption).commands,
        kernel,
    };
    let thread = Builder::new()
        .name("media".to_owned())
        .spawn(move || MediaThread::new(parts).run())?;
    let (inputs, thread) = (Mutex::new(Some(inputs)), Mutex::new(Some(thread)));
    let inner = Arc::new(Inner {
        inputs,
        wake,
        thread,
        metrics,
        local,
        ledger: ledger_file,
        sender: sender.clone(),
        interface,
    });
    Ok((
        PlaneHandle { inner },
        Outputs {
            datagrams,
            events,
            sender,
        },
    ))
}

impl PlaneHandle {
    /// Changes the forwarding state. Commands take effect in the order of these calls.
    pub fn apply(&self, command: Command) -> Result<(), PlaneError> {
        self.inner.send(Input::Command(command))
    }

    /// What the plane knows, after the commands before this call.
    pub async fn snapshot(&self) -> Result<Snapshot, PlaneError> {
        let (reply, answer) = oneshot::channel();
        self.inner.send(Input::Snapshot(reply))?;
        answer.await.map_err(|_| PlaneError::Ended)
    }

    /// Counters and times, live.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Where the media port is.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local
    }

    /// The ledger of used packet indices, to be kept for a plane after this one.
    #[must_use]
    pub fn ledger(&self) -> BorrowedFd<'_> {
        self.inner.ledger.as_fd()
    }

    /// The socket of the media port, to be kept for a plane after this one.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.inner.sender.as_fd()
    }

    /// The interface whose streams the kernel forwards; `None` is the userspace plane.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        self.inner.interface.as_deref()
    }

    /// Ends the plane as the end of a killed process would: nothing is withdrawn, and what is pinned goes on. For tests of what
    /// comes after.
    pub fn abandon(&self) {
        // A plane that has ended already cannot be abandoned.
        let _ = self.inner.send(Input::Abandon);
        self.inner.end();
    }

    /// Ends the plane after the commands before this call, and waits for its thread.
    pub fn shutdown(&self) {
        self.inner.end();
    }
}

impl Inner {
    fn send(&self, input: Input) -> Result<(), PlaneError> {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = inputs.as_ref().ok_or(PlaneError::Ended)?.try_send(input);
        sent.map_err(|error| match error {
            TrySendError::Full(_) => PlaneError::Overloaded,
            TrySendError::Disconnected(_) => PlaneError::Ended,
        })?;
        self.wake();
        Ok(())
    }

    fn end(&self) {
        drop(self.inputs.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the media thread panicked");
        }
    }

    /// A full event counter wakes as well as one that counts on.
    fn wake(&self) {
        let _ = self.wake.write(1);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}
