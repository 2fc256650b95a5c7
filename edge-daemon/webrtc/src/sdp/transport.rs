//! ICE and DTLS parameters of an offer (RFC 8839 §5.4, RFC 8842 §5).

use super::attributes::{clip, first, values};
use super::error::SdpError;
use crate::fingerprint::{Fingerprint, FingerprintError};
use crate::parameters::{Credentials, DtlsRole, RemoteParameters};
use sdp_types::{Attribute, Session};

/// A certificate has one fingerprint per hash function; clients send one.
const MAX_FINGERPRINTS: usize = 8;

/// The parameters of the section that carries the bundled transport, or of the session.
pub(super) fn read(session: &Session, tagged: usize) -> Result<RemoteParameters, SdpError> {
    let section = session
        .medias
        .get(tagged)
        .map_or(&[][..], |media| &media.attributes);
    let levels = [section, &session.attributes[..]];
    Ok(RemoteParameters {
        ice: credentials(levels)?,
        fingerprints: fingerprints(levels)?,
        role: role(levels)?,
    })
}

/// Whether the two have the form of RFC 8839 §5.4.
pub(super) fn check_credentials(ufrag: &str, pwd: &str) -> Result<Credentials, SdpError> {
    let ice_chars = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
    };
    let well_formed = (4..=256).contains(&ufrag.len())
        && (22..=256).contains(&pwd.len())
        && ice_chars(ufrag)
        && ice_chars(pwd);
    if !well_formed {
        return Err(SdpError::BadIceCredentials);
    }
    Ok(Credentials {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
    })
}

fn credentials(levels: [&[Attribute]; 2]) -> Result<Credentials, SdpError> {
    let find = |name| levels.iter().find_map(|level| first(level, name));
    let (Some(ufrag), Some(pwd)) = (find("ice-ufrag"), find("ice-pwd")) else {
        return Err(SdpError::NoIceCredentials);
    };
    check_credentials(ufrag, pwd)
}

/// Those of known hash functions. RFC 8122 §5: the section's replace the session's.
fn fingerprints(levels: [&[Attribute]; 2]) -> Result<Vec<Fingerprint>, SdpError> {
    let level = levels
        .into_iter()
        .find(|level| first(level, "fingerprint").is_some())
        .ok_or(SdpError::NoFingerprint)?;
    let read: Vec<Result<Fingerprint, FingerprintError>> = values(level, "fingerprint")
        .take(MAX_FINGERPRINTS)
        .map(Fingerprint::parse)
        .collect();
    let usable: Vec<Fingerprint> = read
        .iter()
        .filter_map(|fingerprint| fingerprint.as_ref().ok().cloned())
        .collect();
    match read.into_iter().find_map(Result::err) {
        Some(error) if usable.is_empty() => Err(error.into()),
        Some(_) | None => Ok(usable),
    }
}

/// RFC 8842 §5.3: we answer `passive` where we may, so that one round trip of signalling hides in the handshake.
fn role(levels: [&[Attribute]; 2]) -> Result<DtlsRole, SdpError> {
    match levels.iter().find_map(|level| first(level, "setup")) {
        Some("actpass" | "active") | None => Ok(DtlsRole::Server),
        Some("passive") => Ok(DtlsRole::Client),
        Some(other) => Err(SdpError::BadSetup(clip(other))),
    }
}
