//! The way to a peer: which addresses its frames carry, as the kernel's own routing would have it.

mod frame_header;
mod netlink;
mod tables;

pub use frame_header::{Ethernet, FrameHeader, MacAddress};

use crate::Unavailable;
use netlink::{News, Questions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tables::Interface;

/// Looks up routes and neighbours for frames that leave by one interface.
#[derive(Debug)]
pub struct NextHops {
    questions: Questions,
    news: News,
    interface: Interface,
    bound_to: Option<IpAddr>,
}

/// Why the kernel cannot send to a peer by itself. The daemon's socket may still reach it.
#[derive(Debug, thiserror::Error)]
pub enum NoNextHop {
    /// There is no route.
    #[error("there is no route to {0}")]
    NoRoute(IpAddr),
    /// The address is our own, or one of many hosts.
    #[error("{0} is not the address of one other host")]
    NotOneOther(IpAddr),
    /// Packets leave by another interface.
    #[error("packets to {remote} leave by the interface with index {interface}, where no program runs")]
    OtherInterface {
        /// The peer.
        remote: IpAddr,
        /// The index of that interface; zero if the kernel does not say.
        interface: u32,
    },
    /// The route wraps packets into others.
    #[error("packets to {0} are wrapped into others on their way")]
    Wrapped(IpAddr),
    /// Packets to the peer cannot carry what the daemon's socket is bound to.
    #[error("no address of ours can send to {0}")]
    NoSource(IpAddr),
    /// The next hop has not been heard of: it will be once the daemon's socket has sent to it.
    #[error("the Ethernet address of {0} is not known yet")]
    UnknownNeighbour(IpAddr),
    /// The longest packets of the programs do not fit.
    #[error("only packets of {mtu} bytes fit on the way to {remote}")]
    SmallMtu {
        /// The peer.
        remote: IpAddr,
        /// What fits.
        mtu: u32,
    },
    /// The kernel did not answer.
    #[error("the kernel's routing tables cannot be read")]
    Tables(#[from] io::Error),
}

impl NextHops {
    /// By way of this interface.
    pub fn open(interface: &str) -> Result<Self, Unavailable> {
        let mut questions = Questions::open()?;
        Ok(Self {
            interface: tables::interface(&mut questions, interface)?,
            questions,
            news: News::open()?,
            bound_to: None,
        })
    }

    /// Says that the media socket is bound to this address, so that no other can be the source. An unspecified one leaves the choice
    /// to the routes.
    pub fn bind(&mut self, local: IpAddr) {
        self.bound_to = Some(local.to_canonical()).filter(|local| !local.is_unspecified());
    }

    /// The headers of frames to this peer from this port of ours. They hold until something [changes](Self::changed).
    pub fn frame_header(&mut self, remote: SocketAddr, local_port: u16) -> Result<FrameHeader, NoNextHop> {
        let to = canonical(remote);
        let route = tables::route(&mut self.questions, to, local_port, self.bound_to)?;
        if route.interface != self.interface.index {
            return Err(NoNextHop::OtherInterface {
                remote: to.ip(),
                interface: route.interface,
            });
        }
        let ethernet = Ethernet {
            to: tables::neighbour(&mut self.questions, route.next_hop, self.interface.index)?,
            from: self.interface.address,
        };
        let header = FrameHeader::new(ethernet, SocketAddr::new(route.source, local_port), to);
        let header = header.ok_or(NoNextHop::NoSource(to.ip()))?;
        let mtu = route
            .mtu
            .map_or(self.interface.mtu, |mtu| mtu.min(self.interface.mtu));
        if mtu < header.longest_packet() {
            return Err(NoNextHop::SmallMtu { remote: to.ip(), mtu });
        }
        Ok(header)
    }

    /// Whether routes, neighbours, addresses or interfaces changed since this was called last: then headers are to be asked for
    /// again. It does not wait.
    pub fn changed(&mut self) -> io::Result<bool> {
        if !self.news.any()? {
            return Ok(false);
        }
        match tables::interface(&mut self.questions, &self.interface.name) {
            Ok(interface) => self.interface = interface,
            // It is gone, and its routes with it.
            Err(error) => tracing::warn!(%error, "the interface of the kernel plane cannot be read"),
        }
        Ok(true)
    }

    /// The interface's index.
    #[must_use]
    pub fn interface_index(&self) -> u32 {
        self.interface.index
    }

    pub(crate) fn interface_name(&self) -> &str {
        &self.interface.name
    }

    /// The XDP program that was attached when the interface was looked at.
    pub(crate) fn attached_program(&self) -> Option<u32> {
        self.interface.program
    }
}

/// An IPv4 address as such, even if a socket of both versions showed it as IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        // With the scope, which the address alone does not have.
        IpAddr::V6(_) => address,
    }
}
