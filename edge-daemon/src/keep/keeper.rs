//! One daemon after the other, and what they leave.

use super::bond::KEEPER;
use super::exit::Exit;
use super::held::{Held, MOST};
use super::passing;
use super::policy::{Next, Order, Policy};
use super::post::Post;
use crate::handover::{NOTIFY_SOCKET, VARIABLES};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Notifications that are read before signals are looked at again.
const LETTERS: usize = 256;

/// What a shell says when a program cannot be started.
const NOT_STARTED: Exit = Exit::Status(127);

/// A parent of daemons.
pub(super) struct Keeper {
    program: OsString,
    flags: Vec<OsString>,
    post: Post,
    signals: SignalFd,
    policy: Policy,
    held: Held,
    daemon: Option<Child>,
    start_at: Option<Instant>,
}

impl Keeper {
    /// Listens to signals and notifications; no daemon is started yet.
    pub(super) fn new(program: OsString, flags: Vec<OsString>) -> io::Result<Self> {
        Ok(Self {
            program,
            flags,
            post: Post::open()?,
            signals: signals()?,
            policy: Policy::new(Instant::now()),
            held: Held::default(),
            daemon: None,
            start_at: None,
        })
    }

    /// Until a daemon ends and none is to follow.
    pub(super) fn run(mut self) -> io::Result<Exit> {
        self.start()?;
        loop {
            self.wait()?;
            self.read_post(LETTERS)?;
            if let Some(exit) = self.heed_signals()? {
                return Ok(exit);
            }
            if let Some(Next::End(exit)) = self.look_after_daemon()? {
                return Ok(exit);
            }
            self.start_if_due();
        }
    }

    fn start(&mut self) -> io::Result<()> {
        self.start_at = None;
        self.policy.started(Instant::now());
        let daemon = self.command()?.spawn().map_err(|error| {
            io::Error::other(format!(
                "cannot start {}: {error}",
                self.program.to_string_lossy()
            ))
        })?;
        tracing::debug!(pid = daemon.id(), kept = self.held.names(), "started a daemon");
        self.daemon = Some(daemon);
        Ok(())
    }

    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
            .env(NOTIFY_SOCKET, self.post.address())
            .env("FDSTORE", MOST.to_string())
            .env(KEEPER, std::process::id().to_string())
            .stdin(Stdio::null())
            // Ctrl-C is for this process, which passes it on: a daemon that heard it twice would not end in order.
            .process_group(0);
        if !self.held.is_empty() {
            let descriptors = self.held.descriptors();
            command
                .arg(passing::RECEIVE)
                .env("LISTEN_FDS", descriptors.len().to_string())
                .env("LISTEN_FDNAMES", self.held.names())
                .stdin(passing::input(&descriptors)?);
        }
        command.args(&self.flags);
        Ok(command)
    }

    /// Until something comes in or a start is due.
    fn wait(&self) -> io::Result<()> {
        let mut sources = [
            PollFd::new(self.post.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut sources, timeout(self.start_at))?;
        Ok(())
    }

    /// Acts on what the daemon says. What others say is of no account, and what they send is closed.
    fn read_post(&mut self, most: usize) -> io::Result<()> {
        for _ in 0..most {
            let Some(letter) = self.post.next()? else { break };
            let Some(daemon) = self
                .daemon
                .as_ref()
                .filter(|daemon| letter.sender == Some(daemon.id()))
            else {
                tracing::debug!(
                    sender = letter.sender,
                    "a notification did not come from the daemon"
                );
                continue;
            };
            if letter.notice.is_ready {
                tracing::debug!(pid = daemon.id(), "the daemon serves");
                self.policy.ready();
            }
            self.held.apply(&letter.notice, letter.descriptors);
        }
        Ok(())
    }

    fn heed_signals(&mut self) -> io::Result<Option<Exit>> {
        while let Some(info) = self.signals.read_signal()? {
            let Some(signal) = i32::try_from(info.ssi_signo)
                .ok()
                .and_then(|number| Signal::try_from(number).ok())
            else {
                continue;
            };
            if let Some(exit) = self.heed(signal) {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    fn heed(&mut self, signal: Signal) -> Option<Exit> {
        let is_order = [Signal::SIGTERM, Signal::SIGINT].contains(&signal);
        let Some(pid) = self.daemon.as_ref().map(Child::id) else {
            // Between two daemons there is nobody to tell.
            return is_order.then_some(Exit::Status(0));
        };
        if is_order {
            let order = self.policy.ordered();
            tell(
                pid,
                if order == Order::Kill {
                    Signal::SIGKILL
                } else {
                    signal
                },
            );
        } else if signal == Signal::SIGUSR2 && !self.policy.is_ready() {
            tracing::warn!(pid, "the daemon does not serve yet, so it is not replaced");
        } else if signal != Signal::SIGCHLD {
            tell(pid, signal);
        }
        None
    }

    /// What follows, if the daemon has ended.
    fn look_after_daemon(&mut self) -> io::Result<Option<Next>> {
        let Some(daemon) = &mut self.daemon else {
            return Ok(None);
        };
        let Some(status) = daemon.try_wait()? else {
            return Ok(None);
        };
        // Its last words count.
        self.read_post(usize::MAX)?;
        let pid = self.daemon.take().map(|daemon| daemon.id());
        let exit = Exit::from(status);
        let next = self.follow(exit);
        match next {
            Next::StartAt(_) => {
                tracing::warn!(pid, %exit, kept = self.held.names(), "the daemon ended; another one follows");
            }
            Next::End(_) => tracing::debug!(pid, %exit, "the daemon ended"),
        }
        Ok(Some(next))
    }

    fn follow(&mut self, exit: Exit) -> Next {
        let next = self.policy.ended(Instant::now(), exit);
        self.start_at = match next {
            Next::StartAt(time) => Some(time),
            Next::End(_) => None,
        };
        next
    }

    fn start_if_due(&mut self) {
        if self.start_at.is_none_or(|time| time > Instant::now()) {
            return;
        }
        if let Err(error) = self.start() {
            tracing::error!(%error, "trying again");
            self.follow(NOT_STARTED);
        }
    }
}

/// The process is there until it is waited for, so the number is its.
fn tell(pid: u32, signal: Signal) {
    let told = i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), signal));
    if let Ok(Err(error)) = told {
        tracing::warn!(pid, %signal, %error, "the daemon cannot be told");
    }
}

/// Those that are waited for, instead of their doing what they do by default.
fn signals() -> io::Result<SignalFd> {
    let mut mask = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR2,
        Signal::SIGCHLD,
    ] {
        mask.add(signal);
    }
    mask.thread_block()?;
    Ok(SignalFd::with_flags(
        &mask,
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )?)
}

/// In whole milliseconds, upwards: a start that is almost due is not looked for in a loop.
fn timeout(start_at: Option<Instant>) -> PollTimeout {
    let Some(time) = start_at else {
        return PollTimeout::NONE;
    };
    let left = time.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX)
}
