//! The certificate of the HTTP listener: made at start, read from files, or none.

use crate::config::Tls;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Why there is no certificate to serve with. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The certificate file.
    #[error("tls: cannot read a PEM certificate chain from {path}: {source}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A file without any certificate.
    #[error("tls: {path} holds no `BEGIN CERTIFICATE`: give the chain first, then the key (--tls CERT,KEY)")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file.
    #[error("tls: cannot read a PEM private key from {path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Key and certificate do not belong together, or the key's kind is unknown.
    #[error("tls: {cert} and {key} do not work together: {source}")]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The self-signed certificate.
    #[error("tls: cannot make a self-signed certificate: {0}")]
    SelfSigned(#[from] rcgen::Error),
    /// The TLS library refused its own defaults or the self-signed certificate.
    #[error("tls: {0}")]
    Library(#[from] rustls::Error),
}

/// A certificate chain and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate of our own making. Who accepted it once need not be asked again by the next process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SelfSigned {
    names: Vec<String>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl SelfSigned {
    /// The earlier one if it has the right names, otherwise a new one.
    pub(crate) fn for_names(earlier: Option<Self>, advertise: &[IpAddr]) -> Result<Self, TlsError> {
        let names = names(advertise);
        match earlier.filter(|earlier| earlier.names == names) {
            Some(earlier) => Ok(earlier),
            None => Ok(self_signed(names)?),
        }
    }

    fn identity(&self) -> Identity {
        let key = PrivatePkcs8KeyDer::from(self.key.clone());
        let certificate = CertificateDer::from(self.certificate.clone());
        (vec![certificate], key.into())
    }
}

impl fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SelfSigned({:?})", self.names)
    }
}

/// `None` is plain HTTP.
pub(super) fn server_config(
    tls: &Tls,
    self_signed: Option<SelfSigned>,
    advertise: &[IpAddr],
) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let config = match tls {
        Tls::Off => return Ok(None),
        Tls::SelfSigned => {
            let own = SelfSigned::for_names(self_signed, advertise)?;
            with_identity(own.identity())?
        }
        Tls::Files { cert, key } => with_identity(read(cert, key)?).map_err(|source| TlsError::Pair {
            cert: cert.clone(),
            key: key.clone(),
            source,
        })?,
    };
    Ok(Some(Arc::new(config)))
}

fn with_identity((chain, key): Identity) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // WebSockets are opened by HTTP/1.1 (RFC 6455 §4.1); with HTTP/2 a browser would need a second connection.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(cert: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsError::Certificate {
            path: cert.to_owned(),
            source,
        })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate {
            path: cert.to_owned(),
        });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key {
        path: key.to_owned(),
        source,
    })?;
    Ok((chain, key))
}

/// Valid from yesterday, for clocks that are a little behind, and for less than the 398 days that browsers accept.
fn self_signed(names: Vec<String>) -> Result<SelfSigned, rcgen::Error> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names.clone())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Lianmai edge (self-signed)");
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 396 * DAY).into();
    let certificate = params.self_signed(&key)?;
    Ok(SelfSigned {
        names,
        certificate: certificate.der().to_vec(),
        key: key.serialize_der(),
    })
}

fn names(advertise: &[IpAddr]) -> Vec<String> {
    let loopback = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    let mut names: Vec<String> = std::iter::once("localhost".to_owned())
        .chain(host_name())
        .chain(loopback.iter().chain(advertise).map(ToString::to_string))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The host's name if a certificate can carry it.
fn host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let name = name.trim();
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    plain.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{SelfSigned, with_identity};
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig, ServerConnection};
    use std::net::IpAddr;
    use std::sync::Arc;

    fn client(trusted: CertificateDer<'static>, name: &str) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(trusted).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        ClientConnection::new(Arc::new(config), name).expect("a client")
    }

    /// A handshake without a network.
    fn shake(mut client: ClientConnection, server: ServerConfig) -> Result<(), Error> {
        let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).expect("memory");
            server.read_tls(&mut wire.as_slice()).expect("memory");
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).expect("memory");
            client.read_tls(&mut wire.as_slice()).expect("memory");
            client.process_new_packets()?;
        }
        Ok(())
    }

    fn attempt(name: &str) -> Result<(), Error> {
        let advertised: [IpAddr; 2] = [
            "192.0.2.7".parse().expect("v4"),
            "2001:db8::7".parse().expect("v6"),
        ];
        let own = SelfSigned::for_names(None, &advertised).expect("a certificate");
        let identity = own.identity();
        let client = client(identity.0[0].clone(), name);
        shake(client, with_identity(identity).expect("a configuration"))
    }

    #[test]
    fn the_self_signed_certificate_names_loopback_and_what_is_advertised() {
        for name in ["localhost", "127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"] {
            attempt(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn an_earlier_one_is_taken_if_it_has_the_same_names() {
        let here: [IpAddr; 1] = ["192.0.2.7".parse().expect("v4")];
        let earlier = SelfSigned::for_names(None, &here).expect("a certificate");
        let again = SelfSigned::for_names(Some(earlier.clone()), &here).expect("a certificate");
        assert!(again == earlier);
        let elsewhere = SelfSigned::for_names(Some(earlier.clone()), &[]).expect("a certificate");
        assert!(elsewhere != earlier);
    }

    #[test]
    fn it_names_nobody_else() {
        for name in ["example.com", "192.0.2.8"] {
            assert!(
                matches!(attempt(name), Err(Error::InvalidCertificate(_))),
                "{name}"
            );
        }
    }
}
