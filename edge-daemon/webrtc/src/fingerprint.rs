//! Certificate fingerprints as SDP carries them (RFC 8122 §5).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::fmt;

/// The hash functions that the edge takes; older ones are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HashFunction {
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl HashFunction {
    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn digest(self, der: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(der).to_vec(),
            Self::Sha384 => Sha384::digest(der).to_vec(),
            Self::Sha512 => Sha512::digest(der).to_vec(),
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a certificate in DER.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    hash: HashFunction,
    digest: Vec<u8>,
}

/// Why the value of `a=fingerprint` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// A hash function that is too weak or unknown.
    #[error("the hash function {0:?} is not accepted; use sha-256, sha-384 or sha-512")]
    HashFunction(String),
    /// Not a list of hexadecimal bytes of the right length.
    #[error("{0:?} is not a fingerprint of colon-separated hexadecimal bytes")]
    Digest(String),
}

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(hash: HashFunction, der: &[u8]) -> Self {
        Self {
            hash,
            digest: hash.digest(der),
        }
    }

    /// Reads the value of `a=fingerprint`.
    ///
    /// # Errors
    /// When the hash function is not one of ours, or the bytes do not fit it.
    pub fn parse(value: &str) -> Result<Self, FingerprintError> {
        let (name, hex) = value
            .trim()
            .split_once(' ')
            .ok_or_else(|| FingerprintError::Digest(clip(value)))?;
        let hash = HashFunction::from_name(name).ok_or_else(|| FingerprintError::HashFunction(clip(name)))?;
        let digest = parse_hex(hex.trim()).filter(|bytes| bytes.len() == hash.len());
        digest
            .map(|digest| Self { hash, digest })
            .ok_or_else(|| FingerprintError::Digest(clip(hex)))
    }

    /// Whether this certificate is the announced one. Fingerprints are public, so the comparison may take any time.
    #[must_use]
    pub fn matches(&self, der: &[u8]) -> bool {
        self.hash.digest(der) == self.digest
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (position, byte) in self.digest.iter().enumerate() {
            let separator = if position == 0 { ' ' } else { ':' };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    text.split(':').map(parse_byte).collect()
}

fn parse_byte(pair: &str) -> Option<u8> {
    let well_formed = pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    well_formed.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
}

/// What an error message repeats of the peer's text.
fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, FingerprintError, HashFunction};

    #[test]
    fn what_is_written_is_read_again() {
        for hash in [HashFunction::Sha256, HashFunction::Sha384, HashFunction::Sha512] {
            let fingerprint = Fingerprint::of(hash, b"certificate");
            assert_eq!(
                Fingerprint::parse(&fingerprint.to_string()),
                Ok(fingerprint.clone())
            );
            assert!(fingerprint.matches(b"certificate"));
            assert!(!fingerprint.matches(b"another certificate"));
        }
    }

    #[test]
    fn lower_case_is_read_as_well() {
        let upper = Fingerprint::of(HashFunction::Sha256, b"x").to_string();
        assert_eq!(
            Fingerprint::parse(&upper.to_lowercase()),
            Fingerprint::parse(&upper)
        );
    }

    // RFC 8122 §5: "MD2" and "MD5" must not be used; SHA-1 is no longer collision resistant.
    #[test]
    fn weak_hash_functions_are_refused_by_name() {
        let error = Fingerprint::parse("sha-1 AA:BB").expect_err("refused");
        assert_eq!(error, FingerprintError::HashFunction("sha-1".into()));
        assert!(error.to_string().contains("sha-256"));
    }

    #[test]
    fn a_digest_of_the_wrong_length_or_alphabet_is_refused() {
        for value in ["sha-256", "sha-256 AA:BB", "sha-256 +1:BB", "sha-256 ", ""] {
            assert!(Fingerprint::parse(value).is_err(), "{value:?}");
        }
    }
}
