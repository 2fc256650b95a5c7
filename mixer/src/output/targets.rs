//! All places that the mix is published to.

use crate::daemon::Daemon;
use lianmai_mixer_control::{FromMixer, TargetId, TargetState};
use lianmai_rtmp::{Publisher, PublisherConfig, PublisherEvent, PublisherState, RtmpUrl, StreamHeaders, Tag};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// More would be a mistake: each costs a thread and a queue.
const MAX_TARGETS: usize = 16;

/// A publisher for each target, and what a new one has to be told first.
pub(crate) struct Targets {
    publishers: BTreeMap<TargetId, Publisher>,
    headers: StreamHeaders,
    key_frame_wanted: Arc<AtomicBool>,
    daemon: Daemon,
}

impl Targets {
    /// None yet. States go to `daemon`.
    #[must_use]
    pub(crate) fn new(daemon: Daemon) -> Self {
        let key_frame_wanted = Arc::new(AtomicBool::new(false));
        Self {
            publishers: BTreeMap::new(),
            headers: StreamHeaders::default(),
            key_frame_wanted,
            daemon,
        }
    }

    /// Begins to publish to one more place. A target of the same id is replaced.
    pub(crate) fn add(&mut self, id: TargetId, url: &str) {
        self.remove(id);
        if self.publishers.len() >= MAX_TARGETS {
            return self.give_up(id, format!("there are {MAX_TARGETS} targets already"));
        }
        let target = match RtmpUrl::parse(url) {
            Ok(target) => target,
            Err(error) => return self.give_up(id, error.to_string()),
        };
        tracing::info!(target = id.0, %target, "publishing");
        match Publisher::spawn(PublisherConfig::new(target), self.listener(id)) {
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
            state: TargetState::Retrying {
                reason,
                after_ms: u64::MAX,
            },
        });
    }
}

fn describe(state: PublisherState) -> TargetState {
    match state {
        PublisherState::Connecting => TargetState::Connecting,
        PublisherState::Publishing => TargetState::Publishing,
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
    use lianmai_mixer_control::{FromMixer, TargetId, TargetState};
    use std::time::Duration;

    #[test]
    fn a_target_that_can_never_work_is_said_to_be_given_up_with_the_reason() {
        let (daemon, said) = Daemon::channel();
        let mut targets = Targets::new(daemon);
        targets.add(TargetId(4), "http://example.test/live/key");
        let FromMixer::Target {
            id,
            state: TargetState::Retrying { reason, after_ms },
        } = said.recv_timeout(Duration::from_secs(1)).expect("said at once")
        else {
            panic!("not a state");
        };
        assert_eq!((id, after_ms), (TargetId(4), u64::MAX));
        assert!(reason.contains("rtmp://") && !reason.contains("key"), "{reason}");
    }

    #[test]
    fn the_number_of_targets_is_bounded() {
        let (daemon, _said) = Daemon::channel();
        let mut targets = Targets::new(daemon);
        for id in 0..MAX_TARGETS as u32 + 4 {
            targets.add(TargetId(id), "rtmp://127.0.0.1:9/live/x");
        }
        assert_eq!(targets.publishers.len(), MAX_TARGETS);
        targets.stop(Duration::from_millis(100));
    }
}
