//! Network namespaces of a test's own: the test's thread gets a fresh one, and further ones hang off it.
//!
//! ```text
//!  this thread: edge, near host          middle: the delay            far: the far host
//!  lo 10.77.0.1, t0 10.77.2.1 ── m1 10.77.2.2   m0 10.77.1.1 ── f0 10.77.1.2
//! ```

use crate::process::output;
use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the edge is.
pub const EDGE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The test's own end of the way to the middle: pages and signalling, which are not delayed.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);
/// Where the far host finds the media port: the delay.
pub const MIDDLE: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
/// Where the far host is.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);

/// A named network namespace; it goes with the guard.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

/// The three of the picture above.
#[derive(Debug)]
pub struct Topology {
    /// Where the delay runs.
    pub middle: Namespace,
    /// Where the far host runs.
    pub far: Namespace,
}

/// Hosts behind a switch, each in a namespace of its own, and the edge in that of the calling thread.
///
/// ```text
///  this thread: edge0 10.77.9.1, fd77::1 ── port0 ┐
///  hosts: h0 10.77.9.10, fd77::10 ── port ── bridge ── port ── h0 10.77.9.11, fd77::11 ...
/// ```
#[derive(Debug)]
pub struct Switch {
    /// Where the hosts run.
    pub hosts: Vec<Namespace>,
    _bridge: Namespace,
}

/// The edge's interface at a [`Switch`].
pub const EDGE_DEVICE: &str = "edge0";
/// Its address there.
pub const SWITCHED_EDGE: Ipv4Addr = Ipv4Addr::new(10, 77, 9, 1);

impl Switch {
    /// Moves the calling thread, and with it all that it starts from now on, into a fresh namespace, and builds the rest.
    pub fn build(hosts: u8) -> Result<Self> {
        let bridge = Namespace::new("switch")?;
        let hosts: Vec<Namespace> = (0..hosts)
            .map(|host| Namespace::new(&format!("host{host}")))
            .collect::<Result<_>>()?;
        unshare(CloneFlags::CLONE_NEWNET).context("a network namespace needs root")?;
        ip(&["link", "set", "lo", "up"])?;
        bridge.ip(&["link", "add", "br0", "type", "bridge"])?;
        bridge.ip(&["link", "set", "br0", "up"])?;
        link(EDGE_DEVICE, "port0", &bridge)?;
        ip(&["address", "add", "10.77.9.1/24", "dev", EDGE_DEVICE])?;
        ip(&["address", "add", "fd77::1/64", "dev", EDGE_DEVICE, "nodad"])?;
        ip(&["link", "set", EDGE_DEVICE, "up"])?;
        plug(&bridge, "port0")?;
        for (number, host) in (10..).zip(&hosts) {
            let port = format!("port{number}");
            link("h0", &port, &bridge)?;
            ip(&["link", "set", "h0", "netns", &host.name])?;
            host.ip(&["address", "add", &format!("10.77.9.{number}/24"), "dev", "h0"])?;
            host.ip(&[
                "address",
                "add",
                &format!("fd77::{number}/64"),
                "dev",
                "h0",
                "nodad",
            ])?;
            host.ip(&["link", "set", "h0", "up"])?;
            plug(&bridge, &port)?;
        }
        Ok(Self {
            hosts,
            _bridge: bridge,
        })
    }

    /// The address of a host.
    #[must_use]
    pub const fn host_address(host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 9, 10 + host)
    }
}

/// A veth takes frames that XDP sends only while it polls, which GRO makes it do, and tells its other end only if it is up.
fn plug(bridge: &Namespace, port: &str) -> Result<()> {
    bridge.ip(&["link", "set", port, "master", "br0"])?;
    bridge.ip(&["link", "set", port, "up"])?;
    output(bridge.command("ethtool").args(["-K", port, "gro", "on"])).map(drop)
}

impl Namespace {
    /// Makes one with its loopback up. `ip netns` mounts what it names for everybody: name all before a thread moves.
    pub fn new(role: &str) -> Result<Self> {
        let name = format!("lianmai-{}-{role}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// `ip` in here.
    pub fn ip(&self, args: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], args].concat())
    }

    /// What `ip` calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs in here.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// A door that another thread can go through.
    pub fn enter_later(&self) -> Result<Door> {
        Ok(Door(File::open(format!("/run/netns/{}", self.name))?))
    }
}

/// The way into a namespace.
#[derive(Debug)]
pub struct Door(File);

impl Door {
    /// Moves the calling thread in.
    pub fn enter(self) -> Result<()> {
        setns(self.0, CloneFlags::CLONE_NEWNET).context("entering a network namespace")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

impl Topology {
    /// Moves the calling thread, and with it all that it starts from now on, into a fresh namespace, and builds the rest.
    pub fn build() -> Result<Self> {
        // `ip netns` mounts what it names for everybody: the names are made before the thread leaves.
        let (middle, far) = (Namespace::new("middle")?, Namespace::new("far")?);
        unshare(CloneFlags::CLONE_NEWNET).context("a network namespace needs root")?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["address", "add", "10.77.0.1/32", "dev", "lo"])?;
        link("t0", "m1", &middle)?;
        ip(&["address", "add", "10.77.2.1/24", "dev", "t0"])?;
        ip(&["link", "set", "t0", "up"])?;
        ip(&["route", "add", "10.77.1.0/24", "via", "10.77.2.2"])?;
        link("m0", "f0", &far)?;
        ip(&["link", "set", "m0", "netns", &middle.name])?;
        for (namespace, device, address) in [
            (&middle, "m1", "10.77.2.2/24"),
            (&middle, "m0", "10.77.1.1/24"),
            (&far, "f0", "10.77.1.2/24"),
        ] {
            namespace.ip(&["address", "add", address, "dev", device])?;
            namespace.ip(&["link", "set", device, "up"])?;
        }
        middle.ip(&["route", "add", "10.77.0.1/32", "via", "10.77.2.1"])?;
        far.ip(&["route", "add", "10.77.2.0/24", "via", "10.77.1.1"])?;
        output(
            middle
                .command("sh")
                .args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]),
        )?;
        Ok(Self { middle, far })
    }
}

/// A BPF file system that the calling thread and what it starts can see, and nobody else: it goes with the last of them.
pub fn bpf_file_system() -> Result<PathBuf> {
    const NOTHING: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace needs root")?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, private, NOTHING)?;
    let place = Path::new("/mnt");
    mount(Some("bpf"), place, Some("bpf"), MsFlags::empty(), NOTHING)
        .context("mounting a BPF file system")?;
    Ok(place.to_owned())
}

fn link(here: &str, there: &str, namespace: &Namespace) -> Result<()> {
    ip(&["link", "add", here, "type", "veth", "peer", "name", there])?;
    ip(&["link", "set", there, "netns", &namespace.name])
}

fn ip(args: &[&str]) -> Result<()> {
    output(Command::new("ip").args(args)).map(drop)
}
