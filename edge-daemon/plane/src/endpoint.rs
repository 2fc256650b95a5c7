//! One PeerConnection as the plane sees it: an address with keys, and what flows over it.

use crate::leg::Leg;
use crate::metrics::{DropReason, Metrics, PacketKind};
use crate::outbox::{Outbox, Outgoing};
use crate::snapshot::EndpointStats;
use crate::source::Source;
use crate::srtp::{BadKeys, Book, Opener, Sealer, SessionKey};
use lianmai_kernel::{Kind, Ledger, Maps, NoRoom, PeerSlot, Record, TableSlot};
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
    page: LinkPage,
}

/// What the ledger says of a link besides its streams: where the kernel has what belongs to the keys.
pub(crate) struct LinkPage(Record);

/// The words of a [`LinkPage`], each one more than a number; zero is none.
#[derive(Clone, Copy)]
pub(crate) enum Noted {
    Peer = 0,
    InboundTable = 1,
    OutboundTable = 2,
}

/// Why an endpoint stays without media.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoLink {
    #[error(transparent)]
    Keys(#[from] BadKeys),
    #[error("the ledger of used packet indices is full")]
    LedgerFull,
}

/// What an authentic packet tells about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    First,
    Again,
    /// Nothing that was not told just now.
    Quiet,
}

impl LinkPage {
    pub(crate) fn get(&self, what: Noted) -> Option<u32> {
        let word = self.0.notes()[what as usize];
        u32::try_from(word.checked_sub(1)?).ok()
    }

    fn set(&self, what: Noted, number: u32) {
        let mut notes = self.0.notes();
        notes[what as usize] = u64::from(number) + 1;
        self.0.set_notes(notes);
    }
}

impl Link {
    /// A link whose keys nobody has used.
    pub(crate) fn new(
        id: EndpointId,
        remote: SocketAddr,
        keys: &SrtpKeys,
        ledger: &Ledger,
    ) -> Result<Self, NoLink> {
        let book = Book::new(ledger, id, keys);
        let page = ledger
            .record(Kind::Link, book.owner(), 0)
            .ok_or(NoLink::LedgerFull)?;
        Self::with_page(remote, keys, book, page)
    }

    /// A link whose streams are recorded in the book.
    pub(crate) fn with_page(
        remote: SocketAddr,
        keys: &SrtpKeys,
        book: Book,
        page: Record,
    ) -> Result<Self, NoLink> {
        let (opener, sealer) = (Opener::new(keys, book.clone())?, Sealer::new(keys, book)?);
        Ok(Self {
            remote,
            keys: keys.clone(),
            opener,
            sealer,
            inbound_table: Weak::new(),
            outbound_table: Weak::new(),
            page: LinkPage(page),
        })
    }

    pub(crate) const fn page(&self) -> &LinkPage {
        &self.page
    }

    /// The kernel numbers packets to this link with this counter.
    pub(crate) fn note_peer(&self, peer: &PeerSlot) {
        self.page.set(Noted::Peer, peer.id());
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
        let table = shared_table(&mut self.inbound_table, session, maps)?;
        self.page.set(Noted::InboundTable, table.id());
        Ok(table)
    }

    pub(crate) fn outbound_table(
        &mut self,
        session: &SessionKey,
        maps: &mut Maps,
    ) -> Result<Rc<TableSlot>, NoRoom> {
        let table = shared_table(&mut self.outbound_table, session, maps)?;
        self.page.set(Noted::OutboundTable, table.id());
        Ok(table)
    }

    /// The tables that the kernel has of these keys, as an earlier process noted it: held by the caller until flows hold them.
    pub(crate) fn adopt_tables(&mut self, maps: &mut Maps) -> Vec<Rc<TableSlot>> {
        let places = [
            (Noted::InboundTable, &mut self.inbound_table),
            (Noted::OutboundTable, &mut self.outbound_table),
        ];
        let page = &self.page;
        let adopted = places.into_iter().filter_map(|(what, place)| {
            let table = Rc::new(maps.adopt_table(page.get(what)?).ok()?);
            *place = Rc::downgrade(&table);
            Some(table)
        });
        adopted.collect()
    }

    /// That of either direction, while somebody holds it.
    pub(crate) fn table(&self, what: Noted) -> Option<Rc<TableSlot>> {
        match what {
            Noted::InboundTable => self.inbound_table.upgrade(),
            Noted::OutboundTable => self.outbound_table.upgrade(),
            Noted::Peer => None,
        }
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
