//! What `/metrics` shows of co-hosts.

use lianmai_bridge_control::BridgeStats;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

type Labels = [(&'static str, String); 2];

/// Clones show the same numbers. There is a series for each co-host that is in a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct CohostMetrics {
    running: Gauge,
    pub(super) refused: Counter,
    pub(super) restarts: Counter,
    pictures: Family<Labels, Counter>,
    bad_pictures: Family<Labels, Counter>,
    sounds: Family<Labels, Counter>,
    bad_sounds: Family<Labels, Counter>,
    sound_gaps: Family<Labels, Counter>,
    key_frames_asked: Family<Labels, Counter>,
    longest_gop: Family<Labels, Gauge>,
}

impl CohostMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("cohosts", "RTMP co-hosts in rooms", metrics.running.clone());
        let registry = registry.sub_registry_with_prefix("cohost");
        registry.register(
            "refused",
            "RTMP co-hosts that a room did not take, or not for longer",
            metrics.refused.clone(),
        );
        registry.register(
            "restarts",
            "Bridges of RTMP co-hosts started again",
            metrics.restarts.clone(),
        );
        for (name, help, family) in [
            ("pictures", "Pictures passed on", &metrics.pictures),
            (
                "bad_pictures",
                "Pictures left out because they made no sense",
                &metrics.bad_pictures,
            ),
            ("sounds", "Packets of sound passed on", &metrics.sounds),
            (
                "bad_sounds",
                "Pieces of sound that could not be decoded",
                &metrics.bad_sounds,
            ),
            ("sound_gaps", "Holes in the sound", &metrics.sound_gaps),
            (
                "key_frames_asked",
                "Key frames that somebody asked for in vain",
                &metrics.key_frames_asked,
            ),
        ] {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "longest_gop_milliseconds",
            "The longest time between two key frames",
            metrics.longest_gop.clone(),
        );
        metrics
    }

    /// Somebody is in a room now, and until what this returns is dropped.
    pub(super) fn shown(&self, room: &str, user: &str) -> Shown {
        self.running.inc();
        Shown {
            metrics: self.clone(),
            labels: [("room", room.to_owned()), ("user", user.to_owned())],
        }
    }

    fn counters(&self) -> [&Family<Labels, Counter>; 6] {
        [
            &self.pictures,
            &self.bad_pictures,
            &self.sounds,
            &self.bad_sounds,
            &self.sound_gaps,
            &self.key_frames_asked,
        ]
    }
}

/// The series of one co-host.
pub(super) struct Shown {
    metrics: CohostMetrics,
    labels: Labels,
}

impl Shown {
    pub(super) fn stats(&self, stats: BridgeStats) {
        let totals = [
            stats.pictures,
            stats.bad_pictures,
            stats.sounds,
            stats.bad_sounds,
            stats.sound_gaps,
            stats.key_frames_asked,
        ];
        for (family, total) in self.metrics.counters().into_iter().zip(totals) {
            // The bridge counts; this only shows.
            let counter = family.get_or_create(&self.labels);
            counter.inner().store(total, Ordering::Relaxed);
        }
        let longest = i64::try_from(stats.longest_gop_ms).unwrap_or(i64::MAX);
        self.metrics.longest_gop.get_or_create(&self.labels).set(longest);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.metrics.running.dec();
        for family in self.metrics.counters() {
            family.remove(&self.labels);
        }
        self.metrics.longest_gop.remove(&self.labels);
    }
}

#[cfg(test)]
mod tests {
    use super::CohostMetrics;
    use lianmai_bridge_control::BridgeStats;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_cohost_has_its_series_for_as_long_as_it_is_in_its_room() {
        let mut registry = Registry::default();
        let metrics = CohostMetrics::new(&mut registry);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).expect("text");
            text
        };
        let shown = metrics.shown("show", "obs");
        shown.stats(BridgeStats {
            pictures: 300,
            longest_gop_ms: 2000,
            ..BridgeStats::default()
        });
        let labels = "{room=\"show\",user=\"obs\"}";
        for line in [
            format!("cohost_pictures_total{labels} 300"),
            format!("cohost_longest_gop_milliseconds{labels} 2000"),
            "cohosts 1".to_owned(),
        ] {
            assert!(text().contains(&line), "{line} in {}", text());
        }
        drop(shown);
        assert!(
            !text().contains("show") && text().contains("cohosts 0"),
            "{}",
            text()
        );
    }
}
