//! Sealing what goes to one peer.

use super::kept::{Book, RtpWindow, rtp_window};
use super::ring::PadRing;
use super::session::SessionKey;
use super::{BadKeys, NotSealed, context, describe, session};
use bytes::Bytes;
use lianmai_fanout::{RtpHeader, SequenceNumber, Ssrc};
use lianmai_kernel::{Kind, Record, Window};
use lianmai_webrtc::{SrtpKeys, SrtpProfile};
use rtp::header::Header;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use webrtc_srtp::context::Context;

/// Seals what goes to one peer. One SSRC and index is sealed once: here, or in the kernel.
pub(crate) struct Sealer {
    session: Option<Rc<SessionKey>>,
    rtcp: Rtcp,
    streams: FxHashMap<Ssrc, Outbound>,
    book: Book,
    header: Header,
}

/// How RTCP is sealed.
enum Rtcp {
    /// Here, at indices that the ledger has.
    Gcm(Box<SessionKey>),
    /// By a context that counts for itself; it seals RTP too.
    Other(Context),
}

struct Outbound {
    window: RtpWindow,
    /// What the kernel may seal ...
    ring: Option<Rc<PadRing>>,
    /// ... and while one ring takes over from another, by that one too.
    beside: Option<Rc<PadRing>>,
    page: Rc<Record>,
}

/// Permission to seal one packet. It cannot be copied, and is used up by sealing.
#[derive(Debug)]
pub(crate) struct Permit {
    index: u64,
}

impl Sealer {
    pub(crate) fn new(keys: &SrtpKeys, book: Book) -> Result<Self, BadKeys> {
        let rtcp = match keys.profile {
            SrtpProfile::AeadAes128Gcm => Rtcp::Gcm(Box::new(SessionKey::derive_rtcp(&keys.outbound)?)),
            SrtpProfile::Aes128CmHmacSha1_80 => Rtcp::Other(context(keys.profile, &keys.outbound)?),
        };
        Ok(Self {
            session: session(keys.profile, &keys.outbound)?,
            rtcp,
            streams: FxHashMap::default(),
            book,
            header: Header::default(),
        })
    }

    /// Goes on with what an earlier process left of an SSRC: at most two rings.
    pub(crate) fn resume(&mut self, ssrc: Ssrc, page: Record, rings: impl IntoIterator<Item = Rc<PadRing>>) {
        let mut rings = rings.into_iter();
        let stream = Outbound {
            ring: rings.next(),
            beside: rings.next(),
            ..Outbound::new(Rc::new(page))
        };
        stream.note();
        self.streams.insert(ssrc, stream);
    }

    /// The key of RTP; `None` where only a context knows how to use it.
    pub(crate) const fn session(&self) -> Option<&Rc<SessionKey>> {
        self.session.as_ref()
    }

    /// Claims the index of a packet with this header.
    pub(crate) fn permit(&mut self, header: &RtpHeader) -> Result<Permit, NotSealed> {
        let stream = self.stream(header.ssrc).ok_or(NotSealed::Refused)?;
        let index = stream.window.index_of(header.sequence);
        match index.filter(|&index| stream.claim(index)) {
            Some(index) => Ok(Permit { index }),
            None => Err(NotSealed::AlreadySealed),
        }
    }

    /// Seals the packet with this header that was permitted.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is for one packet")]
    pub(crate) fn seal(
        &mut self,
        permit: Permit,
        packet: &[u8],
        header: &RtpHeader,
    ) -> Result<Bytes, NotSealed> {
        let Permit { index } = permit;
        if let Some(session) = &self.session {
            return session.seal(header.ssrc, index, packet, header.len);
        }
        let Rtcp::Other(context) = &mut self.rtcp else {
            return Err(NotSealed::Refused);
        };
        describe(&mut self.header, header);
        context
            .encrypt_rtp_with_header(packet, &self.header)
            .map_err(|_| NotSealed::Refused)
    }

    /// Seals an RTCP packet under the next index of its sender.
    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Result<Bytes, NotSealed> {
        if let Rtcp::Other(context) = &mut self.rtcp {
            return context.encrypt_rtcp(packet).map_err(|_| NotSealed::Refused);
        }
        let sender = packet.get(4..).and_then(<[u8]>::first_chunk);
        let sender = Ssrc(u32::from_be_bytes(*sender.ok_or(NotSealed::Refused)?));
        let page = &self.stream(sender).ok_or(NotSealed::Refused)?.page;
        let index = page.highest(Window::Rtcp).map_or(1, |used| used + 1);
        page.set_highest(Window::Rtcp, index);
        let index = u32::try_from(index).map_err(|_| NotSealed::Refused)?;
        match &self.rtcp {
            Rtcp::Gcm(session) => session.seal_rtcp(sender, index, packet),
            Rtcp::Other(_) => Err(NotSealed::Refused),
        }
    }

    /// The index that a packet with this sequence number would be sealed with: the nearest to the highest so far.
    /// `None` before the first packet, whose sequence number says where the receiver begins (RFC 3711 §3.3.1).
    pub(crate) fn nearest(&self, ssrc: Ssrc, sequence: SequenceNumber) -> Option<u64> {
        let window = &self.streams.get(&ssrc)?.window;
        window.highest()?;
        window.index_of(sequence)
    }

    /// Whether a packet with this index may still be sealed.
    pub(crate) fn is_fresh(&self, ssrc: Ssrc, index: u64) -> bool {
        self.streams
            .get(&ssrc)
            .is_none_or(|stream| stream.window.is_fresh(index))
    }

    /// The kernel sealed the packet with this index.
    pub(crate) fn sealed(&mut self, ssrc: Ssrc, index: u64) {
        if let Some(stream) = self.stream(ssrc) {
            stream.window.claim(index);
        }
    }

    /// The sequence number behind the newest that was sealed.
    pub(crate) fn next_sequence(&self, ssrc: Ssrc) -> Option<SequenceNumber> {
        let highest = self.streams.get(&ssrc)?.window.highest()?;
        Some(SequenceNumber((highest as u16).wrapping_add(1)))
    }

    /// From now on the kernel may seal packets of this SSRC by this ring. Says whether it may: there is one ring at a time, for
    /// two pads of one index would be two packets sealed with it.
    pub(crate) fn share(&mut self, ssrc: Ssrc, ring: &Rc<PadRing>) -> bool {
        let Some(stream) = self.stream(ssrc).filter(|stream| stream.ring.is_none()) else {
            return false;
        };
        stream.ring = Some(Rc::clone(ring));
        stream.note();
        true
    }

    /// From now on the kernel may seal packets of this SSRC by this ring instead of the one that it has; whoever shares it sees to
    /// it that no packet goes to both. What is sealed here is claimed in both. Says whether it may.
    pub(crate) fn share_beside(&mut self, ssrc: Ssrc, ring: &Rc<PadRing>) -> bool {
        let Some(stream) = self.stream(ssrc) else {
            return false;
        };
        if stream.ring.is_none() || stream.beside.is_some() {
            return false;
        }
        stream.beside = Some(Rc::clone(ring));
        stream.note();
        true
    }

    /// Whether the kernel may seal packets of this SSRC by some ring.
    pub(crate) fn is_shared(&self, ssrc: Ssrc) -> bool {
        self.streams
            .get(&ssrc)
            .is_some_and(|stream| stream.ring.is_some())
    }

    /// The ring with this number, if the kernel may seal packets of this SSRC by it.
    pub(crate) fn ring(&self, ssrc: Ssrc, number: u32) -> Option<&Rc<PadRing>> {
        let mut rings = self.streams.get(&ssrc)?.rings();
        rings.find(|ring| ring.pads().id() == number)
    }

    /// All of them.
    pub(crate) fn rings(&self) -> impl Iterator<Item = (Ssrc, &Rc<PadRing>)> {
        let streams = self.streams.iter();
        streams.flat_map(|(&ssrc, stream)| stream.rings().map(move |ring| (ssrc, ring)))
    }

    /// The kernel is done with this ring.
    pub(crate) fn unshare(&mut self, ssrc: Ssrc, ring: &Rc<PadRing>) {
        let Some(stream) = self.streams.get_mut(&ssrc) else {
            return;
        };
        let is_it = |own: &mut Rc<PadRing>| Rc::ptr_eq(own, ring);
        stream.beside.take_if(is_it);
        if stream.ring.take_if(is_it).is_some() {
            stream.ring = stream.beside.take();
        }
        stream.note();
    }

    /// What is known of an SSRC; none while the ledger has no room for another one.
    fn stream(&mut self, ssrc: Ssrc) -> Option<&mut Outbound> {
        match self.streams.entry(ssrc) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) => {
                let page = self.book.page(Kind::Outbound, ssrc)?;
                Some(place.insert(Outbound::new(page)))
            }
        }
    }
}

impl Outbound {
    fn new(page: Rc<Record>) -> Self {
        Self {
            window: rtp_window(&page),
            ring: None,
            beside: None,
            page,
        }
    }

    fn rings(&self) -> impl Iterator<Item = &Rc<PadRing>> {
        self.ring.iter().chain(&self.beside)
    }

    /// For the next process, which may begin at any moment: a ring that stays is noted all the time.
    fn note(&self) {
        let notes = PadRing::notes(self.ring.as_deref(), self.beside.as_deref());
        let [ring, _, beside] = notes;
        if ring == 0 || self.page.notes()[0] == 0 {
            self.page.set_notes(notes);
        } else {
            self.page.renote(ring, beside);
        }
    }

    fn claim(&mut self, index: u64) -> bool {
        self.window.is_fresh(index) && self.rings().all(|ring| ring.claim(index)) && self.window.claim(index)
    }
}
