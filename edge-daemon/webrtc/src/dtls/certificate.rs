//! The certificate of this run: self-signed, because SDP carries its fingerprint (RFC 8827 §6.5).

use crate::fingerprint::{Fingerprint, HashFunction};

/// A self-signed ECDSA P-256 certificate with its key.
#[derive(Clone)]
pub struct Certificate {
    pub(super) inner: dtls::crypto::Certificate,
    fingerprint: Fingerprint,
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the DTLS certificate cannot be made: {0}")]
pub struct CertificateError(#[from] dtls::Error);

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
        let der = inner
            .certificate
            .first()
            .map(AsRef::<[u8]>::as_ref)
            .unwrap_or_default();
        let fingerprint = Fingerprint::of(HashFunction::Sha256, der);
        Ok(Self { inner, fingerprint })
    }

    /// Its SHA-256 fingerprint, for `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}
