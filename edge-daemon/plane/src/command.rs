//! What the edge tells a plane, and what a plane tells the edge.

use crate::shown::Shown;
use lianmai_mixer_control::media::HostId;
use lianmai_webrtc::media::Track;
use lianmai_webrtc::{EndpointId, SrtpKeys, Validated};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// One change of the forwarding state. Commands are applied in order by the thread that owns the plane.
#[derive(Debug)]
pub enum Command {
    /// A DTLS handshake is done: packets of this address belong to this endpoint. The same endpoint again
    /// replaces its keys (a new association after an ICE restart).
    Connect {
        /// The endpoint.
        endpoint: EndpointId,
        /// Where its packets come from and go to.
        remote: Validated<SocketAddr>,
        /// Keys of both directions.
        keys: SrtpKeys,
    },
    /// The same for keys that an earlier process used: what it left in the ledger and in the kernel goes on. Only before the
    /// first packet (see [`crate::Resumption`]).
    Resume {
        /// The endpoint.
        endpoint: EndpointId,
        /// Where its packets come from and go to.
        remote: Validated<SocketAddr>,
        /// Keys of both directions.
        keys: SrtpKeys,
    },
    /// ICE moved the endpoint to another validated address; keys, counters and histories stay.
    Move {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its new address.
        remote: Validated<SocketAddr>,
    },
    /// The endpoint is a publisher of these tracks. May come before `Connect`.
    Publish {
        /// The publisher's endpoint, which names the stream from now on.
        endpoint: EndpointId,
        /// What arrives.
        tracks: Vec<Track>,
    },
    /// The endpoint receives a stream. May come before `Connect`. With `endpoint == source` it is a loopback.
    Subscribe {
        /// The subscriber's endpoint, which names the leg from now on.
        endpoint: EndpointId,
        /// The publisher's endpoint.
        source: EndpointId,
        /// How this leg numbers payload types, extensions and its RTX stream; only these tracks are sent.
        tracks: Vec<Track>,
    },
    /// A decrypted copy of the stream goes to a mixer; replaces an earlier tap of the same stream.
    Tap {
        /// The publisher's endpoint.
        source: EndpointId,
        /// What the mixer calls this host.
        host: HostId,
        /// A connected `SOCK_SEQPACKET` socket; the plane never blocks on it.
        socket: OwnedFd,
    },
    /// No more copies of this stream to a mixer.
    Untap {
        /// The publisher's endpoint.
        source: EndpointId,
    },
    /// At what size the mixer that has the stream's tap shows it. It holds until that tap ends.
    Shown {
        /// The publisher's endpoint.
        source: EndpointId,
        /// The size.
        shown: Shown,
    },
    /// Ask the publisher for a key frame (throttled).
    RequestKeyFrame {
        /// The publisher's endpoint.
        source: EndpointId,
    },
    /// Forget the endpoint with its keys; its legs, or the stream it publishes, end (with a BYE to the legs).
    Remove {
        /// The endpoint.
        endpoint: EndpointId,
    },
}

/// What a plane noticed that policy may care about.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The first packet of this endpoint was opened.
    MediaStarted {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// What was left of this endpoint is not enough to go on with its keys; it must connect again.
    NotResumed {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// RTP or RTCP of this endpoint passed authentication since the last such event (at most one per second).
    Alive {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The loudest recent speaker among the publishers changed its audio level (RFC 6464), at most five times a second.
    AudioLevel {
        /// The publisher's endpoint.
        source: EndpointId,
        /// Smoothed level in -dBov: 0 is loudest, 127 is silence.
        level: u8,
        /// Whether this counts as speech.
        speaking: bool,
    },
}
