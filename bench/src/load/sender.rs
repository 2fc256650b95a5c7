//! Sends packets at their times.

use super::packets::Packets;
use crate::clock;
use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Packets closer than this go out together: a timer that rings more often takes more than the sending.
const TICK: u64 = 100_000;
/// And no more of them at once than a network card would hand over without an interrupt in between.
const BURST: usize = 32;
/// Nor more than this many leg-packets: a veth device queues 256.
const BURST_LEGS: usize = 192;

/// When and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// A moment of [`clock::now`].
    pub(crate) start: u64,
    /// Of all publishers together.
    pub(crate) packets_per_second: f64,
    /// Of each publisher.
    pub(crate) legs: usize,
}

impl Pace {
    /// When a packet is due.
    pub(crate) fn due(self, number: usize) -> u64 {
        self.start + (number as f64 * 1e9 / self.packets_per_second) as u64
    }
}

/// What the sender did.
#[derive(Debug)]
pub(crate) struct Sent {
    /// When each packet was handed to the kernel.
    pub(crate) at: Vec<u64>,
    /// How far behind its time the sender was at worst, in nanoseconds.
    pub(crate) latest: u64,
}

/// Sends all of them; returns when the last is out.
pub(crate) fn run(packets: &Packets, sockets: &[&UdpSocket], pace: Pace) -> Result<Sent> {
    let mut sent = Sent {
        at: vec![0; packets.len()],
        latest: 0,
    };
    let mut batch = Batch::new();
    let burst = (BURST_LEGS / pace.legs.max(1)).clamp(1, BURST);
    let mut next = 0;
    while next < packets.len() {
        let due = pace.due(next);
        clock::sleep_until(due);
        let now = clock::now();
        sent.latest = sent.latest.max(now.saturating_sub(due));
        let mut end = next + 1;
        while end < packets.len() && end - next < burst && pace.due(end) < now + TICK {
            end += 1;
        }
        send(packets, sockets, next..end, &mut sent.at, &mut batch)?;
        next = end;
    }
    Ok(sent)
}

fn send(
    packets: &Packets,
    sockets: &[&UdpSocket],
    burst: std::ops::Range<usize>,
    at: &mut [u64],
    batch: &mut Batch,
) -> Result<()> {
    if let [socket] = sockets {
        at[burst.clone()].fill(clock::now());
        return batch.send(socket, packets, burst);
    }
    for number in burst {
        at[number] = clock::now();
        sockets[number % sockets.len()].send(packets.get(number))?;
    }
    Ok(())
}

/// What `sendmmsg` needs.
struct Batch {
    headers: MultiHeaders<SockaddrIn>,
}

impl Batch {
    fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BURST, None),
        }
    }

    fn send(&mut self, socket: &UdpSocket, packets: &Packets, burst: std::ops::Range<usize>) -> Result<()> {
        let mut rest = burst;
        while !rest.is_empty() {
            let slices: Vec<[IoSlice<'_>; 1]> = rest
                .clone()
                .map(|number| [IoSlice::new(packets.get(number))])
                .collect();
            let nowhere = vec![None; slices.len()];
            let flags = MsgFlags::empty();
            match sendmmsg(
                socket.as_raw_fd(),
                &mut self.headers,
                &slices,
                &nowhere,
                [],
                flags,
            ) {
                Ok(sent) => rest.start += sent.count(),
                // The send buffer holds more than a trial does; if it is full all the same, the trial is slow.
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => std::thread::yield_now(),
                Err(error) => bail!("the co-host cannot send: {error}"),
            }
        }
        Ok(())
    }
}
