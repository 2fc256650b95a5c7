//! SRTP and SRTCP.
//!
//! RTP under AEAD_AES_128_GCM is opened and sealed here, at explicit packet indices, because the kernel does the same
//! under the same keys; and which indices were used stands in the ledger, because the next process does so too. RTCP is sealed here
//! for the same reason. Everything else is the work of `webrtc-srtp`, with what it leaves to its caller:
//!
//! * A context keeps state for every SSRC that it is shown before it knows whether the packet is authentic. Here every
//!   SSRC has its own context, and one that authenticates nothing is thrown away.
//! * It takes the length of a header from the elements that it parsed, which is wrong for padding between and after
//!   elements. Here it is told the length on the wire.
//! * It reads SRTCP trailers without looking at the length, and passes SRTCP with a cleared E bit under AES-CM without
//!   checking the tag. Both are refused before it sees them.

mod kept;
mod opener;
mod ring;
mod sealer;
mod session;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub(crate) use kept::Book;
pub(crate) use opener::{Opener, Whereabouts};
pub(crate) use ring::{PadRing, TokenRing};
pub(crate) use sealer::Sealer;
pub(crate) use session::{SessionKey, TAG_LEN};

use bytes::Bytes;
use lianmai_fanout::RtpHeader;
use lianmai_webrtc::{MasterKey, SrtpProfile};
use rtp::header::Header;
use std::rc::Rc;
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

/// A packet in the clear whose tag was right and that was not seen before. Nothing else is forwarded.
#[derive(Clone, Debug)]
pub(crate) struct Opened(Bytes);

impl Opened {
    /// A packet that the kernel verified and claimed.
    pub(crate) const fn by_kernel(plain: Bytes) -> Self {
        Self(plain)
    }

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

/// Why a packet is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSealed {
    /// This SSRC and index was sealed before under this key, or is too old to tell.
    AlreadySealed,
    /// The key is used up.
    Refused,
}

/// The keys do not fit their profile.
#[derive(Debug, thiserror::Error)]
#[error("SRTP keys refused: {0}")]
pub struct BadKeys(#[from] webrtc_srtp::Error);

/// The key of RTP, where we use it ourselves.
fn session(profile: SrtpProfile, key: &MasterKey) -> Result<Option<Rc<SessionKey>>, BadKeys> {
    match profile {
        SrtpProfile::AeadAes128Gcm => Ok(Some(Rc::new(SessionKey::derive(key)?))),
        SrtpProfile::Aes128CmHmacSha1_80 => Ok(None),
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
