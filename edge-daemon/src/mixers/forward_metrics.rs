//! What `/metrics` shows of forwards. A forward is named by its room and number.

use lianmai_mixer_control::{ForwardId, ForwardStats};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

type Labels = [(&'static str, String); 2];

/// Clones show the same numbers. There is a series for each forward that a mixer has been told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForwardMetrics {
    packets: Family<Labels, Counter>,
    bytes: Family<Labels, Counter>,
    reports: Family<Labels, Counter>,
    errors: Family<Labels, Counter>,
}

impl ForwardMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("forward");
        for (name, help, family) in [
            ("packets", "RTP packets sent", &metrics.packets),
            ("bytes", "Bytes of RTP sent", &metrics.bytes),
            ("reports", "RTCP packets sent", &metrics.reports),
            (
                "errors",
                "Packets that could not be sent, and answers that nobody listens",
                &metrics.errors,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        metrics
    }

    pub(super) fn show(&self, room: &str, stats: &ForwardStats) {
        let labels = labels(room, stats.id);
        for (family, total) in [
            (&self.packets, stats.packets),
            (&self.bytes, stats.bytes),
            (&self.reports, stats.reports),
            (&self.errors, stats.errors),
        ] {
            // The mixer counts; this only shows.
            family
                .get_or_create(&labels)
                .inner()
                .store(total, Ordering::Relaxed);
        }
    }

    pub(super) fn forget(&self, room: &str, id: ForwardId) {
        let labels = labels(room, id);
        for family in [&self.packets, &self.bytes, &self.reports, &self.errors] {
            family.remove(&labels);
        }
    }
}

fn labels(room: &str, id: ForwardId) -> Labels {
    [("room", room.to_owned()), ("forward", id.0.to_string())]
}
