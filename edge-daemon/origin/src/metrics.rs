//! Counters.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the origin counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) publishers: Gauge,
    pub(crate) players: Gauge,
    pub(crate) refused: Family<Refused, Counter>,
    pub(crate) closed: Family<Closed, Counter>,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) dropped_frames: Counter,
    pub(crate) cache_overflows: Counter,
    pub(crate) hls_streams: Gauge,
    pub(crate) hls_segments: Counter,
}

/// Why somebody was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Refused {
    reason: &'static str,
}

/// Why we closed a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Closed {
    reason: &'static str,
}

impl Metrics {
    /// Puts every metric into `registry` under `origin_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("origin");
        registry.register("connections", "RTMP connections", self.connections.clone());
        registry.register("publishers", "Streams being published", self.publishers.clone());
        registry.register("players", "Players, RTMP and FLV", self.players.clone());
        registry.register(
            "refused",
            "Connections, publishers and players turned away",
            self.refused.clone(),
        );
        registry.register(
            "closed",
            "Connections that the origin closed",
            self.closed.clone(),
        );
        registry.register(
            "received_bytes",
            "Bytes from RTMP peers",
            self.bytes_received.clone(),
        );
        registry.register(
            "sent_bytes",
            "Bytes to RTMP, FLV and HLS players",
            self.bytes_sent.clone(),
        );
        registry.register(
            "dropped_frames",
            "Frames that slow players missed",
            self.dropped_frames.clone(),
        );
        registry.register(
            "cache_overflows",
            "Groups of pictures that were too large to keep for new players",
            self.cache_overflows.clone(),
        );
        registry.register(
            "hls_streams",
            "Streams that are made into HLS segments",
            self.hls_streams.clone(),
        );
        registry.register("hls_segments", "HLS segments made", self.hls_segments.clone());
    }

    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Refused { reason }).inc();
    }

    pub(crate) fn close(&self, reason: &'static str) {
        self.closed.get_or_create(&Closed { reason }).inc();
    }
}
