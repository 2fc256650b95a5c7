//! DTLS-SRTP as a client (RFC 5764): a handshake, the keys, and nothing after it.

use super::ice::Agent;
use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use dtls::config::{ClientAuthType, Config, ExtendedMasterSecretType};
use dtls::conn::DTLSConn;
use dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use webrtc_srtp::context::Context as SrtpContext;
use webrtc_srtp::protection_profile::ProtectionProfile;
use webrtc_util::{Conn, KeyingMaterialExporter};

const PATIENCE: Duration = Duration::from_secs(20);
const FLIGHT_INTERVAL: Duration = Duration::from_millis(250);
/// RFC 5764 §4.2.
const LABEL: &str = "EXTRACTOR-dtls_srtp";

/// The certificate of all co-hosts of a run.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: dtls::crypto::Certificate,
    pub(crate) fingerprint: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

impl Identity {
    pub(crate) fn generate() -> Result<Self> {
        // `dtls` asks for the process-wide provider; who installed one before did the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = dtls::crypto::Certificate::generate_self_signed(vec!["bench".to_owned()])?;
        let der = certificate.certificate.first().context("an empty certificate")?;
        let fingerprint = fingerprint(der.as_ref());
        Ok(Self {
            certificate,
            fingerprint,
        })
    }
}

/// SRTP master keys of both directions.
#[derive(Clone)]
pub(crate) struct Keys {
    profile: SrtpProtectionProfile,
    outbound: Master,
    inbound: Master,
}

#[derive(Clone)]
struct Master {
    key: Vec<u8>,
    salt: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({:?})", self.profile)
    }
}

impl Keys {
    /// What both agreed on, as RFC 5764 and RFC 7714 call it.
    pub(crate) fn profile_name(&self) -> &'static str {
        match self.profile {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => "AEAD_AES_128_GCM",
            _ => "AES128_CM_HMAC_SHA1_80",
        }
    }

    /// Seals what this co-host sends.
    pub(crate) fn sealer(&self) -> Result<SrtpContext> {
        self.context(&self.outbound)
    }

    /// Opens what it receives.
    pub(crate) fn opener(&self) -> Result<SrtpContext> {
        self.context(&self.inbound)
    }

    fn context(&self, master: &Master) -> Result<SrtpContext> {
        let profile = srtp_profile(self.profile)?;
        Ok(SrtpContext::new(&master.key, &master.salt, profile, None, None)?)
    }
}

fn srtp_profile(profile: SrtpProtectionProfile) -> Result<ProtectionProfile> {
    match profile {
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Ok(ProtectionProfile::AeadAes128Gcm),
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Ok(ProtectionProfile::Aes128CmHmacSha1_80),
        other => bail!("the server chose the SRTP profile {other:?}, which was not offered"),
    }
}

/// From the ICE check to the keys. The server's certificate must be the one of its SDP.
pub(super) async fn handshake(socket: Arc<UdpSocket>, identity: &Identity, agent: &Agent) -> Result<Keys> {
    let config = Config {
        certificates: vec![identity.certificate.clone()],
        srtp_protection_profiles: vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ],
        client_auth: ClientAuthType::RequireAnyClientCert,
        insecure_skip_verify: true,
        extended_master_secret: ExtendedMasterSecretType::Require,
        flight_interval: FLIGHT_INTERVAL,
        server_name: "bench".to_owned(),
        ..Config::default()
    };
    let socket = DtlsOnly {
        socket,
        agent: agent.clone(),
    };
    let conn = timeout(PATIENCE, DTLSConn::new(Arc::new(socket), config, true, None))
        .await
        .context("the DTLS handshake takes too long")?
        .context("the DTLS handshake failed")?;
    let state = conn.connection_state().await;
    let certificate = state
        .peer_certificates
        .first()
        .context("the server showed no certificate")?;
    ensure!(
        fingerprint(certificate).eq_ignore_ascii_case(&agent.remote.fingerprint),
        "the server's certificate is not the one of its SDP"
    );
    let profile = conn.selected_srtpprotection_profile();
    let srtp = srtp_profile(profile)?;
    let (key_len, salt_len) = (srtp.key_len(), srtp.salt_len());
    let material = state
        .export_keying_material(LABEL, &[], 2 * (key_len + salt_len))
        .await?;
    // RFC 5764 §4.2: client key, server key, client salt, server salt.
    let (keys, salts) = material.split_at(2 * key_len);
    let master = |number: usize| Master {
        key: keys[number * key_len..][..key_len].to_vec(),
        salt: salts[number * salt_len..][..salt_len].to_vec(),
    };
    Ok(Keys {
        profile,
        outbound: master(0),
        inbound: master(1),
    })
}

/// `a=fingerprint`'s value (RFC 8122 §5).
fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<_> = Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!("sha-256 {}", bytes.join(":"))
}

/// The socket as the handshake sees it: DTLS and nothing else (RFC 7983 §7). Checks of the server are answered on the
/// way.
#[derive(Debug)]
struct DtlsOnly {
    socket: Arc<UdpSocket>,
    agent: Agent,
}

type Answer<T> = Result<T, webrtc_util::Error>;

#[async_trait]
impl Conn for DtlsOnly {
    async fn connect(&self, _: SocketAddr) -> Answer<()> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Answer<usize> {
        loop {
            let len = self.socket.recv(buffer).await?;
            if buffer.first().is_some_and(|first| (20..64).contains(first)) {
                return Ok(len);
            }
            if let Some(answer) = self.agent.answer(&buffer[..len]) {
                self.socket.send(&answer).await?;
            }
        }
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Answer<(usize, SocketAddr)> {
        Ok((self.recv(buffer).await?, self.socket.peer_addr()?))
    }

    async fn send(&self, datagram: &[u8]) -> Answer<usize> {
        Ok(self.socket.send(datagram).await?)
    }

    async fn send_to(&self, datagram: &[u8], _: SocketAddr) -> Answer<usize> {
        self.send(datagram).await
    }

    fn local_addr(&self) -> Answer<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()
    }

    async fn close(&self) -> Answer<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
