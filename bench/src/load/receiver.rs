//! Receives what comes to all legs, and notes when.

use super::packets::Packets;
use crate::clock;
use anyhow::Result;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, recvmmsg};
use nix::sys::time::TimeSpec;
use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Datagrams of one `recvmmsg`.
const BATCH: usize = 32;
/// Room for one.
const DATAGRAM: usize = 2048;
/// How long the receiver sleeps when nothing comes, in milliseconds.
const PATIENCE_MS: u8 = 10;
/// How often it looks when it is not woken, in nanoseconds.
const ROUND: u64 = 250_000;
/// RFC 5761 §4: second bytes of RTCP packets.
const RTCP_TYPES: Range<u8> = 192..224;

/// How the receiver learns that something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It is woken, as a program that plays what it receives would be.
    Woken,
    /// It looks now and then, which takes much less of its processor: for rates that are high and times that the
    /// kernel takes.
    Rounds,
}

/// A packet came to a leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) leg: u32,
    pub(crate) sequence: u16,
    /// When the kernel of the co-host had it, in nanoseconds of `CLOCK_REALTIME`.
    pub(crate) kernel: u64,
    /// When the co-host's program had it, in nanoseconds of [`clock::now`].
    pub(crate) program: u64,
}

/// A packet that is kept, still sealed.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) leg: usize,
    bytes: Range<usize>,
}

/// Everything that came.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) kept: Vec<Kept>,
    arena: Vec<u8>,
}

impl Received {
    /// With room, so that nothing is allocated while packets come.
    pub(crate) fn for_packets(packets: &Packets, legs: usize, keep_every: usize) -> Self {
        let count = packets.len() * legs / packets.publishers + 64;
        let kept = count / keep_every + legs;
        Self {
            arrivals: Vec::with_capacity(count),
            kept: Vec::with_capacity(kept),
            arena: Vec::with_capacity(kept * (packets.get(0).len() + 64)),
        }
    }

    pub(crate) fn bytes(&self, kept: &Kept) -> &[u8] {
        &self.arena[kept.bytes.clone()]
    }

    fn keep(&mut self, leg: usize, datagram: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(datagram);
        let bytes = start..self.arena.len();
        self.kept.push(Kept { leg, bytes });
    }
}

/// Receives until it is told to stop. Of each leg's packets, one in `keep_every` is kept.
pub(crate) fn run(
    legs: &[&UdpSocket],
    mut received: Received,
    watch: Watch,
    keep_every: usize,
    progress: &Progress,
) -> Result<Received> {
    let mut reader = Reader::new(legs.len(), keep_every);
    match watch {
        Watch::Woken => woken(legs, &mut reader, &mut received, progress)?,
        Watch::Rounds => rounds(legs, &mut reader, &mut received, progress)?,
    }
    Ok(received)
}

fn woken(
    legs: &[&UdpSocket],
    reader: &mut Reader,
    received: &mut Received,
    progress: &Progress,
) -> Result<()> {
    let mut ready = Ready::new(legs)?;
    while !progress.is_over() {
        for leg in ready.wait(EpollTimeout::from(PATIENCE_MS))? {
            reader.read(leg, legs[leg], received)?;
        }
        progress.note(received.arrivals.len());
    }
    Ok(())
}

fn rounds(
    legs: &[&UdpSocket],
    reader: &mut Reader,
    received: &mut Received,
    progress: &Progress,
) -> Result<()> {
    let mut ready = Ready::new(legs)?;
    let mut next = clock::now();
    while !progress.is_over() {
        // Only those that have something: a look at each of a thousand sockets takes longer than a round.
        loop {
            let mut count = 0;
            for leg in ready.wait(EpollTimeout::ZERO)? {
                count += reader.read(leg, legs[leg], received)?;
            }
            if count == 0 {
                break;
            }
        }
        progress.note(received.arrivals.len());
        next = (next + ROUND).max(clock::now());
        clock::sleep_until(next);
    }
    Ok(())
}

/// Which legs have something to read.
struct Ready {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Ready {
    fn new(legs: &[&UdpSocket]) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        for (leg, socket) in legs.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, leg as u64))?;
        }
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); 64],
        })
    }

    /// Some of them.
    fn wait(&mut self, patience: EpollTimeout) -> Result<impl Iterator<Item = usize>> {
        let ready = match self.epoll.wait(&mut self.events, patience) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(self.events[..ready].iter().map(|event| event.data() as usize))
    }
}

/// What the receiver and the one who waits for it tell each other.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    arrived: AtomicUsize,
    over: AtomicBool,
}

impl Progress {
    /// Packets that came so far.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Tells the receiver to stop.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn note(&self, arrived: usize) {
        self.arrived.store(arrived, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Throws away what waits in a socket.
pub(crate) fn drain(socket: &UdpSocket) {
    let mut buffer = [0; DATAGRAM];
    while socket.recv(&mut buffer).is_ok() {}
}

struct Reader {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Vec<u8>,
    /// Of each leg, how many packets until the next is kept.
    until_kept: Vec<usize>,
    keep_every: usize,
}

impl Reader {
    fn new(legs: usize, keep_every: usize) -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec))),
            buffers: vec![0; BATCH * DATAGRAM],
            until_kept: vec![0; legs],
            keep_every,
        }
    }

    /// Takes a batch; returns how many datagrams it was.
    fn read(&mut self, leg: usize, socket: &UdpSocket, received: &mut Received) -> Result<usize> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .buffers
            .chunks_exact_mut(DATAGRAM)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let batch = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let stamps: Vec<(usize, u64)> = match batch {
            Ok(batch) => batch
                .map(|message| (message.bytes, timestamp(&message)))
                .collect(),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let (count, program) = (stamps.len(), clock::now());
        for ((len, kernel), datagram) in stamps.into_iter().zip(self.buffers.chunks_exact(DATAGRAM)) {
            let datagram = &datagram[..len];
            let Some(sequence) = rtp_sequence(datagram) else {
                continue;
            };
            received.arrivals.push(Arrival {
                leg: leg as u32,
                sequence,
                kernel,
                program,
            });
            if self.until_kept[leg] == 0 {
                self.until_kept[leg] = self.keep_every;
                received.keep(leg, datagram);
            }
            self.until_kept[leg] -= 1;
        }
        Ok(count)
    }
}

/// The sequence number of an RTP packet; STUN, DTLS and RTCP come to the same socket (RFC 7983 §7, RFC 5761 §4).
fn rtp_sequence(datagram: &[u8]) -> Option<u16> {
    let [first, second, high, low, ..] = datagram else {
        return None;
    };
    let is_rtp = (128..192).contains(first) && !RTCP_TYPES.contains(second);
    is_rtp.then_some(u16::from_be_bytes([*high, *low]))
}

fn timestamp(message: &RecvMsg<'_, '_, SockaddrIn>) -> u64 {
    let stamp = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
            _ => None,
        })
    });
    stamp.map_or(0, |stamp| u64::try_from(stamp.as_nanos()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::rtp_sequence;

    #[test]
    fn only_rtp_counts() {
        assert_eq!(rtp_sequence(&[0x90, 102, 1, 2, 0]), Some(258));
        assert_eq!(
            rtp_sequence(&[0x80, 0x80 | 102, 1, 2, 0]),
            Some(258),
            "with the marker bit"
        );
        assert_eq!(rtp_sequence(&[0x80, 200, 0, 6]), None, "a sender report");
        assert_eq!(rtp_sequence(&[0, 1, 0, 8]), None, "STUN");
        assert_eq!(rtp_sequence(&[22, 254, 253, 0]), None, "DTLS");
        assert_eq!(rtp_sequence(&[0x80, 102]), None);
    }
}
