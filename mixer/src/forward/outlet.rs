//! The sockets of one forward.

use lianmai_mixer_control::{Forward, ForwardStats};
use lianmai_timeline::Kind;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where packets of one forward leave, and what was counted.
pub(super) struct Outlet {
    audio: Option<Pair>,
    video: Option<Pair>,
    pub(super) stats: ForwardStats,
}

/// RTP to a port, RTCP to the next one (RFC 3550 §11).
struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Outlet {
    /// Opens the sockets. They never block, and they are connected, so that it is known when nobody listens.
    pub(super) fn open(forward: &Forward) -> io::Result<Self> {
        let pair = |port: Option<u16>| port.map(|port| Pair::open(forward.address, port)).transpose();
        Ok(Self {
            audio: pair(forward.audio_port)?,
            video: pair(forward.video_port)?,
            stats: ForwardStats {
                id: forward.id,
                packets: 0,
                bytes: 0,
                reports: 0,
                errors: 0,
            },
        })
    }

    /// Sends a packet of a track.
    pub(super) fn rtp(&mut self, kind: Kind, packet: &[u8]) {
        let Some(pair) = self.pair(kind) else { return };
        let Sent { sent, error } = send(&pair.rtp, packet);
        self.stats.packets += u64::from(sent);
        self.stats.bytes += if sent { packet.len() as u64 } else { 0 };
        self.stats.errors += u64::from(error);
    }

    /// Sends what the sender of a track reports.
    pub(super) fn rtcp(&mut self, kind: Kind, compound: &[u8]) {
        let Some(pair) = self.pair(kind) else { return };
        let Sent { sent, error } = send(&pair.rtcp, compound);
        self.stats.reports += u64::from(sent);
        self.stats.errors += u64::from(error);
    }

    fn pair(&self, kind: Kind) -> Option<&Pair> {
        match kind {
            Kind::Audio => self.audio.as_ref(),
            Kind::Video => self.video.as_ref(),
        }
    }
}

impl Pair {
    fn open(address: IpAddr, port: u16) -> io::Result<Self> {
        Ok(Self {
            rtp: connect(SocketAddr::new(address, port))?,
            rtcp: connect(SocketAddr::new(address, port.saturating_add(1)))?,
        })
    }
}

fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect(to)?;
    Ok(socket)
}

/// What became of a packet.
struct Sent {
    sent: bool,
    error: bool,
}

/// A refusal is the answer to an earlier packet, which nobody listened to. This one goes out all the same, so that a receiver which has
/// just begun misses nothing.
fn send(socket: &UdpSocket, packet: &[u8]) -> Sent {
    let result = socket.send(packet);
    let is_refused = matches!(&result, Err(error) if error.kind() == ErrorKind::ConnectionRefused);
    Sent {
        error: result.is_err(),
        sent: result.is_ok() || (is_refused && socket.send(packet).is_ok()),
    }
}
