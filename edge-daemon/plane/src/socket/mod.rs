//! The one UDP port.
//!
//! Packets come in and go out in batches (`recvmmsg`, `sendmmsg`). UDP GSO is not used: one call of it sends to one
//! address, in segments of one size, and the copies of a packet go to different addresses while consecutive packets
//! of a stream differ in size.

#[cfg(test)]
mod tests;

use crate::clock::{Clock, Stamp};
use crate::outbox::Outgoing;
use lianmai_webrtc::DatagramSink;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg, setsockopt,
    sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// Datagrams of one `recvmmsg` or `sendmmsg`.
pub(crate) const BATCH: usize = 64;

/// Room for one datagram: an Ethernet frame, and then some.
const DATAGRAM: usize = 2_048;

/// How long a full send buffer is waited for before packets are dropped.
const SEND_PATIENCE_MS: u16 = 2;

/// Binds the port. IPv6's unspecified address takes IPv4 as well.
pub(crate) fn bind(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    let socket = prepared(socket.into(), buffer)?;
    SockRef::from(&socket).bind(&address.into())?;
    Ok(socket)
}

/// A socket, bound or not, as the media thread wants it.
pub(crate) fn prepared(socket: UdpSocket, buffer: usize) -> io::Result<UdpSocket> {
    let options = SockRef::from(&socket);
    // The kernel cuts both to its own maxima (net.core.rmem_max, wmem_max): a smaller buffer is no error.
    options.set_recv_buffer_size(buffer)?;
    options.set_send_buffer_size(buffer)?;
    options.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

/// Whether this is a datagram socket at an address; with port 0 any port will do, as it would in binding.
pub(crate) fn is_at(socket: &UdpSocket, address: SocketAddr) -> bool {
    let is_datagrams = SockRef::from(socket)
        .r#type()
        .is_ok_and(|kind| kind == Type::DGRAM);
    is_datagrams
        && socket.local_addr().is_ok_and(|local| {
            local.ip() == address.ip() && (address.port() == 0 || local.port() == address.port())
        })
}

/// Sends STUN and DTLS through the port, from any thread, without waiting.
///
/// A plain socket on purpose: registered with a runtime it would wake that runtime for every media packet.
#[derive(Clone, Debug)]
pub struct MediaSender {
    socket: Arc<UdpSocket>,
    is_v6: bool,
}

impl MediaSender {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let is_v6 = socket.local_addr()?.is_ipv6();
        Ok(Self {
            socket: Arc::new(socket),
            is_v6,
        })
    }

    /// Where the port is.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsFd for MediaSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl DatagramSink for MediaSender {
    /// `WouldBlock` means that the send buffer is full: the datagram is dropped, the protocols above repeat it.
    fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.socket
            .send_to(datagram, on_the_wire(to, self.is_v6))
            .map(|_| ())
    }
}

/// One received datagram; its bytes are in the receiver's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    pub(crate) arrival: Stamp,
    len: usize,
    /// It was longer than its buffer.
    pub(crate) truncated: bool,
}

/// Receives in batches.
pub(crate) struct Receiver {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Vec<u8>,
    received: Vec<Option<Received>>,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self {
            headers: headers(),
            buffers: vec![0; BATCH * DATAGRAM],
            received: Vec::with_capacity(BATCH),
        }
    }

    /// Takes what is there, at most [`BATCH`]; returns how many.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, clock: &Clock) -> io::Result<usize> {
        self.received.clear();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .buffers
            .chunks_exact_mut(DATAGRAM)
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let batch = match recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            flags,
            None,
        ) {
            Ok(batch) => batch,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let arrivals = clock.arrivals();
        self.received.extend(batch.map(|message| {
            let from = source(message.address.as_ref())?;
            let truncated = message.flags.contains(MsgFlags::MSG_TRUNC);
            Some(Received {
                from,
                arrival: arrivals.stamp(timestamp(&message)),
                len: message.bytes,
                truncated,
            })
        }));
        Ok(self.received.len())
    }

    /// The datagram at this place of the last batch.
    pub(crate) fn get(&self, place: usize) -> Option<(Received, &[u8])> {
        let received = (*self.received.get(place)?)?;
        let start = place * DATAGRAM;
        Some((
            received,
            self.buffers.get(start..start + received.len.min(DATAGRAM))?,
        ))
    }
}

fn headers() -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec)))
}

fn timestamp(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<Duration> {
    message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    })
}

/// The sender's address; one that IPv6 only carries is an IPv4 address again.
fn source(address: Option<&SockaddrStorage>) -> Option<SocketAddr> {
    let address = address?;
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(IpAddr::V4(v4.ip()), v4.port()));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddr::new(IpAddr::V6(v6.ip()).to_canonical(), v6.port()))
}

/// The address as the socket's own family has it.
fn on_the_wire(to: SocketAddr, is_v6: bool) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(v4) if is_v6 => SocketAddr::new(IpAddr::V6(v4.to_ipv6_mapped()), to.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => to,
    }
}

/// What stayed behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotSent {
    /// The kernel would not send these: no route, a firewall, too large.
    pub(crate) refused: usize,
    /// The send buffer stayed full.
    pub(crate) buffer_full: usize,
}

/// Sends in batches.
pub(crate) struct Sender {
    headers: MultiHeaders<SockaddrStorage>,
    is_v6: bool,
}

impl Sender {
    /// For a socket that is bound to this address.
    pub(crate) fn new(local: SocketAddr) -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            is_v6: local.is_ipv6(),
        }
    }

    /// Sends datagrams in their order, and shows those that went out. Waits for a full send buffer once, and never
    /// long.
    pub(crate) fn send(
        &mut self,
        socket: &UdpSocket,
        outgoing: &[Outgoing],
        mut went_out: impl FnMut(&[Outgoing]),
    ) -> NotSent {
        let mut not_sent = NotSent::default();
        let mut waited = false;
        let mut rest = outgoing;
        while !rest.is_empty() {
            match self.send_some(socket, rest) {
                Ok(count) => {
                    let (gone, left) = rest.split_at(count.min(rest.len()));
                    went_out(gone);
                    rest = left;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOBUFS) if !waited => {
                    waited = true;
                    wait_for_room(socket);
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    not_sent.buffer_full += rest.len();
                    return not_sent;
                }
                // The error is that of the first datagram; the others may be fine.
                Err(_) => {
                    not_sent.refused += 1;
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
        not_sent
    }

    fn send_some(&mut self, socket: &UdpSocket, batch: &[Outgoing]) -> Result<usize, Errno> {
        let batch = batch.get(..BATCH).unwrap_or(batch);
        let slices: Vec<[IoSlice<'_>; 1]> = batch
            .iter()
            .map(|outgoing| [IoSlice::new(&outgoing.bytes)])
            .collect();
        let addresses: Vec<Option<SockaddrStorage>> = batch
            .iter()
            .map(|outgoing| Some(on_the_wire(outgoing.to, self.is_v6).into()))
            .collect();
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter(),
            &addresses,
            [],
            flags,
        )?;
        Ok(sent.count())
    }
}

fn wait_for_room(socket: &UdpSocket) {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    // Whether it timed out shows when the batch is tried again.
    let _ = poll(&mut fds, PollTimeout::from(SEND_PATIENCE_MS));
}
