//! What waits to be sent.

use crate::clock::Stamp;
use crate::metrics::PacketKind;
use bytes::Bytes;
use std::net::SocketAddr;

/// One datagram on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Bytes,
    pub(crate) kind: PacketKind,
    /// When the packet that this is a copy of came in.
    pub(crate) arrival: Option<Stamp>,
}

/// Datagrams in the order in which they go out. The thread empties it after every batch.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Vec<Outgoing>,
    /// How long packets that the kernel sealed took through it, in nanoseconds.
    transits: Vec<u64>,
}

impl Outbox {
    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.queue.push(outgoing);
    }

    pub(crate) fn note_transit(&mut self, nanos: u64) {
        self.transits.push(nanos);
    }

    pub(crate) fn take_transits(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.transits.drain(..)
    }

    pub(crate) fn queue(&self) -> &[Outgoing] {
        &self.queue
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}
