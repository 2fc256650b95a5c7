//! What the daemon is told once a second.

use crate::audio::VoiceStats;
use crate::ingest::HostCounters;
use hdrhistogram::Histogram;
use lianmai_compositor::Size;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{ForwardStats, HostStats, MixStats};
use lianmai_timeline::{EdgeTime, Span};
use std::collections::BTreeMap;

const EVERY: Span = Span::from_secs(1);

/// The longest tick that is told apart, in microseconds: 10 s.
const LONGEST_TICK: u64 = 10_000_000;

/// What was measured since the last report.
pub(crate) struct Stats {
    ticks: Histogram<u64>,
    due: EdgeTime,
    rejected: u64,
    hosts: BTreeMap<HostId, Host>,
    forwards: Vec<ForwardStats>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    ingest: HostCounters,
    decoded: u64,
    decode_errors: u64,
    size: Size,
}

impl Stats {
    /// The first report is due a second after `start`.
    ///
    /// # Panics
    ///
    /// Never: the histogram's bounds are constants.
    #[must_use]
    pub(crate) fn new(start: EdgeTime) -> Self {
        let ticks = Histogram::new_with_bounds(1, LONGEST_TICK, 2).expect("valid bounds");
        Self {
            ticks,
            due: start + EVERY,
            rejected: 0,
            hosts: BTreeMap::new(),
            forwards: Vec::new(),
        }
    }

    /// One picture took this long to compose and encode.
    pub(crate) fn tick(&mut self, took: Span) {
        self.ticks
            .saturating_record(u64::try_from(took.0 / 1000).unwrap_or(0).max(1));
    }

    /// A host joined.
    pub(crate) fn add(&mut self, host: HostId) {
        self.hosts.entry(host).or_default();
    }

    /// A host left.
    pub(crate) fn remove(&mut self, host: HostId) {
        self.hosts.remove(&host);
    }

    /// What the ingest counted.
    pub(crate) fn ingest(&mut self, rejected: u64, hosts: impl IntoIterator<Item = (HostId, HostCounters)>) {
        self.rejected = rejected;
        for (host, counters) in hosts {
            if let Some(known) = self.hosts.get_mut(&host) {
                known.ingest = counters;
            }
        }
    }

    /// What was counted of each forward.
    pub(crate) fn forwards(&mut self, forwards: Vec<ForwardStats>) {
        self.forwards = forwards;
    }

    /// What a host's decoder counted.
    pub(crate) fn decoder(&mut self, host: HostId, decoded: u64, errors: u64, size: Size) {
        if let Some(known) = self.hosts.get_mut(&host) {
            (known.decoded, known.decode_errors, known.size) = (decoded, errors, size);
        }
    }

    /// The report, if it is due; the time of ticks starts anew. `mix` has what the mix itself knows, `voice` what
    /// it knows of each host.
    pub(crate) fn report(
        &mut self,
        now: EdgeTime,
        mix: impl FnOnce() -> MixStats,
        voice: impl Fn(HostId) -> VoiceStats,
    ) -> Option<MixStats> {
        if now < self.due {
            return None;
        }
        self.due = now + EVERY;
        let quantile = |quantile| self.ticks.value_at_quantile(quantile) as f64 / 1e3;
        let report = MixStats {
            tick_p50_ms: quantile(0.5),
            tick_p99_ms: quantile(0.99),
            media_rejected: self.rejected,
            hosts: self
                .hosts
                .iter()
                .map(|(id, host)| host.report(*id, voice(*id)))
                .collect(),
            forwards: self.forwards.clone(),
            ..mix()
        };
        self.ticks.reset();
        Some(report)
    }
}

impl Host {
    fn report(&self, host: HostId, voice: VoiceStats) -> HostStats {
        HostStats {
            host,
            frames_decoded: self.decoded,
            decode_errors: self.decode_errors + self.ingest.pictures_incomplete,
            packets_lost: self.ingest.packets_lost,
            concealed_ms: self.ingest.concealed_frames / 48,
            width: u32::try_from(self.size.width).unwrap_or(0),
            height: u32::try_from(self.size.height).unwrap_or(0),
            audio_error_ms: voice.error.as_millis_f64(),
            jitter_ms: self.ingest.jitter.as_millis_f64(),
            loudness_lufs: voice.loudness,
            gain_db: voice.gain_db,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stats, VoiceStats};
    use crate::ingest::HostCounters;
    use lianmai_compositor::Size;
    use lianmai_mixer_control::MixStats;
    use lianmai_mixer_control::media::HostId;
    use lianmai_timeline::{EdgeTime, Span};

    const HOST: HostId = HostId(5);

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(0) + Span::from_millis(millis)
    }

    #[test]
    fn a_report_comes_once_a_second_with_the_quantiles_of_that_second() {
        let mut stats = Stats::new(at(0));
        let report = |stats: &mut Stats, millis| {
            stats.report(at(millis), MixStats::default, |_| VoiceStats::default())
        };
        for millis in 1..=100 {
            stats.tick(Span::from_millis(millis));
        }
        assert_eq!(report(&mut stats, 999), None);
        let first = report(&mut stats, 1000).expect("due");
        assert!((49.0..=51.0).contains(&first.tick_p50_ms) && (98.0..=100.0).contains(&first.tick_p99_ms));
        assert_eq!(report(&mut stats, 1999), None);
        assert!(
            report(&mut stats, 2000).expect("due").tick_p99_ms < 0.1,
            "ticks of the second before are over"
        );
    }

    #[test]
    fn each_host_is_reported_from_all_three_sources_until_it_leaves() {
        let mut stats = Stats::new(at(0));
        stats.add(HOST);
        let counters = HostCounters {
            packets_lost: 3,
            concealed_frames: 960,
            ..HostCounters::default()
        };
        stats.ingest(7, [(HOST, counters), (HostId(99), counters)]);
        let voice = VoiceStats {
            error: Span::from_millis(-4),
            loudness: Some(-31.0),
            gain_db: 13.0,
        };
        stats.decoder(HOST, 40, 1, Size::new(640, 360));
        let report = stats.report(at(1000), MixStats::default, |_| voice).expect("due");
        assert_eq!((report.media_rejected, report.hosts.len()), (7, 1));
        let host = &report.hosts[0];
        assert_eq!(
            (
                host.packets_lost,
                host.concealed_ms,
                host.frames_decoded,
                host.decode_errors
            ),
            (3, 20, 40, 1)
        );
        assert_eq!((host.width, host.height, host.audio_error_ms), (640, 360, -4.0));
        assert_eq!((host.loudness_lufs, host.gain_db), (Some(-31.0), 13.0));
        stats.remove(HOST);
        assert!(
            stats
                .report(at(2000), MixStats::default, |_| VoiceStats::default())
                .expect("due")
                .hosts
                .is_empty()
        );
    }
}
