//! The way out: a socket that belongs to somebody else as well.

use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Sends datagrams without waiting. What cannot be sent now is lost, as on any network.
pub trait DatagramSink: Send + Sync + 'static {
    /// Sends one datagram.
    ///
    /// # Errors
    /// Whatever the socket says, `WouldBlock` included.
    fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()>;
}

/// A duplicate of the media thread's UDP socket.
#[derive(Debug)]
pub struct SharedSocket {
    socket: UdpSocket,
    is_ipv6: bool,
}

impl SharedSocket {
    /// Takes a socket, and makes it non-blocking, with all its duplicates.
    ///
    /// # Errors
    /// When the socket has no local address or cannot be made non-blocking.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let is_ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Self { socket, is_ipv6 })
    }
}

impl DatagramSink for SharedSocket {
    fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let to = if self.is_ipv6 { mapped(to) } else { to };
        self.socket.send_to(datagram, to).map(|_| ())
    }
}

/// A socket of both families knows IPv4 peers by their mapped addresses (RFC 4291 §2.5.5.2).
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}
