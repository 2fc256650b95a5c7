//! What a plane knows at one moment.

use crate::transit::TransitTimes;
use lianmai_fanout::Ssrc;
use lianmai_webrtc::media::{Codec, Kind};
use lianmai_webrtc::{EndpointId, SrtpProfile};
use std::net::SocketAddr;
use std::time::Duration;

/// All endpoints and totals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// In the order of their ids.
    pub endpoints: Vec<EndpointStats>,
    /// Datagrams received since the start.
    pub packets_in: u64,
    /// Datagrams sent since the start, those of STUN and DTLS not among them.
    pub packets_out: u64,
    /// How long media packets take through the plane.
    pub transit: TransitTimes,
}

impl Snapshot {
    /// One endpoint.
    #[must_use]
    pub fn endpoint(&self, endpoint: EndpointId) -> Option<&EndpointStats> {
        self.endpoints.iter().find(|stats| stats.endpoint == endpoint)
    }
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointStats {
    /// Which.
    pub endpoint: EndpointId,
    /// Where it is, once it has keys.
    pub remote: Option<SocketAddr>,
    /// What protects it.
    pub profile: Option<SrtpProfile>,
    /// The stream that it publishes.
    pub source: Option<SourceStats>,
    /// The stream that it receives.
    pub leg: Option<LegStats>,
}

/// A published stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStats {
    /// In the order of `Command::Publish`.
    pub tracks: Vec<TrackStats>,
    /// What the publisher is asked to stay below, in bits per second.
    pub allowed_bitrate: Option<u64>,
    /// Smoothed round trip to the publisher.
    pub round_trip: Option<Duration>,
    /// Whether a mixer gets a copy.
    pub tapped: bool,
}

/// One track of a published stream.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackStats {
    /// Audio or video.
    pub kind: Kind,
    /// Its codec.
    pub codec: Codec,
    /// Its SSRC, once it sent something.
    pub ssrc: Option<Ssrc>,
    /// Packets accepted: authentic, new, recovered ones included.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// How the kernel forwards it, while it does.
    pub kernel: Option<FlowStats>,
}

/// One track that the kernel forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowStats {
    /// Legs that the kernel seals for; the daemon seals for the others.
    pub legs: usize,
    /// Packets that it is prepared for at a time, newer and older than the newest.
    pub depth: u32,
    /// Packets that the kernel took.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One subscriber's copy.
#[derive(Clone, Debug, PartialEq)]
pub struct LegStats {
    /// Whose stream.
    pub source: EndpointId,
    /// Packets sealed, retransmissions not among them.
    pub packets: u64,
    /// Of these, sealed by the kernel.
    pub by_kernel: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Retransmissions sealed.
    pub retransmitted: u64,
    /// What the path is estimated to carry, in bits per second.
    pub estimated_bitrate: Option<u64>,
    /// Smoothed round trip to the subscriber.
    pub round_trip: Option<Duration>,
    /// Share of packets that the subscriber misses, 0 to 1.
    pub loss: Option<f32>,
}
