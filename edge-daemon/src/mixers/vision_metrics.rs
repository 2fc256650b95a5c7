//! What `/metrics` shows of vision programs.

use lianmai_mixer_control::VisionStats;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

type Room = [(&'static str, String); 1];

/// Clones show the same numbers. There are series for each room whose mixer has reported of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct VisionMetrics {
    /// Starts after an end, of all rooms.
    pub(super) restarts: Counter,
    sent: Family<Room, Counter>,
    skipped: Family<Room, Counter>,
    answered: Family<Room, Counter>,
    refused: Family<Room, Counter>,
}

impl VisionMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("vision");
        registry.register(
            "restarts",
            "Vision programs started again",
            metrics.restarts.clone(),
        );
        for (name, help, family) in [
            ("frames_sent", "Pictures handed over", &metrics.sent),
            (
                "frames_skipped",
                "Pictures that nobody looked at because a newer one came",
                &metrics.skipped,
            ),
            (
                "frames_answered",
                "Pictures that were looked at",
                &metrics.answered,
            ),
            ("lines_refused", "Lines that made no sense", &metrics.refused),
        ] {
            registry.register(name, help, family.clone());
        }
        metrics
    }

    pub(super) fn show(&self, room: &str, stats: &VisionStats) {
        for (family, total) in [
            (&self.sent, stats.frames_sent),
            (&self.skipped, stats.frames_skipped),
            (&self.answered, stats.frames_answered),
            (&self.refused, stats.lines_refused),
        ] {
            // The mixer counts; this only shows.
            let counter = family.get_or_create(&labels(room));
            counter.inner().store(total, Ordering::Relaxed);
        }
    }

    pub(super) fn forget(&self, room: &str) {
        for family in [&self.sent, &self.skipped, &self.answered, &self.refused] {
            family.remove(&labels(room));
        }
    }
}

fn labels(room: &str) -> Room {
    [("room", room.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::VisionMetrics;
    use lianmai_mixer_control::VisionStats;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_room_has_its_series_until_it_is_forgotten() {
        let mut registry = Registry::default();
        let metrics = VisionMetrics::new(&mut registry);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).expect("text");
            text
        };
        let stats = VisionStats {
            frames_skipped: 7,
            ..VisionStats::default()
        };
        metrics.show("show", &stats);
        let wanted = "vision_frames_skipped_total{room=\"show\"} 7";
        assert!(text().contains(wanted), "{}", text());
        metrics.forget("show");
        assert!(!text().contains("show"), "{}", text());
    }
}
