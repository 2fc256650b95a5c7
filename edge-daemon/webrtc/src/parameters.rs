//! What the two sides of a session tell one another in SDP about ICE and DTLS.

use crate::Fingerprint;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `ice-char` (RFC 8839 §5.4).
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Ours is 72 bits: enough to name an endpoint on the one port, where RFC 8445 §5.3 asks for 24.
const UFRAG_LEN: usize = 12;
/// Ours is 192 bits, where RFC 8445 §5.3 asks for 128.
const PWD_LEN: usize = 32;

/// An ICE user name fragment and its password (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// `ice-ufrag`.
    pub ufrag: String,
    /// `ice-pwd`, which keys the MESSAGE-INTEGRITY of connectivity checks.
    pub pwd: String,
}

impl Credentials {
    /// Fresh credentials; `rng` must be unpredictable.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self {
            ufrag: random_text(rng, UFRAG_LEN),
            pwd: random_text(rng, PWD_LEN),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.ufrag)
    }
}

fn random_text(rng: &mut impl Rng, len: usize) -> String {
    (0..len)
        .map(|_| char::from(ICE_CHARS[rng.random_range(0..ICE_CHARS.len())]))
        .collect()
}

/// Which end of the DTLS association we are (RFC 8842 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsRole {
    /// `a=setup:passive` in our answer: the peer sends the ClientHello.
    Server,
    /// `a=setup:active` in our answer: we send the ClientHello.
    Client,
}

/// What the transport has to know of the peer's offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteParameters {
    /// Their ICE credentials. A lite agent sends no checks, so only the user name fragment is used.
    pub ice: Credentials,
    /// At least one; their certificate has to match any of them.
    pub fingerprints: Vec<Fingerprint>,
    /// Our role, as their `a=setup` leaves it to us.
    pub role: DtlsRole,
}

#[cfg(test)]
mod tests {
    use super::Credentials;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn credentials_are_made_of_ice_chars_and_never_repeat() {
        let mut rng = StdRng::seed_from_u64(1);
        let (first, second) = (Credentials::random(&mut rng), Credentials::random(&mut rng));
        assert_ne!(first, second);
        assert_eq!((first.ufrag.len(), first.pwd.len()), (12, 32));
        assert!(first.pwd.bytes().all(|byte| super::ICE_CHARS.contains(&byte)));
    }

    #[test]
    fn the_password_stays_out_of_logs() {
        let credentials = Credentials {
            ufrag: "user".into(),
            pwd: "secret".into(),
        };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
