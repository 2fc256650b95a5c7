//! The floor: what replication in XDP costs without any crypto. No server can be faster on the same wire.
//!
//! It has no signalling and no keys: its co-hosts are sockets whose addresses it is told, and their packets go in the
//! clear.

use crate::host::{Connected, Local};
use crate::scenario::Scenario;
use crate::wire::{Checksums, HOSTS, SERVER, SERVER_DEVICE, Wire};
use anyhow::{Context, Result};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const MEDIA_PORT: u16 = 8444;
/// RFC 863: nobody listens there, which is all that is wanted.
const DISCARD_PORT: u16 = 9;
/// For the answer to a question of ARP on the same machine.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// The running programs.
pub(super) struct Floor<'a> {
    _programs: lianmai_kernel::Floor,
    wire: &'a Wire,
}

pub(super) fn obstacle() -> Option<String> {
    (!lianmai_kernel::floor_is_built()).then(|| {
        "the kernel programs are not part of this build: run `cargo xtask setup`, then build again".to_owned()
    })
}

impl<'a> Floor<'a> {
    /// Starts it, with a publisher and those who receive. The calling thread is in the server's namespace.
    pub(super) fn start(scenario: Scenario, wire: &'a Wire) -> Result<(Self, Connected, Vec<Connected>)> {
        let mut peers = wire.sockets(1 + scenario.legs)?.into_iter().map(|socket| {
            socket.connect(SocketAddr::new(SERVER, MEDIA_PORT))?;
            Ok(Connected::in_the_clear(Local::new(socket, scenario.media())))
        });
        let publisher = peers.next().context("a socket for the publisher")??;
        let legs = peers.collect::<Result<Vec<_>>>()?;
        let addresses = legs.iter().map(|leg| leg.socket.local_addr());
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        // The programs do not read payloads: a leg's checksum follows from the publisher's, so that needs one.
        wire.set_host_checksums(Checksums::Stack)?;
        let programs = attach(&addresses).inspect_err(|_| give_back(wire))?;
        let floor = Self {
            _programs: programs,
            wire,
        };
        Ok((floor, publisher, legs))
    }
}

impl Drop for Floor<'_> {
    fn drop(&mut self) {
        give_back(self.wire);
    }
}

fn give_back(wire: &Wire) {
    if let Err(error) = wire.set_host_checksums(Checksums::Nobody) {
        eprintln!("bench: the co-hosts' checksums are still computed by their stack: {error:#}");
    }
}

/// As soon as the kernel knows where the co-hosts are, for which it is given a reason to ask.
fn attach(legs: &[SocketAddr]) -> Result<lianmai_kernel::Floor> {
    let asking = UdpSocket::bind(SocketAddr::new(SERVER, 0))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        asking.send_to(&[], SocketAddr::new(HOSTS, DISCARD_PORT))?;
        match lianmai_kernel::Floor::attach(SERVER_DEVICE, MEDIA_PORT, legs) {
            Ok(programs) => return Ok(programs),
            Err(error) if Instant::now() > deadline => return Err(error).context("attaching the floor"),
            Err(_) => std::thread::sleep(POLL),
        }
    }
}
