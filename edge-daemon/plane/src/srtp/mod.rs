//! SRTP and SRTCP by `webrtc-srtp`, with what it leaves to its caller.
//!
//! * A context keeps state for every SSRC that it is shown before it knows whether the packet is authentic. Here every
//!   SSRC has its own context, and one that authenticates nothing is thrown away.
//! * It takes the length of a header from the elements that it parsed, which is wrong for padding between and after
//!   elements. Here it is told the length on the wire.
//! * It reads SRTCP trailers without looking at the length, and passes SRTCP with a cleared E bit under AES-CM without
//!   checking the tag. Both are refused before it sees them.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use crate::replay::ReplayWindow;
use bytes::Bytes;
use lianmai_fanout::{RtpHeader, Ssrc};
use lianmai_webrtc::{MasterKey, SrtpKeys, SrtpProfile};
use rtp::header::Header;
use rustc_hash::FxHashMap;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

/// Most SSRCs that one peer may send under, RTP and RTCP together.
const MAX_STREAMS: usize = 16;

/// Sequence numbers in the RTP windows: 16 words, 1024 packets.
const RTP_WORDS: usize = 16;

/// The same for SRTCP indices: 128 packets.
const RTCP_WORDS: usize = 2;

/// RFC 3711 §3.4: the E flag and the 31-bit index, and before them at least a header and an SSRC.
const SRTCP_INDEX_LEN: usize = 4;
const RTCP_PREFIX_LEN: usize = 8;

/// A packet in the clear whose tag was right and that was not seen before. Nothing else is forwarded.
#[derive(Clone, Debug)]
pub(crate) struct Opened(Bytes);

impl Opened {
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// Why a packet is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not even room for a tag.
    TooShort,
    /// Seen before, or too old to tell.
    Replayed,
    /// The tag is wrong.
    Forged,
    /// SRTCP whose E bit is clear: it was never negotiated.
    Unencrypted,
    /// The peer sends under too many SSRCs.
    TooManyStreams,
}

/// Opens what one peer sends.
pub(crate) struct Opener {
    profile: SrtpProfile,
    key: MasterKey,
    /// Only SSRCs that authenticated something.
    streams: FxHashMap<Ssrc, Inbound>,
    header: Header,
}

struct Inbound {
    context: Context,
    rtp: ReplayWindow<RTP_WORDS>,
    rtcp: ReplayWindow<RTCP_WORDS>,
}

/// The keys do not fit their profile.
#[derive(Debug, thiserror::Error)]
#[error("SRTP keys refused: {0}")]
pub struct BadKeys(#[from] webrtc_srtp::Error);

impl Opener {
    pub(crate) fn new(keys: &SrtpKeys) -> Result<Self, BadKeys> {
        context(keys.profile, &keys.inbound)?;
        let key = keys.inbound.clone();
        Ok(Self {
            profile: keys.profile,
            key,
            streams: FxHashMap::default(),
            header: Header::default(),
        })
    }

    /// Opens an SRTP packet with this header.
    pub(crate) fn open_rtp(&mut self, packet: &[u8], header: &RtpHeader) -> Result<Opened, Refused> {
        describe(&mut self.header, header);
        let rtp = &self.header;
        with_stream(
            &mut self.streams,
            self.profile,
            &self.key,
            header.ssrc,
            |stream| {
                let index = stream
                    .rtp
                    .index_of(header.sequence)
                    .filter(|&index| stream.rtp.is_fresh(index));
                let index = index.ok_or(Refused::Replayed)?;
                let plain = stream
                    .context
                    .decrypt_rtp_with_header(packet, rtp)
                    .map_err(|_| Refused::Forged)?;
                stream.rtp.claim(index);
                Ok(Opened(plain))
            },
        )
    }

    /// Opens an SRTCP packet.
    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Result<Opened, Refused> {
        let trailer = SrtcpTrailer::read(self.profile, packet)?;
        with_stream(
            &mut self.streams,
            self.profile,
            &self.key,
            trailer.sender,
            |stream| {
                if !stream.rtcp.is_fresh(trailer.index) {
                    return Err(Refused::Replayed);
                }
                let plain = stream.context.decrypt_rtcp(packet).map_err(|_| Refused::Forged)?;
                stream.rtcp.claim(trailer.index);
                Ok(Opened(plain))
            },
        )
    }
}

/// Runs `open` on the stream of this SSRC, or on a new one that is kept only if that succeeds.
fn with_stream(
    streams: &mut FxHashMap<Ssrc, Inbound>,
    profile: SrtpProfile,
    key: &MasterKey,
    ssrc: Ssrc,
    open: impl FnOnce(&mut Inbound) -> Result<Opened, Refused>,
) -> Result<Opened, Refused> {
    if let Some(stream) = streams.get_mut(&ssrc) {
        return open(stream);
    }
    if streams.len() >= MAX_STREAMS {
        return Err(Refused::TooManyStreams);
    }
    let context = context(profile, key).map_err(|_| Refused::Forged)?;
    let mut stream = Inbound {
        context,
        rtp: ReplayWindow::default(),
        rtcp: ReplayWindow::default(),
    };
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

/// Why a packet is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSealed {
    /// This SSRC and index was sealed before under this key, or is too old to tell.
    AlreadySealed,
    /// The context refused: the key is used up.
    Refused,
}

/// Seals what goes to one peer. One SSRC and index is sealed once.
pub(crate) struct Sealer {
    context: Context,
    sealed: FxHashMap<Ssrc, ReplayWindow<RTP_WORDS>>,
    header: Header,
}

impl Sealer {
    pub(crate) fn new(keys: &SrtpKeys) -> Result<Self, BadKeys> {
        let context = context(keys.profile, &keys.outbound)?;
        Ok(Self {
            context,
            sealed: FxHashMap::default(),
            header: Header::default(),
        })
    }

    /// Seals an RTP packet with this header.
    pub(crate) fn seal_rtp(&mut self, packet: &[u8], header: &RtpHeader) -> Result<Bytes, NotSealed> {
        let window = self.sealed.entry(header.ssrc).or_default();
        let index = window.index_of(header.sequence).ok_or(NotSealed::AlreadySealed)?;
        if !window.claim(index) {
            return Err(NotSealed::AlreadySealed);
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
}

fn context(profile: SrtpProfile, key: &MasterKey) -> Result<Context, BadKeys> {
    let profile = match profile {
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::Aes128CmHmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    Ok(Context::new(&key.key, &key.salt, profile, None, None)?)
}

/// The context reads three things of a header: SSRC, sequence number and length. A header without extension and with
/// this many CSRCs has that length, and takes no allocation when the vector is used again.
fn describe(rtp: &mut Header, header: &RtpHeader) {
    rtp.ssrc = header.ssrc.0;
    rtp.sequence_number = header.sequence.0;
    rtp.csrc
        .resize(header.len.saturating_sub(lianmai_fanout::FIXED_HEADER_LEN) / 4, 0);
}
