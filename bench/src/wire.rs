//! The network of a run: the server and the co-hosts, each in a namespace, with the wire as a third between them.
//!
//! ```text
//!   server              wire              hosts
//!   srv0 10.78.0.1 ──── s0  h0 ──── hst0 10.78.0.2
//! ```
//!
//! A pair of veth devices hands a packet over on the processor that sends it, so that the server's receiving would be
//! done on the hosts' processor and the other way round. The wire corrects that: receive packet steering at its two
//! ends passes each packet to the processor of the one it goes to, as the interrupt of a network card would, and what
//! comes in at one end goes out at the other as it is.

use crate::processor::Processors;
use anyhow::{Context, Result};
use lianmai_tests::netns::Namespace;
use lianmai_tests::process::output;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

/// Where the server is.
pub(crate) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 78, 0, 1));
/// The server's interface.
pub(crate) const SERVER_DEVICE: &str = "srv0";
/// The co-hosts' interface.
const HOSTS_DEVICE: &str = "hst0";
/// Where all hosts are; their ports differ.
pub(crate) const HOSTS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 78, 0, 2));
/// So that what is lost was lost by the server.
const SOCKET_BUFFER: usize = 32 << 20;

/// The three namespaces.
#[derive(Debug)]
pub(crate) struct Wire {
    server: Namespace,
    wire: Namespace,
    hosts: Namespace,
}

/// On which processor a packet is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Steering {
    /// On that of its receiver, as by the interrupt of a network card
    Steered,
    /// What goes to the server on the server's, and what comes from it there as well
    Arrivals,
    /// On that of its sender, as veth does by itself
    Inline,
}

/// Who computes the checksum of what a co-host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksums {
    /// Its stack, before the packet leaves.
    Stack,
    /// The packet stays in this machine.
    Nobody,
}

impl Wire {
    /// Builds it and moves the calling thread to the server's end.
    pub(crate) fn build(steering: Steering, processors: Processors) -> Result<Self> {
        let (server, wire, hosts) = (
            Namespace::new("server")?,
            Namespace::new("wire")?,
            Namespace::new("hosts")?,
        );
        connect(&server, SERVER_DEVICE, SERVER, &wire, "s0")?;
        connect(&hosts, HOSTS_DEVICE, HOSTS, &wire, "h0")?;
        pass_on(&wire, "s0", "h0")?;
        pass_on(&wire, "h0", "s0")?;
        match steering {
            Steering::Steered => {
                steer(&wire, "h0", processors.server)?;
                steer(&wire, "s0", processors.hosts)?;
            }
            Steering::Arrivals => steer(&wire, "h0", processors.server)?,
            Steering::Inline => {}
        }
        server.enter_later()?.enter()?;
        Ok(Self { server, wire, hosts })
    }

    /// Sockets of that many co-hosts.
    pub(crate) fn sockets(&self, count: usize) -> Result<Vec<UdpSocket>> {
        let door = self.hosts.enter_later()?;
        // A socket stays in the namespace that it was made in, wherever it is used.
        let made = thread::spawn(move || {
            door.enter()?;
            (0..count).map(|_| socket()).collect()
        });
        made.join().expect("making sockets does not panic")
    }

    /// Has the co-hosts' device leave checksums to their stack, or not: a veth passes packets on without, which nothing
    /// notices that makes its own, or that has the kernel look at what it receives.
    pub(crate) fn set_host_checksums(&self, by: Checksums) -> Result<()> {
        let offload = match by {
            Checksums::Stack => "off",
            Checksums::Nobody => "on",
        };
        output(
            self.hosts
                .command("ethtool")
                .args(["-K", HOSTS_DEVICE, "tx", offload]),
        )
        .map(drop)
    }

    /// What `ip` says of both ends, for the report.
    pub(crate) fn describe(&self) -> String {
        format!(
            "{} ({SERVER_DEVICE}) - {} - {}",
            self.server.name(),
            self.wire.name(),
            self.hosts.name()
        )
    }
}

fn socket() -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER).context("a large receive buffer needs root")?;
    setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(HOSTS, 0).into())?;
    Ok(socket.into())
}

/// A pair of devices: one with an address, the other an end of the wire.
fn connect(host: &Namespace, device: &str, address: IpAddr, wire: &Namespace, end: &str) -> Result<()> {
    let pair = [
        "link", "add", device, "type", "veth", "peer", "name", end, "netns",
    ];
    host.ip(&[&pair[..], &[wire.name()]].concat())?;
    host.ip(&["address", "add", &format!("{address}/24"), "dev", device])?;
    for (namespace, device) in [(host, device), (wire, end)] {
        namespace.ip(&["link", "set", device, "up"])?;
        // A veth takes frames that XDP sends only when it polls, which GRO makes it do; on all ends, so that every
        // system meets the same wire.
        output(namespace.command("ethtool").args(["-K", device, "gro", "on"]))?;
    }
    Ok(())
}

/// Sends out at one end what comes in at the other.
fn pass_on(wire: &Namespace, from: &str, to: &str) -> Result<()> {
    output(wire.command("tc").args(["qdisc", "add", "dev", from, "clsact"]))?;
    let everything = [
        "filter", "add", "dev", from, "ingress", "protocol", "all", "u32", "match", "u32", "0", "0",
    ];
    let redirect = ["action", "mirred", "egress", "redirect", "dev", to];
    output(wire.command("tc").args(everything).args(redirect)).map(drop)
}

fn steer(namespace: &Namespace, device: &str, processor: usize) -> Result<()> {
    let mask = format!("{:x}", 1u64 << processor);
    write(
        namespace,
        &format!("/sys/class/net/{device}/queues/rx-0/rps_cpus"),
        &mask,
    )
}

fn write(namespace: &Namespace, path: &str, value: &str) -> Result<()> {
    let line = format!("echo {value} > {path}");
    output(namespace.command("sh").args(["-c", &line])).map(drop)
}
