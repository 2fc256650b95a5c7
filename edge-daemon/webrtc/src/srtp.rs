//! SRTP keys as the DTLS handshake yields them (RFC 5764 §4.2).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The protection profiles that the edge accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SrtpProfile {
    /// `SRTP_AEAD_AES_128_GCM` (RFC 7714 §14.2): preferred, and the one the kernel plane speaks.
    AeadAes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (RFC 5764 §4.1.2): the fallback.
    Aes128CmHmacSha1_80,
}

impl SrtpProfile {
    /// Length of the master key and master salt in bytes (RFC 7714 §12, RFC 3711 §8.2).
    #[must_use]
    pub const fn key_and_salt_len(self) -> (usize, usize) {
        match self {
            Self::AeadAes128Gcm => (16, 12),
            Self::Aes128CmHmacSha1_80 => (16, 14),
        }
    }
}

/// One direction's master key and salt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKey {
    /// 16 bytes.
    pub key: Vec<u8>,
    /// 12 bytes for GCM, 14 for AES-CM.
    pub salt: Vec<u8>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The keys of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKeys {
    /// What both directions are protected with.
    pub profile: SrtpProfile,
    /// Opens what the peer sends.
    pub inbound: MasterKey,
    /// Seals what we send to the peer.
    pub outbound: MasterKey,
}
