use super::{Association, Certificate, LostReason, News, Report, Reporter, Terms};
use crate::endpoint::{EndpointId, Validated};
use crate::metrics::Metrics;
use crate::parameters::DtlsRole;
use crate::socket::DatagramSink;
use crate::srtp::{SrtpKeys, SrtpProfile};
use async_trait::async_trait;
use bytes::Bytes;
use dtls::config::{Config, ExtendedMasterSecretType};
use dtls::conn::DTLSConn;
use dtls::extension::extension_use_srtp::SrtpProtectionProfile as Theirs;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use webrtc_util::{Conn, KeyingMaterialExporter};

const PATIENCE: Duration = Duration::from_secs(15);

/// What the association sends, for the client.
struct ToClient(mpsc::Sender<Vec<u8>>);

impl DatagramSink for ToClient {
    fn send(&self, _to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.0.try_send(datagram.to_vec()).map_err(io::Error::other)
    }
}

/// The client's way to the association.
struct FromClient {
    association: Association,
    inbound: Mutex<mpsc::Receiver<Vec<u8>>>,
}

#[async_trait]
impl Conn for FromClient {
    async fn connect(&self, _to: SocketAddr) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        let Some(datagram) = self.inbound.lock().await.recv().await else {
            return std::future::pending().await;
        };
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        Ok((self.recv(buffer).await?, address().get()))
    }

    async fn send(&self, datagram: &[u8]) -> Result<usize, webrtc_util::Error> {
        self.association
            .datagram(address(), Bytes::copy_from_slice(datagram));
        Ok(datagram.len())
    }

    async fn send_to(&self, datagram: &[u8], _to: SocketAddr) -> Result<usize, webrtc_util::Error> {
        self.send(datagram).await
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Ok(address().get())
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        Some(address().get())
    }

    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

fn address() -> Validated<SocketAddr> {
    Validated::new(SocketAddr::from(([192, 0, 2, 1], 5000)))
}

/// A client with these profiles, in this order, meets our association.
struct Meeting {
    client: Result<DTLSConn, dtls::Error>,
    reports: mpsc::Receiver<Report>,
}

impl Meeting {
    async fn of(profiles: &[Theirs], extended_master_secret: ExtendedMasterSecretType) -> Self {
        let (ours, theirs) = (
            Certificate::generate().expect("ours"),
            Certificate::generate().expect("theirs"),
        );
        let terms = Terms {
            certificate: ours,
            fingerprints: vec![theirs.fingerprint().clone()],
            role: DtlsRole::Server,
        };
        let (to_client, inbound) = mpsc::channel(64);
        let (report_sender, reports) = mpsc::channel(8);
        let reporter = Reporter {
            endpoint: EndpointId(1),
            generation: 0,
            reports: report_sender,
        };
        let sink = Arc::new(ToClient(to_client));
        let association = Association::start(terms, address(), sink, Metrics::default(), reporter);
        let wire = FromClient {
            association,
            inbound: Mutex::new(inbound),
        };
        let config = Config {
            certificates: vec![theirs.inner],
            srtp_protection_profiles: profiles.to_vec(),
            insecure_skip_verify: true,
            extended_master_secret,
            ..Config::default()
        };
        let handshake = DTLSConn::new(Arc::new(wire), config, true, None);
        Self {
            client: timeout(PATIENCE, handshake).await.expect("an end in time"),
            reports,
        }
    }

    async fn news(&mut self) -> News {
        timeout(PATIENCE, self.reports.recv())
            .await
            .expect("news in time")
            .expect("news")
            .news
    }

    async fn keys(&mut self) -> SrtpKeys {
        match self.news().await {
            News::Connected { keys, .. } => keys,
            News::Ended(reason) => panic!("ended: {reason:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_that_prefers_the_fallback_gets_gcm_all_the_same() {
    let profiles = [Theirs::Srtp_Aes128_Cm_Hmac_Sha1_80, Theirs::Srtp_Aead_Aes_128_Gcm];
    let mut meeting = Meeting::of(&profiles, ExtendedMasterSecretType::Require).await;
    assert_eq!(meeting.keys().await.profile, SrtpProfile::AeadAes128Gcm);
    let client = meeting.client.expect("connected");
    assert_eq!(
        client.selected_srtpprotection_profile(),
        Theirs::Srtp_Aead_Aes_128_Gcm
    );
}

// RFC 5764 §4.2: client write key, server write key, client salt, server salt.
#[tokio::test]
async fn a_client_without_gcm_gets_the_fallback_and_both_export_the_same_keys() {
    let profiles = [Theirs::Srtp_Aes128_Cm_Hmac_Sha1_80];
    let mut meeting = Meeting::of(&profiles, ExtendedMasterSecretType::Require).await;
    let keys = meeting.keys().await;
    assert_eq!(keys.profile, SrtpProfile::Aes128CmHmacSha1_80);
    let state = meeting.client.expect("connected").connection_state().await;
    let theirs = state
        .export_keying_material("EXTRACTOR-dtls_srtp", &[], 60)
        .await
        .expect("exported");
    let ours = [
        keys.inbound.key,
        keys.outbound.key,
        keys.inbound.salt,
        keys.outbound.salt,
    ]
    .concat();
    assert_eq!(theirs, ours);
}

#[tokio::test]
async fn a_client_without_a_profile_of_ours_is_refused() {
    let profiles = [Theirs::Srtp_Aes128_Cm_Hmac_Sha1_32];
    let mut meeting = Meeting::of(&profiles, ExtendedMasterSecretType::Require).await;
    assert!(meeting.client.is_err());
    assert!(matches!(
        meeting.news().await,
        News::Ended(LostReason::NoSrtpProfile)
    ));
}

// RFC 7627 §1: without the extended master secret, keys may be shared with a session that a third party set up.
#[tokio::test]
async fn a_client_without_the_extended_master_secret_is_refused() {
    let mut meeting = Meeting::of(
        &[Theirs::Srtp_Aead_Aes_128_Gcm],
        ExtendedMasterSecretType::Disable,
    )
    .await;
    assert!(meeting.client.is_err());
    assert!(matches!(
        meeting.news().await,
        News::Ended(LostReason::HandshakeFailed)
    ));
}
