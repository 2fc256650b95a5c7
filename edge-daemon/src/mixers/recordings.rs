//! What a room's mixer records, as the daemon knows it.

use crate::view::RecordingView;
use lianmai_mixer_control::{Record, RecordingState, RecordingStats};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Files of processes that are gone, which are still shown.
const MAX_PAST: usize = 32;

type Label = [(&'static str, &'static str); 1];

/// What `/metrics` shows of recordings, of all rooms together. Clones show the same numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordingMetrics {
    open: Gauge,
    bytes: Counter,
    dropped_frames: Counter,
    failures: Family<Label, Counter>,
}

impl RecordingMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("recording");
        registry.register("open", "Files that grow", metrics.open.clone());
        registry.register("written_bytes", "Bytes written", metrics.bytes.clone());
        registry.register(
            "dropped_frames",
            "Frames left out because the disk was slow",
            metrics.dropped_frames.clone(),
        );
        registry.register(
            "failures",
            "Holes (behind) and recordings that ended early (failed)",
            metrics.failures.clone(),
        );
        metrics
    }
}

/// A recording that has a hole, or ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) file: String,
    pub(super) host: Option<String>,
    pub(super) state: &'static str,
    pub(super) reason: String,
}

/// What is recorded, and what was last heard of it.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    /// What is meant to be recorded.
    pub(super) wanted: Record,
    /// Of the process that runs.
    current: Vec<RecordingStats>,
    /// Of those before it.
    past: Vec<RecordingStats>,
}

impl Recordings {
    /// What the mixer says of its files. Gives what somebody has to be told.
    pub(super) fn hear(&mut self, said: Vec<RecordingStats>, metrics: &RecordingMetrics) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for now in &said {
            let before = self.current.iter().find(|before| before.id == now.id);
            let grown =
                |count: fn(&RecordingStats) -> u64| count(now).saturating_sub(before.map_or(0, count));
            metrics.bytes.inc_by(grown(|stats| stats.bytes));
            metrics.dropped_frames.inc_by(grown(|stats| stats.dropped_frames));
            let (state, reason) = shown(&now.state);
            if let Some(reason) =
                reason.filter(|_| before.is_none_or(|before| shown(&before.state).0 != state))
            {
                metrics.failures.get_or_create(&[("reason", state)]).inc();
                alarms.push(Alarm {
                    file: now.file.clone(),
                    host: now.host.clone(),
                    state,
                    reason: reason.to_owned(),
                });
            }
        }
        self.replace(said, metrics);
        alarms
    }

    /// The process is gone: its files are what they are.
    pub(super) fn forget_process(&mut self, metrics: &RecordingMetrics) {
        let mut over = self.current.clone();
        self.replace(Vec::new(), metrics);
        for stats in over.iter_mut().filter(|stats| is_open(stats)) {
            stats.state = RecordingState::Ended;
        }
        self.past.append(&mut over);
        let surplus = self.past.len().saturating_sub(MAX_PAST);
        self.past.drain(..surplus);
    }

    pub(super) fn views(&self) -> Vec<RecordingView> {
        self.past.iter().chain(&self.current).map(view).collect()
    }

    fn replace(&mut self, said: Vec<RecordingStats>, metrics: &RecordingMetrics) {
        let open = |list: &[RecordingStats]| list.iter().filter(|stats| is_open(stats)).count() as i64;
        metrics.open.inc_by(open(&said) - open(&self.current));
        self.current = said;
    }
}

const fn is_open(stats: &RecordingStats) -> bool {
    matches!(stats.state, RecordingState::Recording | RecordingState::Behind)
}

/// A state in a word, and what is wrong.
fn shown(state: &RecordingState) -> (&'static str, Option<&str>) {
    match state {
        RecordingState::Recording => ("recording", None),
        RecordingState::Behind => (
            "behind",
            Some("the disk is too slow: there is a hole in the recording"),
        ),
        RecordingState::Failed { reason } => ("failed", Some(reason)),
        RecordingState::Ended => ("ended", None),
    }
}

fn view(stats: &RecordingStats) -> RecordingView {
    let (state, reason) = shown(&stats.state);
    RecordingView {
        file: stats.file.clone(),
        host: stats.host.clone(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        bytes: stats.bytes,
        dropped_frames: stats.dropped_frames,
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordingMetrics, Recordings};
    use lianmai_mixer_control::{RecordingState, RecordingStats};

    fn stats(id: u32, state: RecordingState, bytes: u64) -> RecordingStats {
        RecordingStats {
            id,
            file: format!("{id}.mp4"),
            host: None,
            state,
            bytes,
            dropped_frames: 0,
        }
    }

    fn full() -> RecordingState {
        RecordingState::Failed {
            reason: "No space left on device".to_owned(),
        }
    }

    #[test]
    fn an_alarm_is_raised_once_for_each_hole_and_each_end() {
        let (mut recordings, metrics) = (Recordings::default(), RecordingMetrics::default());
        let mut hear = |state| recordings.hear(vec![stats(0, state, 5)], &metrics);
        assert!(hear(RecordingState::Recording).is_empty());
        assert_eq!(hear(RecordingState::Behind)[0].state, "behind");
        assert!(hear(RecordingState::Behind).is_empty());
        assert!(hear(RecordingState::Recording).is_empty());
        assert_eq!(hear(RecordingState::Behind).len(), 1);
        assert_eq!(hear(full())[0].reason, "No space left on device");
        assert!(hear(full()).is_empty());
        assert_eq!(metrics.failures.get_or_create(&[("reason", "behind")]).get(), 2);
        assert_eq!(metrics.bytes.get(), 5);
    }

    #[test]
    fn files_of_a_process_that_is_gone_stay_in_the_list_and_are_not_open() {
        let (mut recordings, metrics) = (Recordings::default(), RecordingMetrics::default());
        recordings.hear(vec![stats(0, RecordingState::Recording, 5)], &metrics);
        assert_eq!(metrics.open.get(), 1);
        recordings.forget_process(&metrics);
        assert_eq!(metrics.open.get(), 0);
        recordings.hear(vec![stats(0, RecordingState::Recording, 7)], &metrics);
        let views = recordings.views();
        let shown: Vec<_> = views
            .iter()
            .map(|view| (view.state.as_str(), view.bytes))
            .collect();
        assert_eq!(shown, [("ended", 5), ("recording", 7)]);
        assert_eq!(metrics.bytes.get(), 12);
        (0..100).for_each(|_| {
            recordings.hear(vec![stats(0, RecordingState::Recording, 7)], &metrics);
            recordings.forget_process(&metrics);
        });
        assert_eq!(recordings.views().len(), super::MAX_PAST);
    }
}
