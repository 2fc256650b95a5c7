//! Opening what one peer sends.

use super::kept::{Book, RtcpWindow, RtpWindow, rtcp_window, rtp_window};
use super::ring::TokenRing;
use super::session::{Forged, SessionKey};
use super::{BadKeys, Opened, Refused, context, describe, session};
use lianmai_fanout::{RtpHeader, Ssrc};
use lianmai_kernel::{Kind, Record};
use lianmai_webrtc::{MasterKey, SrtpKeys, SrtpProfile};
use rtp::header::Header;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use webrtc_srtp::context::Context;

/// Most SSRCs that one peer may send under, RTP and RTCP together.
pub(super) const MAX_STREAMS: usize = 16;

/// RFC 3711 §3.4: the E flag and the 31-bit index, and before them at least a header and an SSRC.
const SRTCP_INDEX_LEN: usize = 4;
const RTCP_PREFIX_LEN: usize = 8;

/// Opens what one peer sends.
pub(crate) struct Opener {
    profile: SrtpProfile,
    key: MasterKey,
    session: Option<Rc<SessionKey>>,
    /// Only SSRCs that authenticated something.
    pub(super) streams: FxHashMap<Ssrc, Inbound>,
    book: Book,
    header: Header,
}

pub(super) struct Inbound {
    /// For SRTCP, and for RTP without a session key.
    context: Option<Context>,
    rtp: RtpWindow,
    rtcp: RtcpWindow,
    /// What the kernel may take.
    tokens: Option<Rc<TokenRing>>,
    page: Rc<Record>,
}

/// Where the kernel has a stream: what the next process needs to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    /// The ring of tokens.
    pub(crate) tokens: u32,
    /// The stream's number.
    pub(crate) stream: u32,
    /// Index into the publisher's tracks.
    pub(crate) track: usize,
}

impl Opener {
    pub(crate) fn new(keys: &SrtpKeys, book: Book) -> Result<Self, BadKeys> {
        context(keys.profile, &keys.inbound)?;
        Ok(Self {
            profile: keys.profile,
            session: session(keys.profile, &keys.inbound)?,
            key: keys.inbound.clone(),
            streams: FxHashMap::default(),
            book,
            header: Header::default(),
        })
    }

    /// Goes on with what an earlier process left of an SSRC.
    pub(crate) fn resume(&mut self, ssrc: Ssrc, page: Record, tokens: Option<Rc<TokenRing>>) {
        let stream = Inbound {
            tokens,
            ..Inbound::new(Rc::new(page))
        };
        if stream.rtp.highest().is_some() || stream.rtcp.highest().is_some() {
            self.streams.insert(ssrc, stream);
        }
    }

    /// The key of RTP; `None` where only a context knows how to use it.
    pub(crate) const fn session(&self) -> Option<&Rc<SessionKey>> {
        self.session.as_ref()
    }

    /// Opens an SRTP packet with this header.
    pub(crate) fn open_rtp(&mut self, packet: &[u8], header: &RtpHeader) -> Result<Opened, Refused> {
        let (profile, key, session, rtp) = (self.profile, &self.key, &self.session, &mut self.header);
        with_stream(&mut self.streams, &self.book, header.ssrc, |stream| {
            let index = stream.rtp.index_of(header.sequence);
            let index = index
                .filter(|&index| stream.rtp.is_fresh(index))
                .ok_or(Refused::Replayed)?;
            let plain = if let Some(session) = session {
                session
                    .open(header.ssrc, index, packet, header.len)
                    .map_err(|Forged| Refused::Forged)?
            } else {
                describe(rtp, header);
                let context = stream.context(profile, key)?;
                context
                    .decrypt_rtp_with_header(packet, rtp)
                    .map_err(|_| Refused::Forged)?
            };
            stream.claim(index)?;
            Ok(Opened(plain))
        })
    }

    /// Opens an SRTCP packet.
    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Result<Opened, Refused> {
        let (profile, key) = (self.profile, &self.key);
        let trailer = SrtcpTrailer::read(profile, packet)?;
        with_stream(&mut self.streams, &self.book, trailer.sender, |stream| {
            if !stream.rtcp.is_fresh(trailer.index) {
                return Err(Refused::Replayed);
            }
            let context = stream.context(profile, key)?;
            let plain = context.decrypt_rtcp(packet).map_err(|_| Refused::Forged)?;
            stream.rtcp.claim(trailer.index);
            Ok(Opened(plain))
        })
    }

    /// The highest RTP index that was taken of this SSRC.
    pub(crate) fn highest(&self, ssrc: Ssrc) -> Option<u64> {
        self.streams.get(&ssrc)?.rtp.highest()
    }

    /// Whether a packet with this index would be taken.
    pub(crate) fn is_fresh(&self, ssrc: Ssrc, index: u64) -> bool {
        self.streams
            .get(&ssrc)
            .is_none_or(|stream| stream.rtp.is_fresh(index))
    }

    /// The kernel took the packet with this index.
    pub(crate) fn taken(&mut self, ssrc: Ssrc, index: u64) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.rtp.claim(index);
        }
    }

    /// From now on the kernel may take packets of this SSRC, by these tokens.
    pub(crate) fn share(&mut self, ssrc: Ssrc, tokens: Rc<TokenRing>, stream: u32, track: usize) {
        if let Some(inbound) = self.streams.get_mut(&ssrc) {
            let ring = u64::from(tokens.tokens().id());
            inbound
                .page
                .set_notes([ring + 1, u64::from(stream), track as u64]);
            inbound.tokens = Some(tokens);
        }
    }

    /// The kernel takes none any more.
    pub(crate) fn unshare(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.page.set_notes([0; 3]);
            stream.tokens = None;
        }
    }

    /// What the kernel may take of an SSRC.
    pub(crate) fn tokens(&self, ssrc: Ssrc) -> Option<&Rc<TokenRing>> {
        self.streams.get(&ssrc)?.tokens.as_ref()
    }

    /// Where the kernel has which SSRCs.
    pub(crate) fn whereabouts(&self) -> impl Iterator<Item = (Ssrc, Whereabouts)> + '_ {
        self.streams
            .iter()
            .filter_map(|(&ssrc, stream)| Some((ssrc, Whereabouts::of(&stream.page)?)))
    }
}

impl Whereabouts {
    /// As a page has it.
    pub(crate) fn of(page: &Record) -> Option<Self> {
        let [ring, stream, track] = page.notes();
        Some(Self {
            tokens: u32::try_from(ring.checked_sub(1)?).ok()?,
            stream: u32::try_from(stream).ok()?,
            track: usize::try_from(track).ok()?,
        })
    }
}

impl Inbound {
    fn new(page: Rc<Record>) -> Self {
        Self {
            context: None,
            rtp: rtp_window(&page),
            rtcp: rtcp_window(&page),
            tokens: None,
            page,
        }
    }

    fn context(&mut self, profile: SrtpProfile, key: &MasterKey) -> Result<&mut Context, Refused> {
        if self.context.is_none() {
            self.context = Some(context(profile, key).map_err(|_| Refused::Forged)?);
        }
        self.context.as_mut().ok_or(Refused::Forged)
    }

    /// An authentic packet is ours, unless the kernel has it already.
    fn claim(&mut self, index: u64) -> Result<(), Refused> {
        self.rtp.claim(index);
        let is_ours = self.tokens.as_ref().is_none_or(|tokens| tokens.claim(index));
        is_ours.then_some(()).ok_or(Refused::Replayed)
    }
}

/// Runs `open` on the stream of this SSRC, or on a new one that is kept only if that succeeds.
fn with_stream(
    streams: &mut FxHashMap<Ssrc, Inbound>,
    book: &Book,
    ssrc: Ssrc,
    open: impl FnOnce(&mut Inbound) -> Result<Opened, Refused>,
) -> Result<Opened, Refused> {
    if let Some(stream) = streams.get_mut(&ssrc) {
        return open(stream);
    }
    if streams.len() >= MAX_STREAMS {
        return Err(Refused::TooManyStreams);
    }
    let page = book.page(Kind::Inbound, ssrc).ok_or(Refused::TooManyStreams)?;
    let mut stream = Inbound::new(page);
    let opened = open(&mut stream)?;
    streams.insert(ssrc, stream);
    Ok(opened)
}

/// What stands in the clear around an SRTCP packet.
struct SrtcpTrailer {
    sender: Ssrc,
    index: u64,
}

impl SrtcpTrailer {
    fn read(profile: SrtpProfile, packet: &[u8]) -> Result<Self, Refused> {
        // RFC 7714 §17.1 puts the index behind the tag, RFC 3711 §3.4 before it.
        let (tag_before, tag_after) = match profile {
            SrtpProfile::AeadAes128Gcm => (16, 0),
            SrtpProfile::Aes128CmHmacSha1_80 => (0, 10),
        };
        if packet.len() < RTCP_PREFIX_LEN + tag_before + SRTCP_INDEX_LEN + tag_after {
            return Err(Refused::TooShort);
        }
        let sender = word(packet, 4).ok_or(Refused::TooShort)?;
        let trailer = word(packet, packet.len() - SRTCP_INDEX_LEN - tag_after).ok_or(Refused::TooShort)?;
        if trailer >> 31 == 0 {
            return Err(Refused::Unencrypted);
        }
        Ok(Self {
            sender: Ssrc(sender),
            index: u64::from(trailer & 0x7fff_ffff),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
