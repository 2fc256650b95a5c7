//! Going on where an earlier process was killed: with its keys, and with the streams that the kernel forwards meanwhile.

use super::Engine;
use super::commands::canonical;
use crate::clock::Stamp;
use crate::command::{Command, Event};
use crate::endpoint::{Link, Noted};
use crate::flows::{FlowId, GRACE, Ground, slots};
use crate::outbox::Outbox;
use crate::srtp::{Book, PadRing, TokenRing, Whereabouts};
use lianmai_fanout::Ssrc;
use lianmai_kernel::{Fate, Kind, Left, NotAdopted, Record, TableSlot};
use lianmai_webrtc::{EndpointId, SrtpKeys, SrtpProfile};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

/// Why keys do not go on.
#[derive(Debug, thiserror::Error)]
enum NotResumed {
    #[error("the ledger does not know its keys")]
    Unknown,
    #[error("only AEAD_AES_128_GCM counts its packets in the ledger")]
    Profile,
    #[error("the kernel used its keys, and what it used cannot be found")]
    Lost(#[from] NotAdopted),
    #[error("no kernel plane to ask what was used of its keys")]
    NoKernel,
    #[error(transparent)]
    NoLink(#[from] crate::endpoint::NoLink),
}

impl Engine {
    /// Applies what the edge knows of the time before, and takes over what the ledger and the kernel have of it. To be called
    /// before the first packet.
    pub(crate) fn resume(
        &mut self,
        now: Stamp,
        commands: Vec<Command>,
        mut ground: Option<&mut dyn Ground>,
        out: &mut Outbox,
    ) {
        let mut tables = Vec::new();
        for command in commands {
            match command {
                Command::Resume {
                    endpoint,
                    remote,
                    keys,
                } => match self.resume_link(endpoint, remote.get(), &keys, &mut ground) {
                    Ok(adopted) => tables.extend(adopted),
                    Err(error) => {
                        tracing::warn!(%endpoint, %error, "the endpoint must connect again");
                        self.tell(Event::NotResumed { endpoint });
                    }
                },
                other => self.apply(now, other, out),
            }
        }
        if let Some(ground) = ground {
            self.adopt_flows(now, ground);
        }
        self.ledger.forget_the_rest();
    }

    /// Returns tables that must be held until flows hold them.
    fn resume_link(
        &mut self,
        id: EndpointId,
        remote: SocketAddr,
        keys: &SrtpKeys,
        ground: &mut Option<&mut dyn Ground>,
    ) -> Result<Vec<Rc<TableSlot>>, NotResumed> {
        let book = Book::new(&self.ledger, id, keys);
        let Left { link, streams } = self.ledger.take(book.owner()).ok_or(NotResumed::Unknown)?;
        if keys.profile != SrtpProfile::AeadAes128Gcm {
            return Err(NotResumed::Profile);
        }
        let remote = canonical(remote);
        let mut link = Link::with_page(remote, keys, book, link)?;
        for (kind, ssrc, page) in streams {
            resume_stream(&mut link, kind, Ssrc(ssrc), page, ground)?;
        }
        let mut tables = Vec::new();
        if let Some(ground) = ground {
            tables = link.adopt_tables(ground.maps());
        }
        self.take_address(id, remote);
        let endpoint = self.endpoints.entry(id).or_default();
        if let (Some(source), opener) = (&mut endpoint.source, &link.opener) {
            for (ssrc, found) in opener.whereabouts() {
                source.resume(ssrc, found.track);
            }
        }
        if let (Some(leg), Some(peer), Some(ground)) =
            (&mut endpoint.leg, link.page().get(Noted::Peer), ground)
            && let Ok(peer) = ground.maps().adopt_peer(peer)
        {
            leg.adopt_numbers(peer);
        }
        endpoint.link = Some(link);
        Ok(tables)
    }

    fn adopt_flows(&mut self, now: Stamp, ground: &mut dyn Ground) {
        let adopted = self.flows.adopt(now.at, &mut self.endpoints, &self.legs, ground);
        ground.maps().forget_the_rest();
        if adopted > 0 {
            tracing::info!(streams = adopted, "the kernel forwarded meanwhile, and goes on");
        }
        self.resumed_at = Some(now.at);
    }

    /// Programs that were under way when the kernel was told to forget the rest are through by now: of rings that are in no
    /// flow, the ledger hears what was used.
    pub(super) fn end_what_no_flow_took(&mut self, now: Instant) {
        let is_due = self
            .resumed_at
            .is_some_and(|at| now.saturating_duration_since(at) >= GRACE);
        if !is_due {
            return;
        }
        self.resumed_at = None;
        let (mut pads, mut tokens) = (Vec::new(), Vec::new());
        for (&id, endpoint) in &self.endpoints {
            let Some(link) = &endpoint.link else { continue };
            let rings = link.sealer.rings();
            let idle = rings.filter(|(_, ring)| !self.flows.has_pads(ring.pads().id()));
            pads.extend(idle.map(|(ssrc, ring)| (id, ssrc, Rc::clone(ring))));
            let streams = link
                .opener
                .whereabouts()
                .map(|(ssrc, _)| FlowId { source: id, ssrc });
            tokens.extend(streams.filter(|id| !self.flows.has(*id)));
        }
        for (id, ssrc, ring) in pads {
            self.end_pads(id, ssrc, &ring);
        }
        for id in tokens {
            self.end_tokens(id);
        }
    }

    fn end_pads(&mut self, id: EndpointId, ssrc: Ssrc, ring: &Rc<PadRing>) {
        let endpoint = self.endpoints.get_mut(&id);
        let Some(link) = endpoint.and_then(|endpoint| endpoint.link.as_mut()) else {
            return;
        };
        for index in slots(ring.pads().len(), ring.pads().newest()) {
            let is_used = matches!(ring.fate(index), Fate::Sealed { .. } | Fate::Claimed);
            if let Some(leg_index) = ring.leg_index(index).filter(|_| is_used) {
                link.sealer.sealed(ssrc, leg_index);
            }
        }
        link.sealer.unshare(ssrc, ring);
    }

    fn end_tokens(&mut self, id: FlowId) {
        let endpoint = self.endpoints.get_mut(&id.source);
        let Some(link) = endpoint.and_then(|endpoint| endpoint.link.as_mut()) else {
            return;
        };
        let Some(ring) = link.opener.tokens(id.ssrc).cloned() else {
            return;
        };
        for index in slots(ring.tokens().len(), ring.tokens().newest()) {
            if ring.retire(index) {
                link.opener.taken(id.ssrc, index);
            }
        }
        link.opener.unshare(id.ssrc);
    }
}

/// A ring that was never pinned was never the kernel's: then the page alone says what was used.
fn resume_stream(
    link: &mut Link,
    kind: Kind,
    ssrc: Ssrc,
    page: Record,
    ground: &mut Option<&mut dyn Ground>,
) -> Result<(), NotResumed> {
    match kind {
        Kind::Link => {}
        Kind::Inbound => {
            let tokens = match Whereabouts::of(&page) {
                None => None,
                Some(found) => adopted(ground, |ground| ground.maps().adopt_tokens(found.tokens))?,
            };
            if tokens.is_none() {
                page.set_notes([0; 3]);
            }
            let tokens = tokens.map(|tokens| Rc::new(TokenRing::new(tokens)));
            link.opener.resume(ssrc, page, tokens);
        }
        Kind::Outbound => {
            let mut rings = Vec::new();
            for (ring, delta) in PadRing::noted(page.notes()) {
                let pads = adopted(ground, |ground| ground.maps().adopt_pads(ring))?;
                rings.extend(pads.map(|pads| Rc::new(PadRing::new(pads, delta))));
            }
            link.sealer.resume(ssrc, page, rings);
        }
    }
    Ok(())
}

fn adopted<T>(
    ground: &mut Option<&mut dyn Ground>,
    adopt: impl FnOnce(&mut dyn Ground) -> Result<T, NotAdopted>,
) -> Result<Option<T>, NotResumed> {
    let ground = ground.as_deref_mut().ok_or(NotResumed::NoKernel)?;
    match adopt(ground) {
        Ok(adopted) => Ok(Some(adopted)),
        Err(NotAdopted::Absent) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
