//! How a receiver can tell that a request is ours and not an old one: HMAC-SHA256 (RFC 2104, FIPS 180-4) over time and body.

use super::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// The value of the signature header: `sha256=` and the hex digits of the HMAC of `TIMESTAMP.BODY`.
pub(super) fn sign(secret: &Secret, timestamp: u64, body: &str) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) else {
        return String::new();
    };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    let mut out = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::sign;
    use crate::webhooks::Secret;

    /// By `printf '%s' '1700000000.{"event":"room_opened"}' | openssl dgst -sha256 -hmac 'a secret of sixteen'`.
    #[test]
    fn the_signature_is_that_of_openssl() {
        let secret = Secret(b"a secret of sixteen".to_vec());
        assert_eq!(
            sign(&secret, 1_700_000_000, r#"{"event":"room_opened"}"#),
            "sha256=14223bd5e3bde1da41b0519a2ceecf83df6d6fbd9fb2c186ccf7827222a2156e"
        );
    }

    #[test]
    fn another_time_body_or_secret_is_another_signature() {
        let secret = |text: &str| Secret(text.as_bytes().to_vec());
        let signature = sign(&secret("a"), 1, "x");
        assert_ne!(signature, sign(&secret("b"), 1, "x"));
        assert_ne!(signature, sign(&secret("a"), 2, "x"));
        assert_ne!(signature, sign(&secret("a"), 1, "y"));
    }
}
