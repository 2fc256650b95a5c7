//! Sealing what goes to one peer.

use super::opener::RTP_WORDS;
use super::ring::{PadRing, claim_all};
use super::session::SessionKey;
use super::{BadKeys, NotSealed, context, describe, session};
use crate::replay::ReplayWindow;
use bytes::Bytes;
use lianmai_fanout::{RtpHeader, SequenceNumber, Ssrc};
use lianmai_webrtc::SrtpKeys;
use rtp::header::Header;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use webrtc_srtp::context::Context;

/// Seals what goes to one peer. One SSRC and index is sealed once: here, or in the kernel.
pub(crate) struct Sealer {
    session: Option<Rc<SessionKey>>,
    /// For SRTCP, and for RTP without a session key.
    context: Context,
    streams: FxHashMap<Ssrc, Outbound>,
    header: Header,
}

#[derive(Default)]
struct Outbound {
    window: ReplayWindow<RTP_WORDS>,
    /// What the kernel may seal.
    rings: Vec<Rc<PadRing>>,
}

/// Permission to seal one packet. It cannot be copied, and is used up by sealing.
#[derive(Debug)]
pub(crate) struct Permit {
    index: u64,
}

impl Sealer {
    pub(crate) fn new(keys: &SrtpKeys) -> Result<Self, BadKeys> {
        let context = context(keys.profile, &keys.outbound)?;
        Ok(Self {
            session: session(keys.profile, &keys.outbound)?,
            context,
            streams: FxHashMap::default(),
            header: Header::default(),
        })
    }

    /// The key of RTP; `None` where only a context knows how to use it.
    pub(crate) const fn session(&self) -> Option<&Rc<SessionKey>> {
        self.session.as_ref()
    }

    /// Claims the index of a packet with this header.
    pub(crate) fn permit(&mut self, header: &RtpHeader) -> Result<Permit, NotSealed> {
        let stream = self.streams.entry(header.ssrc).or_default();
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
        describe(&mut self.header, header);
        self.context
            .encrypt_rtp_with_header(packet, &self.header)
            .map_err(|_| NotSealed::Refused)
    }

    /// Seals an RTCP packet under the next index of its sender.
    pub(crate) fn seal_rtcp(&mut self, packet: &[u8]) -> Result<Bytes, NotSealed> {
        self.context.encrypt_rtcp(packet).map_err(|_| NotSealed::Refused)
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
        self.streams.entry(ssrc).or_default().window.claim(index);
    }

    /// Whether the kernel may seal packets of this SSRC by some ring.
    pub(crate) fn is_shared(&self, ssrc: Ssrc) -> bool {
        self.streams
            .get(&ssrc)
            .is_some_and(|stream| !stream.rings.is_empty())
    }

    /// From now on the kernel may seal packets of this SSRC by this ring.
    pub(crate) fn share(&mut self, ssrc: Ssrc, ring: Rc<PadRing>) {
        self.streams.entry(ssrc).or_default().rings.push(ring);
    }

    /// The kernel is done with this ring.
    pub(crate) fn unshare(&mut self, ssrc: Ssrc, ring: &Rc<PadRing>) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.rings.retain(|other| !Rc::ptr_eq(other, ring));
        }
    }
}

impl Outbound {
    fn claim(&mut self, index: u64) -> bool {
        self.window.is_fresh(index) && claim_all(&self.rings, index) && self.window.claim(index)
    }
}
