//! TLS under RTMP (RTMPS), as a filter of bytes: no I/O but reading the trusted roots.

use crate::url::RtmpUrl;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Which certificate authorities a publisher trusts: those of this system, and one file more. Nothing is read before the
/// first connection needs it.
#[derive(Debug, Default)]
pub struct Trust {
    extra: Option<PathBuf>,
    /// Kept once it could be made; until then each attempt reads anew, so that a file may be put right.
    config: Mutex<Option<Arc<ClientConfig>>>,
}

/// Why a connection has no TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file of `--rtmps-ca`.
    #[error("the CA file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// This system trusts nobody.
    #[error(
        "this system has no CA certificates: install ca-certificates, or name a file of them with --rtmps-ca"
    )]
    NoRoots,
    /// The host of the URL cannot stand in a certificate.
    #[error("{0:?} is neither a DNS name nor an IP address: no certificate can be for it")]
    Name(String),
    /// The peer's certificate is signed by somebody unknown.
    #[error(
        "nobody that is trusted here has signed the certificate of {0}: name the file of its CA with --rtmps-ca, or \
         install it on this system"
    )]
    UnknownIssuer(String),
    /// The peer's certificate is for others.
    #[error("the certificate that {0} shows is for other names: is the host right?")]
    OtherName(String),
    /// The peer's certificate was good once.
    #[error(
        "the certificate of {0} has expired: its owner has to renew it, unless this machine's clock is wrong"
    )]
    Expired(String),
    /// The peer's certificate is not good yet.
    #[error("the certificate of {0} is not valid yet: is this machine's clock right?")]
    NotYetValid(String),
    /// Not TLS.
    #[error("{0} does not speak TLS: is it rtmp:// or another port?")]
    NotTls(String),
    /// Anything else.
    #[error("TLS with {host}: {reason}")]
    Other {
        /// The peer.
        host: String,
        /// In rustls' words.
        reason: String,
    },
}

impl Trust {
    /// The system's authorities and those in `extra`, a PEM file.
    #[must_use]
    pub fn new(extra: Option<PathBuf>) -> Self {
        Self {
            extra,
            config: Mutex::default(),
        }
    }

    /// Reads everything now.
    ///
    /// # Errors
    /// When the file is no PEM file of certificates, or when nobody is trusted.
    pub fn check(&self) -> Result<(), TlsError> {
        self.config().map(drop)
    }

    /// TLS to the host of `target`.
    pub(crate) fn connect(&self, target: &RtmpUrl) -> Result<TlsStream, TlsError> {
        let host = target.host.clone();
        let name = ServerName::try_from(host.clone()).map_err(|_| TlsError::Name(host.clone()))?;
        let mut connection =
            ClientConnection::new(self.config()?, name).map_err(|error| explain(&host, &error))?;
        connection.set_buffer_limit(None);
        Ok(TlsStream { host, connection })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut kept = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*kept {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(client_config(roots(self.extra.as_deref())?)?);
        *kept = Some(Arc::clone(&config));
        Ok(config)
    }
}

fn roots(extra: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some CA certificates of this system are not read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = extra {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(roots)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let wrong = |reason: String| TlsError::File {
        path: path.display().to_string(),
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let mut found = false;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(wrong(
            "there is no certificate in it: it has to be PEM".to_owned(),
        ))
    }
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| explain("anybody", &error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// One connection: what the network gave goes in, what it is to be given comes out.
pub(crate) struct TlsStream {
    host: String,
    connection: ClientConnection,
}

impl TlsStream {
    /// Takes what was read, and appends what it meant to `plain`.
    pub(crate) fn open(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), TlsError> {
        while !sealed.is_empty() {
            self.connection
                .read_tls(&mut sealed)
                .map_err(|error| self.other(error.to_string()))?;
            self.connection
                .process_new_packets()
                .map_err(|error| explain(&self.host, &error))?;
            self.drain(plain)?;
        }
        Ok(())
    }

    /// Takes what is to be said; [`Self::poll_output`] has it sealed, once the handshake is over.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        self.connection
            .writer()
            .write_all(plain)
            .map_err(|error| self.other(error.to_string()))
    }

    /// What has to be written to the peer.
    pub(crate) fn poll_output(&mut self) -> Result<Vec<u8>, TlsError> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut out)
                .map_err(|error| self.other(error.to_string()))?;
        }
        Ok(out)
    }

    /// Says that nothing more follows (RFC 8446 §6.1).
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn drain(&mut self, plain: &mut Vec<u8>) -> Result<(), TlsError> {
        match self.connection.reader().read_to_end(plain) {
            Ok(_) => Ok(()),
            // Nothing more for now.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(self.other(error.to_string())),
        }
    }

    fn other(&self, reason: String) -> TlsError {
        TlsError::Other {
            host: self.host.clone(),
            reason,
        }
    }
}

/// In words that say what to do.
fn explain(host: &str, error: &rustls::Error) -> TlsError {
    let host = host.to_owned();
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            // The latter comes from an authority that has the name of one that is trusted, and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsError::UnknownIssuer(host),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsError::OtherName(host)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::Expired(host),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsError::NotYetValid(host)
            }
            _ => TlsError::Other {
                host,
                reason: error.to_string(),
            },
        },
        rustls::Error::InvalidMessage(_) => TlsError::NotTls(host),
        _ => TlsError::Other {
            host,
            reason: error.to_string(),
        },
    }
}
