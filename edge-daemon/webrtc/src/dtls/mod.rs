//! One DTLS association per endpoint: a thin asynchronous shell over the `dtls` crate.

mod certificate;
mod hello;
mod inflow;
mod keys;
mod record;
mod wire;

pub use certificate::{Certificate, CertificateError, SavedCertificate};

use crate::endpoint::{EndpointId, Validated};
use crate::fingerprint::Fingerprint;
use crate::metrics::Metrics;
use crate::parameters::DtlsRole;
use crate::socket::DatagramSink;
use crate::srtp::{SrtpKeys, SrtpProfile};
use bytes::Bytes;
use dtls::config::{ClientAuthType, Config, ExtendedMasterSecretType};
use dtls::conn::DTLSConn;
use dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use wire::Wire;

/// From the first valid STUN check to the keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// RFC 6347 §4.2.4.1 suggests 1 s; within a talk nobody waits that long, and the path is validated.
const FLIGHT_INTERVAL: Duration = Duration::from_millis(250);
/// How long the farewell may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Datagrams that wait for the handshake: a flight of a client with a long certificate chain has a handful.
const QUEUE: usize = 32;

/// Why an endpoint is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// No valid STUN check ever came.
    NeverConnected,
    /// No STUN check and no media for 30 seconds (RFC 7675).
    ConsentExpired,
    /// The DTLS handshake was not done in time.
    HandshakeTimeout,
    /// The DTLS handshake broke off.
    HandshakeFailed,
    /// The peer's certificate is not the one of its SDP.
    FingerprintMismatch,
    /// The peer offers no SRTP profile of ours.
    NoSrtpProfile,
    /// The peer said goodbye.
    PeerClosed,
}

impl LostReason {
    /// A constant text for logs, metrics and clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverConnected => "never_connected",
            Self::ConsentExpired => "consent_expired",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::NoSrtpProfile => "no_srtp_profile",
            Self::PeerClosed => "peer_closed",
        }
    }
}

/// What an association reports, at most one of each, in this order.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) endpoint: EndpointId,
    /// Which of the endpoint's associations it was; an endpoint that was replaced has had several.
    pub(crate) generation: u64,
    pub(crate) news: News,
}

/// What happened to an association.
#[derive(Debug)]
pub(crate) enum News {
    /// The keys are there.
    Connected {
        keys: SrtpKeys,
        round_trip: Option<Duration>,
    },
    /// It is over.
    Ended(LostReason),
}

/// What both sides agreed on by SDP.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) certificate: Certificate,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) role: DtlsRole,
}

/// Who hears of an association.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    pub(crate) endpoint: EndpointId,
    pub(crate) generation: u64,
    pub(crate) reports: mpsc::Sender<Report>,
}

impl Reporter {
    /// When nobody listens any more, there is nobody to tell.
    async fn report(&self, news: News) {
        let report = Report {
            endpoint: self.endpoint,
            generation: self.generation,
            news,
        };
        let _ = self.reports.send(report).await;
    }
}

/// The transport's end of an association. Dropping it ends the association with a close_notify.
#[derive(Debug)]
pub(crate) struct Association {
    inbound: mpsc::Sender<Bytes>,
    remote: watch::Sender<Validated<SocketAddr>>,
    _stop: oneshot::Sender<()>,
}

impl Association {
    /// Starts the handshake with a peer whose address is proved.
    pub(crate) fn start(
        terms: Terms,
        remote: Validated<SocketAddr>,
        sink: Arc<dyn DatagramSink>,
        metrics: Metrics,
        reporter: Reporter,
    ) -> Self {
        let (inbound, datagrams) = mpsc::channel(QUEUE);
        let (remote, remotes) = watch::channel(remote);
        let (stop, stopped) = oneshot::channel();
        let wire = Arc::new(Wire::new(datagrams, remotes, sink, metrics, terms.role));
        tokio::spawn(supervise(terms, wire, stopped, reporter));
        Self {
            inbound,
            remote,
            _stop: stop,
        }
    }

    /// Hands over a datagram; `false` when the queue is full.
    pub(crate) fn datagram(&self, _from: Validated<SocketAddr>, datagram: Bytes) -> bool {
        self.inbound.try_send(datagram).is_ok()
    }

    /// From now on, send here.
    pub(crate) fn moved(&self, remote: Validated<SocketAddr>) {
        self.remote.send_replace(remote);
    }
}

/// A panic in the handshake ends this association and no other.
async fn supervise(terms: Terms, wire: Arc<Wire>, stopped: oneshot::Receiver<()>, reporter: Reporter) {
    let ended = tokio::spawn(run(terms, wire, stopped, reporter.clone())).await;
    match ended {
        Ok(None) => {}
        Ok(Some(reason)) => reporter.report(News::Ended(reason)).await,
        Err(_) => reporter.report(News::Ended(LostReason::HandshakeFailed)).await,
    }
}

/// `None` when our side ended it.
async fn run(
    terms: Terms,
    wire: Arc<Wire>,
    mut stopped: oneshot::Receiver<()>,
    reporter: Reporter,
) -> Option<LostReason> {
    let established = tokio::select! {
        _ = &mut stopped => return None,
        established = timeout(HANDSHAKE_TIMEOUT, handshake(&terms, &wire)) => established,
    };
    let (conn, keys) = match established {
        Ok(Ok(established)) => established,
        Ok(Err(reason)) => return Some(reason),
        Err(_) => return Some(LostReason::HandshakeTimeout),
    };
    reporter
        .report(News::Connected {
            keys,
            round_trip: wire.round_trip(),
        })
        .await;
    tokio::select! {
        _ = &mut stopped => {
            // A farewell is a courtesy: nobody waits for it.
            let _ = timeout(CLOSE_TIMEOUT, conn.close()).await;
            None
        }
        () = until_closed(&conn) => Some(LostReason::PeerClosed),
    }
}

async fn handshake(terms: &Terms, wire: &Arc<Wire>) -> Result<(DTLSConn, SrtpKeys), LostReason> {
    let profiles = match terms.role {
        // With no profile in common the crate is asked all the same, so that the peer gets its alert.
        DtlsRole::Server => {
            hello::choose_profile(&wire.client_hello().await).map_or(BOTH.to_vec(), |best| vec![best])
        }
        DtlsRole::Client => BOTH.to_vec(),
    };
    let is_client = terms.role == DtlsRole::Client;
    let conn: Arc<dyn webrtc_util::Conn + Send + Sync> = wire.clone();
    let conn = DTLSConn::new(conn, config(terms, &profiles), is_client, None)
        .await
        .map_err(|error| reason(&error))?;
    wire.set_established();
    let keys = keys::extract(&conn, terms.role, &terms.fingerprints).await;
    if keys.is_err() {
        let _ = timeout(CLOSE_TIMEOUT, conn.close()).await;
    }
    Ok((conn, keys?))
}

const BOTH: [SrtpProfile; 2] = [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];
/// What the certificate check says, for [`reason`] to recognise.
const MISMATCH: &str = "certificate fingerprint mismatch";

fn config(terms: &Terms, profiles: &[SrtpProfile]) -> Config {
    let announced = terms.fingerprints.clone();
    let verify = move |chain: &[Vec<u8>], _: &[_]| {
        keys::check_certificate(chain, &announced).map_err(|_| dtls::Error::Other(MISMATCH.to_owned()))
    };
    Config {
        certificates: vec![terms.certificate.inner.clone()],
        srtp_protection_profiles: profiles.iter().map(|profile| their_name(*profile)).collect(),
        client_auth: ClientAuthType::RequireAnyClientCert,
        // Certificates are self-signed; the fingerprint is what is verified.
        insecure_skip_verify: true,
        verify_peer_certificate: Some(Arc::new(verify)),
        extended_master_secret: ExtendedMasterSecretType::Require,
        flight_interval: FLIGHT_INTERVAL,
        server_name: "lianmai".to_owned(),
        ..Config::default()
    }
}

const fn their_name(profile: SrtpProfile) -> SrtpProtectionProfile {
    match profile {
        SrtpProfile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        SrtpProfile::Aes128CmHmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    }
}

fn reason(error: &dtls::Error) -> LostReason {
    match error {
        dtls::Error::Other(text) if text == MISMATCH => LostReason::FingerprintMismatch,
        dtls::Error::ErrServerNoMatchingSrtpProfile
        | dtls::Error::ErrClientNoMatchingSrtpProfile
        | dtls::Error::ErrRequestedButNoSrtpExtension => LostReason::NoSrtpProfile,
        _ => LostReason::HandshakeFailed,
    }
}

/// There is no application data; the read ends with the peer's close_notify or a fatal alert.
async fn until_closed(conn: &DTLSConn) {
    let mut buffer = [0; 2048];
    while conn.read(&mut buffer, None).await.is_ok() {}
}

#[cfg(test)]
mod tests;
