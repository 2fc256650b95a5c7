//! From a finished handshake to SRTP keys (RFC 5764 §4.2).

use super::LostReason;
use crate::fingerprint::Fingerprint;
use crate::parameters::DtlsRole;
use crate::srtp::{MasterKey, SrtpKeys, SrtpProfile};
use dtls::conn::DTLSConn;
use dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use webrtc_util::KeyingMaterialExporter;

/// RFC 5764 §4.2.
const LABEL: &str = "EXTRACTOR-dtls_srtp";

/// Checks that the certificate is the one of the SDP, then exports the keys.
pub(super) async fn extract(
    conn: &DTLSConn,
    role: DtlsRole,
    announced: &[Fingerprint],
) -> Result<SrtpKeys, LostReason> {
    let state = conn.connection_state().await;
    check_certificate(&state.peer_certificates, announced)?;
    let profile = profile(conn.selected_srtpprotection_profile()).ok_or(LostReason::NoSrtpProfile)?;
    let (key_len, salt_len) = profile.key_and_salt_len();
    let material = state
        .export_keying_material(LABEL, &[], 2 * (key_len + salt_len))
        .await;
    let material = material.map_err(|_| LostReason::HandshakeFailed)?;
    split(profile, role, &material).ok_or(LostReason::HandshakeFailed)
}

/// RFC 8122 §6.2: the end-entity certificate has to match, and without a match there is no session.
pub(super) fn check_certificate(chain: &[Vec<u8>], announced: &[Fingerprint]) -> Result<(), LostReason> {
    let matches = chain
        .first()
        .is_some_and(|der| announced.iter().any(|fingerprint| fingerprint.matches(der)));
    if matches {
        Ok(())
    } else {
        Err(LostReason::FingerprintMismatch)
    }
}

const fn profile(selected: SrtpProtectionProfile) -> Option<SrtpProfile> {
    match selected {
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => Some(SrtpProfile::AeadAes128Gcm),
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Some(SrtpProfile::Aes128CmHmacSha1_80),
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32
        | SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm
        | SrtpProtectionProfile::Unsupported => None,
    }
}

/// RFC 5764 §4.2: client key, server key, client salt, server salt.
fn split(profile: SrtpProfile, role: DtlsRole, material: &[u8]) -> Option<SrtpKeys> {
    let (key_len, salt_len) = profile.key_and_salt_len();
    let (client_key, rest) = material.split_at_checked(key_len)?;
    let (server_key, rest) = rest.split_at_checked(key_len)?;
    let (client_salt, server_salt) = rest.split_at_checked(salt_len)?;
    let client = MasterKey {
        key: client_key.to_vec(),
        salt: client_salt.to_vec(),
    };
    let server = MasterKey {
        key: server_key.to_vec(),
        salt: server_salt.to_vec(),
    };
    Some(match role {
        DtlsRole::Server => SrtpKeys {
            profile,
            inbound: client,
            outbound: server,
        },
        DtlsRole::Client => SrtpKeys {
            profile,
            inbound: server,
            outbound: client,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::split;
    use crate::parameters::DtlsRole;
    use crate::srtp::SrtpProfile;

    #[test]
    fn the_clients_key_opens_what_a_server_receives() {
        let material: Vec<u8> = (0..56).collect();
        let keys = split(SrtpProfile::AeadAes128Gcm, DtlsRole::Server, &material).expect("enough");
        assert_eq!((keys.inbound.key[0], keys.outbound.key[0]), (0, 16));
        assert_eq!((keys.inbound.salt[0], keys.outbound.salt[0]), (32, 44));
        assert_eq!((keys.inbound.salt.len(), keys.outbound.salt.len()), (12, 12));
        let mirrored = split(SrtpProfile::AeadAes128Gcm, DtlsRole::Client, &material).expect("enough");
        assert_eq!(
            (mirrored.inbound, mirrored.outbound),
            (keys.outbound, keys.inbound)
        );
    }

    #[test]
    fn the_fallback_has_longer_salts() {
        let material: Vec<u8> = (0..60).collect();
        let keys = split(SrtpProfile::Aes128CmHmacSha1_80, DtlsRole::Server, &material).expect("enough");
        assert_eq!((keys.inbound.salt[0], keys.outbound.salt[0]), (32, 46));
        assert_eq!((keys.inbound.salt.len(), keys.outbound.salt.len()), (14, 14));
    }
}
