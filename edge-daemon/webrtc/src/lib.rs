//! WebRTC sessions on one UDP port: SDP answers, ICE-lite, DTLS-SRTP keys.
//!
//! One PeerConnection carries one stream, so an endpoint is one 5-tuple, one DTLS association and one pair of SRTP keys.
//!
//! [`sdp`] and [`ice`] are pure; [`Transport`] joins ICE and DTLS to a socket. Media never comes by here:
//! whoever owns the socket hands over STUN and DTLS only, and takes the keys.
#![forbid(unsafe_code)]

mod dtls;
mod endpoint;
mod fingerprint;
pub mod ice;
pub mod media;
mod metrics;
mod parameters;
mod saved;
pub mod sdp;
mod socket;
mod srtp;
mod transport;

pub use crate::dtls::{Certificate, CertificateError, LostReason, SavedCertificate};
pub use endpoint::{EndpointId, Validated};
pub use fingerprint::{Fingerprint, FingerprintError, HashFunction};
pub use metrics::Metrics;
pub use parameters::{Credentials, DtlsRole, RemoteParameters};
pub use saved::SavedEndpoint;
pub use socket::{DatagramSink, SharedSocket};
pub use srtp::{MasterKey, SrtpKeys, SrtpProfile};
pub use transport::{Datagram, Transport, TransportEvent, TransportHandle};
