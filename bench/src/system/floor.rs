//! The floor: what replication in XDP costs without any crypto. No server can be faster on the same wire.
//!
//! A floor has no signalling and no keys: its co-hosts are sockets, and its packets go in the clear. What it needs is
//! the program `floor` of `ebpf/xdp` on the server's interface, and a loader for it.

use super::Server;
use anyhow::{Result, bail};

const NOT_BUILT: &str = "the XDP program `floor` is not part of this build";

pub(super) fn obstacle() -> Option<String> {
    Some(NOT_BUILT.to_owned())
}

pub(super) fn start() -> Result<Box<dyn Server>> {
    bail!(NOT_BUILT)
}
