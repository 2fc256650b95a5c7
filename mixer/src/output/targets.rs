//! All places that the mix is published to.

use crate::daemon::Daemon;
use lianmai_mixer_control::{
    Coding, FromMixer, TagNames, TargetId, TargetOptions, TargetState, TargetStats, TargetUrl, WhenFull,
};
use lianmai_rtmp::{
    Backoff, Publisher, PublisherConfig, PublisherEvent, PublisherState, QueueLimits, RtmpUrl, StreamHeaders,
    Tag, TagFormat, Trust,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// More would be a mistake: each costs a thread and a queue.
const MAX_TARGETS: usize = 16;

/// Bytes that wait for one target, whatever its cache may hold in time.
const MAX_CACHE: usize = 64 << 20;

/// A publisher for each target, and what a new one has to be told first.
pub(crate) struct Targets {
    publishers: BTreeMap<TargetId, Publisher>,
    headers: StreamHeaders,
    key_frame_wanted: Arc<AtomicBool>,
    trust: Arc<Trust>,
    coding: Coding,
    daemon: Daemon,
}

impl Targets {
    /// None yet. States go to `daemon`; `rtmps_ca` may sign certificates of targets; `coding` is what they get.
    #[must_use]
    pub(crate) fn new(daemon: Daemon, rtmps_ca: Option<PathBuf>, coding: Coding) -> Self {
        let key_frame_wanted = Arc::new(AtomicBool::new(false));
        Self {
            publishers: BTreeMap::new(),
            headers: StreamHeaders::default(),
            key_frame_wanted,
            trust: Arc::new(Trust::new(rtmps_ca)),
            coding,
            daemon,
        }
    }

    /// Begins to publish to one more place. A target of the same id is replaced.
    pub(crate) fn add(&mut self, id: TargetId, url: &TargetUrl, options: TargetOptions) {
        self.remove(id);
        if self.publishers.len() >= MAX_TARGETS {
            return self.give_up(id, format!("there are {MAX_TARGETS} targets already"));
        }
        if let Err(error) = self.coding.check(options.tags) {
            return self.give_up(id, error.to_string());
        }
        let target = match RtmpUrl::parse(&url.0) {
            Ok(target) => target,
            Err(error) => return self.give_up(id, error.to_string()),
        };
        tracing::info!(target = id.0, %target, "publishing");
        match Publisher::spawn(self.config(target, options), self.listener(id)) {
            Ok(publisher) => {
                self.headers.tags().for_each(|tag| publisher.push(tag.clone()));
                self.publishers.insert(id, publisher);
            }
            Err(error) => self.give_up(id, format!("no thread for it: {error}")),
        }
    }

    /// Stops publishing there. What is queued for it may still be sent for a second.
    pub(crate) fn remove(&mut self, id: TargetId) {
        let Some(publisher) = self.publishers.remove(&id) else {
            return;
        };
        tracing::info!(target = id.0, "no longer publishing");
        thread::spawn(move || publisher.stop(Duration::from_secs(1)));
    }

    /// Hands a tag to every target.
    pub(crate) fn push(&mut self, tag: &Tag) {
        self.headers.note(tag);
        self.publishers
            .values()
            .for_each(|publisher| publisher.push(tag.clone()));
    }

    /// What was counted of each.
    #[must_use]
    pub(crate) fn stats(&self) -> Vec<TargetStats> {
        let stats = |(id, publisher): (&TargetId, &Publisher)| {
            let stats = publisher.stats();
            TargetStats {
                id: *id,
                sessions: stats.sessions,
                failures: stats.failures,
                sent_bytes: stats.sent_bytes,
                dropped_frames: stats.dropped_frames,
                unsent_frames: stats.unsent_frames,
                queued_bytes: stats.queued_bytes,
            }
        };
        self.publishers.iter().map(stats).collect()
    }

    /// Whether a target has asked for a key frame since the last call.
    #[must_use]
    pub(crate) fn take_key_frame_wanted(&self) -> bool {
        self.key_frame_wanted.swap(false, Ordering::Relaxed)
    }

    /// Sends what is queued and says goodbye to all of them, within `deadline`.
    pub(crate) fn stop(self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let stop = move |publisher: Publisher| publisher.stop(end.saturating_duration_since(Instant::now()));
        let stopping: Vec<_> = self
            .publishers
            .into_values()
            .map(|publisher| thread::spawn(move || stop(publisher)))
            .collect();
        for thread in stopping {
            if !matches!(thread.join(), Ok(true)) {
                tracing::warn!("a target did not take all of the stream before the mixer ended");
            }
        }
    }

    fn config(&self, target: RtmpUrl, options: TargetOptions) -> PublisherConfig {
        let millis = |millis: u32| Duration::from_millis(u64::from(millis));
        let mut config = PublisherConfig::new(target);
        config.trust = Arc::clone(&self.trust);
        config.tags = match options.tags {
            TagNames::Legacy => TagFormat::Legacy,
            TagNames::Enhanced => TagFormat::Enhanced,
            TagNames::Auto if self.coding.needs_enhanced() => TagFormat::Enhanced,
            TagNames::Auto => TagFormat::Legacy,
        };
        // A longer cache may hold more bytes, in the measure of the usual one.
        let usual = QueueLimits::default();
        let cache = millis(options.cache_ms);
        let factor = cache.as_secs_f64() / usual.duration.as_secs_f64();
        config.queue = QueueLimits {
            bytes: ((usual.bytes as f64 * factor) as usize).clamp(usual.bytes, MAX_CACHE),
            duration: cache,
        };
        config.when_full = match options.when_full {
            WhenFull::Drop => lianmai_rtmp::WhenFull::DropFrames,
            WhenFull::Reconnect => lianmai_rtmp::WhenFull::Reconnect,
        };
        config.backoff = Backoff {
            least: millis(options.retry_ms),
            most: millis(options.retry_max_ms),
        };
        config.retries = options.retries;
        config.restart_delay = millis(options.restart_delay_ms);
        config
    }

    fn listener(&self, id: TargetId) -> impl FnMut(PublisherEvent) + Send + 'static {
        let (daemon, key_frame_wanted) = (self.daemon.clone(), Arc::clone(&self.key_frame_wanted));
        move |event| match event {
            PublisherEvent::State(state) => daemon.say(FromMixer::Target {
                id,
                state: describe(state),
            }),
            PublisherEvent::KeyFrameWanted => key_frame_wanted.store(true, Ordering::Relaxed),
        }
    }

    /// There will be no further attempt.
    fn give_up(&self, id: TargetId, reason: String) {
        tracing::error!(target = id.0, reason, "a target cannot be published to");
        self.daemon.say(FromMixer::Target {
            id,
            state: TargetState::GivenUp { reason },
        });
    }
}

fn describe(state: PublisherState) -> TargetState {
    match state {
        PublisherState::Connecting => TargetState::Connecting,
        PublisherState::Publishing => TargetState::Publishing,
        PublisherState::GaveUp { reason } => TargetState::GivenUp {
            reason: reason.to_string(),
        },
        PublisherState::Retrying { reason, after } => TargetState::Retrying {
            reason: reason.to_string(),
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_TARGETS, Targets};
    use crate::daemon::Daemon;
    use lianmai_mixer_control::{
        AudioCodec, Coding, FromMixer, TagNames, TargetId, TargetOptions, TargetState, TargetUrl,
    };
    use std::time::Duration;

    fn add(targets: &mut Targets, id: u32, url: &str) {
        targets.add(TargetId(id), &TargetUrl(url.to_owned()), TargetOptions::default());
    }

    #[test]
    fn a_target_that_can_never_work_is_said_to_be_given_up_with_the_reason() {
        let (daemon, said) = Daemon::channel();
        let mut targets = Targets::new(daemon, None, Coding::default());
        add(&mut targets, 4, "http://example.test/live/key");
        let FromMixer::Target {
            id,
            state: TargetState::GivenUp { reason },
        } = said.recv_timeout(Duration::from_secs(1)).expect("said at once")
        else {
            panic!("not a state");
        };
        assert_eq!(id, TargetId(4));
        assert!(reason.contains("rtmp://") && !reason.contains("key"), "{reason}");
    }

    #[test]
    fn a_target_that_cannot_take_the_codecs_is_given_up_with_what_to_do() {
        let (daemon, said) = Daemon::channel();
        let coding = Coding {
            audio: AudioCodec::Opus,
            ..Coding::default()
        };
        let mut targets = Targets::new(daemon, None, coding);
        let legacy = TargetOptions {
            tags: TagNames::Legacy,
            ..TargetOptions::default()
        };
        let url = TargetUrl("rtmp://127.0.0.1:9/live/x".to_owned());
        targets.add(TargetId(1), &url, legacy);
        let FromMixer::Target {
            state: TargetState::GivenUp { reason },
            ..
        } = said.recv_timeout(Duration::from_secs(1)).expect("said at once")
        else {
            panic!("not given up");
        };
        assert!(reason.contains("Opus") && reason.contains("enhanced"), "{reason}");
    }

    #[test]
    fn the_number_of_targets_is_bounded() {
        let (daemon, _said) = Daemon::channel();
        let mut targets = Targets::new(daemon, None, Coding::default());
        for id in 0..MAX_TARGETS as u32 + 4 {
            add(&mut targets, id, "rtmp://127.0.0.1:9/live/x");
        }
        assert_eq!(targets.publishers.len(), MAX_TARGETS);
        targets.stop(Duration::from_millis(100));
    }
}
