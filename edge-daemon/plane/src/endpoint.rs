//! One PeerConnection as the plane sees it: an address with keys, and what flows over it.

use crate::leg::Leg;
use crate::metrics::{DropReason, Metrics, PacketKind};
use crate::outbox::{Outbox, Outgoing};
use crate::snapshot::EndpointStats;
use crate::source::Source;
use crate::srtp::{BadKeys, Opener, Sealer, SessionKey};
use lianmai_kernel::{Maps, NoRoom, TableSlot};
use lianmai_webrtc::{EndpointId, SrtpKeys};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

/// At most one `Alive` in this time.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// A PeerConnection; any part of it may come first.
#[derive(Default)]
pub(crate) struct Endpoint {
    pub(crate) link: Option<Link>,
    pub(crate) source: Option<Source>,
    pub(crate) leg: Option<Leg>,
    started: bool,
    alive_told: Option<Instant>,
}

/// An address with keys.
pub(crate) struct Link {
    pub(crate) remote: SocketAddr,
    keys: SrtpKeys,
    pub(crate) opener: Opener,
    pub(crate) sealer: Sealer,
    /// What the kernel hashes with, while some flow needs it.
    inbound_table: Weak<TableSlot>,
    outbound_table: Weak<TableSlot>,
}

/// What an authentic packet tells about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    First,
    Again,
    /// Nothing that was not told just now.
    Quiet,
}

impl Link {
    pub(crate) fn new(remote: SocketAddr, keys: &SrtpKeys) -> Result<Self, BadKeys> {
        let (opener, sealer) = (Opener::new(keys)?, Sealer::new(keys)?);
        Ok(Self {
            remote,
            keys: keys.clone(),
            opener,
            sealer,
            inbound_table: Weak::new(),
            outbound_table: Weak::new(),
        })
    }

    pub(crate) fn has_keys(&self, keys: &SrtpKeys) -> bool {
        self.keys == *keys
    }

    /// The kernel's hash table of a key of this link: one for all flows.
    pub(crate) fn inbound_table(
        &mut self,
        session: &SessionKey,
        maps: &mut Maps,
    ) -> Result<Rc<TableSlot>, NoRoom> {
        shared_table(&mut self.inbound_table, session, maps)
    }

    pub(crate) fn outbound_table(
        &mut self,
        session: &SessionKey,
        maps: &mut Maps,
    ) -> Result<Rc<TableSlot>, NoRoom> {
        shared_table(&mut self.outbound_table, session, maps)
    }

    /// Seals an RTCP datagram and queues it.
    pub(crate) fn send_rtcp(&mut self, packet: &[u8], out: &mut Outbox, metrics: &Metrics) {
        match self.sealer.seal_rtcp(packet) {
            Ok(bytes) => out.push(Outgoing {
                to: self.remote,
                bytes,
                kind: PacketKind::Rtcp,
                arrival: None,
            }),
            Err(_) => metrics.dropped.inc(DropReason::SealRefused),
        }
    }
}

fn shared_table(
    place: &mut Weak<TableSlot>,
    session: &SessionKey,
    maps: &mut Maps,
) -> Result<Rc<TableSlot>, NoRoom> {
    if let Some(table) = place.upgrade() {
        return Ok(table);
    }
    let table = Rc::new(maps.table(session.hash_subkey())?);
    *place = Rc::downgrade(&table);
    Ok(table)
}

impl Endpoint {
    /// An authentic packet arrived.
    pub(crate) fn heard(&mut self, now: Instant) -> Heard {
        if !std::mem::replace(&mut self.started, true) {
            self.alive_told = Some(now);
            return Heard::First;
        }
        if self
            .alive_told
            .is_some_and(|told| now.saturating_duration_since(told) < ALIVE_INTERVAL)
        {
            return Heard::Quiet;
        }
        self.alive_told = Some(now);
        Heard::Again
    }

    pub(crate) fn stats(&self, endpoint: EndpointId) -> EndpointStats {
        EndpointStats {
            endpoint,
            remote: self.link.as_ref().map(|link| link.remote),
            profile: self.link.as_ref().map(|link| link.keys.profile),
            source: self.source.as_ref().map(Source::stats),
            leg: self.leg.as_ref().map(Leg::stats),
        }
    }
}
