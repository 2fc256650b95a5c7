//! What `/metrics` shows of co-hosts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Clones show the same numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct CohostMetrics {
    pub(super) running: Gauge,
    pub(super) refused: Counter,
    pub(super) restarts: Counter,
}

impl CohostMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("cohosts", "RTMP co-hosts in rooms", metrics.running.clone());
        registry.register(
            "cohosts_refused",
            "RTMP co-hosts that a room did not take, or not for longer",
            metrics.refused.clone(),
        );
        registry.register(
            "cohost_restarts",
            "Bridges of RTMP co-hosts started again",
            metrics.restarts.clone(),
        );
        metrics
    }
}
