//! What `/metrics` shows of targets. A target is named by its room and number, never by its URL.

use lianmai_mixer_control::{TargetId, TargetState, TargetStats};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

type Labels = [(&'static str, String); 2];

/// Clones show the same numbers. There is a series for each target that a mixer has been told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetMetrics {
    publishing: Family<Labels, Gauge>,
    sessions: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    sent_bytes: Family<Labels, Counter>,
    dropped_frames: Family<Labels, Counter>,
    unsent_frames: Family<Labels, Counter>,
    queued_bytes: Family<Labels, Gauge>,
}

impl TargetMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("target");
        registry.register(
            "publishing",
            "Whether the target takes the stream",
            metrics.publishing.clone(),
        );
        for (name, help, family) in [
            ("sessions", "Connections that were accepted", &metrics.sessions),
            (
                "failures",
                "Attempts that failed and sessions that broke off",
                &metrics.failures,
            ),
            ("sent_bytes", "Bytes sent", &metrics.sent_bytes),
            (
                "dropped_frames",
                "Frames left out because the target was slow",
                &metrics.dropped_frames,
            ),
            (
                "unsent_frames",
                "Frames that came while it was not connected",
                &metrics.unsent_frames,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register("queued_bytes", "Bytes that wait", metrics.queued_bytes.clone());
        metrics
    }

    pub(super) fn state(&self, room: &str, id: TargetId, state: &TargetState) {
        let publishing = *state == TargetState::Publishing;
        self.publishing
            .get_or_create(&labels(room, id))
            .set(i64::from(publishing));
    }

    pub(super) fn stats(&self, room: &str, stats: &TargetStats) {
        let labels = labels(room, stats.id);
        for (family, total) in [
            (&self.sessions, stats.sessions),
            (&self.failures, stats.failures),
            (&self.sent_bytes, stats.sent_bytes),
            (&self.dropped_frames, stats.dropped_frames),
            (&self.unsent_frames, stats.unsent_frames),
        ] {
            // The mixer counts; this only shows.
            family
                .get_or_create(&labels)
                .inner()
                .store(total, Ordering::Relaxed);
        }
        self.queued_bytes
            .get_or_create(&labels)
            .set(i64::try_from(stats.queued_bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn forget(&self, room: &str, id: TargetId) {
        let labels = labels(room, id);
        self.publishing.remove(&labels);
        self.queued_bytes.remove(&labels);
        for family in [
            &self.sessions,
            &self.failures,
            &self.sent_bytes,
            &self.dropped_frames,
            &self.unsent_frames,
        ] {
            family.remove(&labels);
        }
    }
}

fn labels(room: &str, id: TargetId) -> Labels {
    [("room", room.to_owned()), ("target", id.0.to_string())]
}

#[cfg(test)]
mod tests {
    use super::TargetMetrics;
    use lianmai_mixer_control::{TargetId, TargetState, TargetStats};
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_target_has_its_series_until_it_is_forgotten() {
        let mut registry = Registry::default();
        let metrics = TargetMetrics::new(&mut registry);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).expect("text");
            text
        };
        metrics.state("show", TargetId(2), &TargetState::Publishing);
        metrics.stats(
            "show",
            &TargetStats {
                id: TargetId(2),
                sessions: 1,
                failures: 4,
                sent_bytes: 99,
                dropped_frames: 0,
                unsent_frames: 0,
                queued_bytes: 5,
            },
        );
        assert!(
            text().contains("target_publishing{room=\"show\",target=\"2\"} 1"),
            "{}",
            text()
        );
        assert!(
            text().contains("target_failures_total{room=\"show\",target=\"2\"} 4"),
            "{}",
            text()
        );
        metrics.forget("show", TargetId(2));
        assert!(!text().contains("show"), "{}", text());
    }
}
