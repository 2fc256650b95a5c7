//! Why an offer cannot be answered; each message tells the client's author what to change.

use crate::fingerprint::FingerprintError;

/// Why an offer or an SDP fragment is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than any client's.
    #[error("the description has {len} bytes; at most {max} are read")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Not SDP.
    #[error("not a session description: {0}")]
    Grammar(String),
    /// More media sections than any client's.
    #[error("the offer has {count} media sections; at most {max} are read")]
    TooManySections {
        /// How many it has.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// No section that could be taken.
    #[error("the offer has no audio or video section over UDP/TLS/RTP/SAVPF")]
    NoMedia,
    /// A section that is to be taken has no name.
    #[error("media section {index} needs an a=mid of 1 to 32 token characters, not {mid:?}")]
    BadMid {
        /// Its position, from 0.
        index: usize,
        /// What it has instead.
        mid: String,
    },
    /// Two sections of one name.
    #[error("two media sections have a=mid:{0}")]
    DuplicateMid(String),
    /// A section that is to be taken has its own transport.
    #[error("a=mid:{0} is not in a=group:BUNDLE; offer all media on one transport")]
    NotBundled(String),
    /// RTCP on a port of its own.
    #[error("a=mid:{0} lacks a=rtcp-mux; offer RTP and RTCP on one port")]
    NoRtcpMux(String),
    /// No `a=ice-ufrag` or `a=ice-pwd`.
    #[error("the offer lacks a=ice-ufrag or a=ice-pwd")]
    NoIceCredentials,
    /// An `a=ice-ufrag` or `a=ice-pwd` outside RFC 8839 §5.4.
    #[error("a=ice-ufrag takes 4 to 256 and a=ice-pwd 22 to 256 letters, digits, + and /")]
    BadIceCredentials,
    /// No `a=fingerprint`.
    #[error("the offer lacks a=fingerprint; media is taken over DTLS-SRTP only")]
    NoFingerprint,
    /// No usable `a=fingerprint`.
    #[error("a=fingerprint: {0}")]
    BadFingerprint(#[from] FingerprintError),
    /// An `a=setup` other than actpass, active or passive.
    #[error("a=setup:{0} cannot be answered; offer actpass")]
    BadSetup(String),
    /// A publisher whose sections send nothing that can be forwarded.
    #[error("nothing to publish: {0}")]
    NothingToPublish(String),
    /// A subscriber that can take neither the audio nor the video of the stream.
    #[error("nothing to receive: {0}")]
    NothingToReceive(String),
    /// An SDP fragment with too many candidates.
    #[error("the fragment has {count} candidates; at most {max} are read")]
    TooManyCandidates {
        /// How many it has.
        count: usize,
        /// The limit.
        max: usize,
    },
}
