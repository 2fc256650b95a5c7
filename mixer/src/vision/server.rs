//! The thread that speaks with the program.

use super::client::Client;
use super::desk::Desk;
use super::eye::Eye;
use super::memory::{MAX_SIDE, Memory};
use super::wire::{Answer, Mark, Refused, ToProgram, VERSION};
use crate::clock;
use lianmai_compositor::{Fit, Frame, FrameError, Kernels, Rect, Scaler, Size};
use lianmai_mixer_control::media::HostId;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

/// Whether the program is stuck is looked at this often, in milliseconds.
const STEP_MS: u16 = 1000;

/// A program that says so much that makes no sense, and nothing in between that does, is not listened to.
const MAX_JUNK: u32 = 100;

/// Why nothing is looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VisionError {
    /// The program could not connect.
    #[error("no socket for the vision program at {path}: {source}")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system has no descriptors, memory or threads left.
    #[error("no vision: {0}")]
    System(#[from] io::Error),
}

/// Why a program is let go.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("it closed its socket")]
    Closed,
    #[error("it has had a picture for more than 10 s")]
    Stuck,
    #[error("it said {MAX_JUNK} lines in a row that make no sense; the last: {0}")]
    Junk(Refused),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Listens for a program at `path`; `show` is told what it sees, on this thread, and must not block.
pub(crate) fn open(
    path: &Path,
    show: impl FnMut(HostId, Vec<Mark>) + Send + 'static,
) -> Result<Eye, VisionError> {
    let failed = |source| VisionError::Socket {
        path: path.to_owned(),
        source,
    };
    let listener = UnixListener::bind(path).map_err(failed)?;
    let eye = Eye::new()?;
    let mut server = Server {
        eye: eye.clone(),
        listener,
        show,
    };
    thread::Builder::new()
        .name("vision".to_owned())
        .spawn(move || server.run())?;
    Ok(eye)
}

struct Server<F> {
    eye: Eye,
    listener: UnixListener,
    show: F,
}

/// One program, from its hello to its end.
struct Session<'a, F> {
    eye: &'a Eye,
    client: Client,
    memory: Memory,
    desk: Desk,
    scalers: BTreeMap<Size, (Scaler, Frame)>,
    junk: u32,
    show: &'a mut F,
}

impl<F: FnMut(HostId, Vec<Mark>)> Server<F> {
    /// One program after the other. The thread ends with the process.
    fn run(&mut self) {
        loop {
            let client = match self.listener.accept() {
                Ok((socket, _)) => Client::new(socket),
                Err(error) => return tracing::error!(%error, "no vision program can connect any more"),
            };
            let counters = self.eye.counters();
            counters.connections.fetch_add(1, Ordering::Relaxed);
            let Err(gone) = client.map_err(Gone::from).and_then(|client| self.serve(client));
            if matches!(gone, Gone::Stuck) {
                self.eye.counters().stuck.fetch_add(1, Ordering::Relaxed);
            }
            self.eye.set_open(false);
            tracing::warn!(reason = %gone, "the vision program is gone");
        }
    }

    fn serve(&mut self, client: Client) -> Result<std::convert::Infallible, Gone> {
        let mut session = Session {
            eye: &self.eye,
            client,
            memory: Memory::new()?,
            desk: Desk::default(),
            scalers: BTreeMap::new(),
            junk: 0,
            show: &mut self.show,
        };
        let hello = ToProgram::Hello {
            version: VERSION,
            bytes: Memory::BYTES,
            format: "i420",
        };
        session.client.say(&hello, Some(session.memory.as_fd()))?;
        self.eye.set_open(true);
        tracing::info!("a vision program is there");
        loop {
            session.step()?;
        }
    }
}

impl<F: FnMut(HostId, Vec<Mark>)> Session<'_, F> {
    fn step(&mut self) -> Result<(), Gone> {
        let mut fds = [self.client.as_fd(), self.eye.bell()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::from(STEP_MS)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        self.eye.heard();
        self.listen()?;
        if self.desk.is_stuck(clock::now()) {
            return Err(Gone::Stuck);
        }
        self.send()
    }

    fn listen(&mut self) -> Result<(), Gone> {
        let Self {
            client,
            desk,
            show,
            eye,
            junk,
            ..
        } = self;
        let mut last = None;
        let alive = client.read(|line| match line.and_then(|line| understand(line, desk)) {
            Ok((host, marks)) => {
                eye.counters().answered.fetch_add(1, Ordering::Relaxed);
                *junk = 0;
                show(host, marks);
            }
            Err(refused) => {
                if eye
                    .counters()
                    .refused
                    .fetch_add(1, Ordering::Relaxed)
                    .is_power_of_two()
                {
                    tracing::warn!(%refused, "what the vision program says is refused");
                }
                *junk += 1;
                last = Some(refused);
            }
        })?;
        match last {
            Some(refused) if *junk >= MAX_JUNK => Err(Gone::Junk(refused)),
            _ if alive => Ok(()),
            _ => Err(Gone::Closed),
        }
    }

    fn send(&mut self) -> Result<(), Gone> {
        let desk = &self.desk;
        for (host, name, frame) in self.eye.take(|host| desk.has_room_for(host)) {
            let Some((number, slot)) = self.desk.lend(clock::now(), host) else {
                self.eye.counters().skipped.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let small = small(&mut self.scalers, &frame)?;
            let Size { width, height } = small.size();
            self.memory.put(slot, number, small)?;
            self.eye.counters().sent.fetch_add(1, Ordering::Relaxed);
            let message = ToProgram::Frame {
                frame: number,
                host: host.0,
                name: &name,
                offset: Memory::offset(slot),
                width,
                height,
            };
            self.client.say(&message, None)?;
        }
        Ok(())
    }
}

fn understand(line: &[u8], desk: &mut Desk) -> Result<(HostId, Vec<Mark>), Refused> {
    let (number, marks) = Answer::read(line)?;
    let host = desk.back(number).ok_or(Refused::Unknown(number))?;
    Ok((host, marks))
}

/// The picture at a size that a program can look at in time.
fn small<'a>(
    scalers: &'a mut BTreeMap<Size, (Scaler, Frame)>,
    frame: &Frame,
) -> Result<&'a Frame, FrameError> {
    // Sizes of pictures are the hosts' business: there may be any number of them, one after the other.
    if scalers.len() > super::memory::SLOTS && !scalers.contains_key(&frame.size()) {
        scalers.clear();
    }
    let (scaler, small) = match scalers.entry(frame.size()) {
        std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::btree_map::Entry::Vacant(new) => {
            let size = reduced(frame.size());
            let scaler = Scaler::new(frame.size(), Rect::of(size), Fit::Stretch, Kernels::detect());
            new.insert((scaler, Frame::new(size)?))
        }
    };
    scaler.draw(&frame.view(), &mut small.view_mut());
    Ok(small)
}

/// Of the same shape, even, and no longer than [`MAX_SIDE`] on any side.
fn reduced(size: Size) -> Size {
    let longest = size.width.max(size.height);
    let side = |side: usize| {
        let scaled = if longest > MAX_SIDE {
            side * MAX_SIDE / longest
        } else {
            side
        };
        (scaled - scaled % 2).max(2)
    };
    Size::new(side(size.width), side(size.height))
}

#[cfg(test)]
mod tests {
    use super::reduced;
    use lianmai_compositor::Size;

    #[test]
    fn large_pictures_are_reduced_and_small_ones_stay() {
        for (from, to) in [
            ((1280, 720), (640, 360)),
            ((1080, 1920), (360, 640)),
            ((320, 180), (320, 180)),
            ((641, 3), (640, 2)),
            ((1, 1), (2, 2)),
            ((1920, 1), (640, 2)),
        ] {
            assert_eq!(reduced(Size::new(from.0, from.1)), Size::new(to.0, to.1));
        }
    }
}
