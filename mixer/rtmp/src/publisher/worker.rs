//! The thread of one target: attempt, session, wait, again.

use super::backoff::Attempts;
use super::connection::{Connection, Ending};
use super::shared::Shared;
use super::{PublishError, PublisherConfig, PublisherEvent, PublisherState};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Worker {
    config: PublisherConfig,
    shared: Arc<Shared>,
    on_event: Box<dyn FnMut(PublisherEvent) + Send>,
    attempts: Attempts,
}

impl Worker {
    pub(super) fn new(
        config: PublisherConfig,
        shared: Arc<Shared>,
        on_event: Box<dyn FnMut(PublisherEvent) + Send>,
    ) -> Self {
        // The standard library's hash keys are the nearest source of randomness; jitter needs no better one.
        let attempts = Attempts::new(config.backoff, config.retries, RandomState::new().hash_one(()));
        Self {
            config,
            shared,
            on_event,
            attempts,
        }
    }

    pub(super) fn run(mut self) {
        let flushed = loop {
            match self.session() {
                Ending::Stopped { flushed } => break flushed,
                Ending::Failed { reason, published } => {
                    if self.wait_after(reason, published) {
                        break false;
                    }
                }
            }
        };
        self.shared.finish(flushed);
    }

    fn session(&mut self) -> Ending {
        (self.on_event)(PublisherEvent::State(PublisherState::Connecting));
        let ending = match Connection::open(&self.config, &self.shared) {
            Ok(connection) => connection.run(&mut self.on_event),
            Err(reason) => Ending::Failed {
                reason,
                published: None,
            },
        };
        self.shared.detach();
        ending
    }

    /// `true` when it was asked to stop meanwhile, or when there is no further attempt.
    fn wait_after(&mut self, reason: PublishError, published: Option<Duration>) -> bool {
        self.shared.count(|stats| stats.failures += 1);
        let Some(mut after) = self.attempts.failed(published) else {
            tracing::error!(target = %self.config.target, %reason, "not publishing any more");
            (self.on_event)(PublisherEvent::State(PublisherState::GaveUp { reason }));
            return true;
        };
        if published.is_some() {
            after = after.max(self.config.restart_delay);
        }
        tracing::warn!(target = %self.config.target, %reason, ?after, "not publishing; trying again");
        (self.on_event)(PublisherEvent::State(PublisherState::Retrying { reason, after }));
        self.shared.pause(Instant::now() + after)
    }
}
