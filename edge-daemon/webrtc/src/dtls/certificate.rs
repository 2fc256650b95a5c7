//! The certificate of this run: self-signed, because SDP carries its fingerprint (RFC 8827 §6.5).

use crate::fingerprint::{Fingerprint, HashFunction};
use dtls::crypto::{CryptoPrivateKey, CryptoPrivateKeyKind};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

/// A self-signed ECDSA P-256 certificate with its key.
#[derive(Clone)]
pub struct Certificate {
    pub(super) inner: dtls::crypto::Certificate,
    fingerprint: Fingerprint,
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A fresh one.
    #[error("the DTLS certificate cannot be made: {0}")]
    Make(#[from] dtls::Error),
    /// One that was saved.
    #[error("the saved DTLS certificate has no usable key: {0}")]
    Saved(ring::error::KeyRejected),
}

/// A certificate with its key, as a process leaves it to the next: offers that were answered name its fingerprint.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedCertificate {
    /// DER.
    certificate: Vec<u8>,
    /// PKCS#8.
    key: Vec<u8>,
}

impl Certificate {
    /// A fresh certificate. Its name tells nothing.
    ///
    /// # Errors
    /// When the random number generator of the system fails.
    pub fn generate() -> Result<Self, CertificateError> {
        // `dtls` asks for the process-wide provider; with two in the build there is no default. A second call is
        // refused, which is fine: somebody installed one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner = dtls::crypto::Certificate::generate_self_signed(vec!["lianmai".to_owned()])?;
        Ok(Self::of(inner))
    }

    /// The certificate that an earlier process had.
    ///
    /// # Errors
    /// When the key is none.
    pub fn restore(saved: SavedCertificate) -> Result<Self, CertificateError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &saved.key, &random)
            .map_err(CertificateError::Saved)?;
        Ok(Self::of(dtls::crypto::Certificate {
            certificate: vec![CertificateDer::from(saved.certificate)],
            private_key: CryptoPrivateKey {
                kind: CryptoPrivateKeyKind::Ecdsa256(pair),
                serialized_der: saved.key,
            },
        }))
    }

    /// For a later process.
    #[must_use]
    pub fn save(&self) -> SavedCertificate {
        SavedCertificate {
            certificate: der(&self.inner).to_vec(),
            key: self.inner.private_key.serialized_der.clone(),
        }
    }

    fn of(inner: dtls::crypto::Certificate) -> Self {
        let fingerprint = Fingerprint::of(HashFunction::Sha256, der(&inner));
        Self { inner, fingerprint }
    }

    /// Its SHA-256 fingerprint, for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

fn der(certificate: &dtls::crypto::Certificate) -> &[u8] {
    certificate
        .certificate
        .first()
        .map(AsRef::as_ref)
        .unwrap_or_default()
}

impl std::fmt::Debug for SavedCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SavedCertificate(..)")
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}
