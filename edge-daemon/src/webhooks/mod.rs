//! Telling another server what happens in rooms: signed HTTP requests, queued and repeated, that nothing here waits for.

mod event;
mod outbox;
mod sender;
mod signature;

pub(crate) use event::{Event, Recording, Target};
pub(crate) use outbox::Limits;

use outbox::{Counters, Message};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sender::Receiver;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The variable that holds the key if no file does.
pub(crate) const SECRET_VARIABLE: &str = "LIANMAI_WEBHOOK_SECRET";

/// How long the end of the daemon waits for what is queued.
const FAREWELL: Duration = Duration::from_secs(2);

/// What requests are signed with. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// Who is told, and how it can tell that it was us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookConfig {
    /// Each gets everything.
    pub(crate) urls: Vec<String>,
    /// The key of the signature.
    pub(crate) secret: Secret,
}

type Label = [(&'static str, &'static str); 1];

/// What `/metrics` shows of webhooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    outcomes: Family<Label, Counter>,
    waiting: Gauge,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "webhooks",
            "Requests to webhooks, by outcome",
            metrics.outcomes.clone(),
        );
        registry.register("webhooks_waiting", "Events that wait", metrics.waiting.clone());
        metrics
    }

    /// The same for webhooks that are told of snapshots.
    pub(crate) fn of_snapshots(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "snapshot_webhooks",
            "Requests to webhooks of snapshots, by outcome",
            metrics.outcomes.clone(),
        );
        registry.register(
            "snapshot_webhooks_waiting",
            "Snapshots that wait",
            metrics.waiting.clone(),
        );
        metrics
    }

    fn show(&self, receivers: &[Receiver]) {
        let total = receivers
            .iter()
            .map(Receiver::counters)
            .fold(Counters::default(), Counters::plus);
        for (outcome, count) in [
            ("delivered", total.delivered),
            ("failed", total.failed),
            ("refused", total.refused),
            ("given_up", total.given_up),
            ("dropped", total.dropped),
        ] {
            // The outboxes count; this only shows.
            self.outcomes
                .get_or_create(&[("outcome", outcome)])
                .inner()
                .store(count, Ordering::Relaxed);
        }
        self.waiting.set(i64::try_from(total.waiting).unwrap_or(i64::MAX));
    }
}

/// A cheap handle; clones tell the same servers. Without configuration it tells nobody.
#[derive(Clone, Default)]
pub(crate) struct Webhooks(Option<Arc<Inner>>);

struct Inner {
    receivers: Vec<Receiver>,
    /// Tells the ids of this process from those of the one before.
    epoch: u64,
    next: AtomicU64,
    metrics: Metrics,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receivers = self.0.as_ref().map_or(0, |inner| inner.receivers.len());
        write!(formatter, "Webhooks({receivers})")
    }
}

impl Webhooks {
    /// Starts a thread for each server.
    pub(crate) fn start(config: &WebhookConfig, limits: Limits, metrics: Metrics) -> io::Result<Self> {
        let receivers = config
            .urls
            .iter()
            .map(|url| Receiver::start(url.clone(), config.secret.clone(), limits))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self(Some(Arc::new(Inner {
            receivers,
            epoch: rand::random(),
            next: AtomicU64::new(0),
            metrics,
        }))))
    }

    /// Whether anybody is told.
    pub(crate) const fn are_there(&self) -> bool {
        self.0.is_some()
    }

    /// Queues an event for all of them. Never waits.
    pub(crate) fn say(&self, event: &Event<'_>) {
        let Some(inner) = &self.0 else { return };
        let id = format!(
            "{:016x}-{}",
            inner.epoch,
            inner.next.fetch_add(1, Ordering::Relaxed)
        );
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let body: Arc<str> = event
            .body(&id, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
            .into();
        for receiver in &inner.receivers {
            receiver.push(Message {
                id: id.clone(),
                event: event.name(),
                body: Arc::clone(&body),
            });
        }
    }

    /// Brings the metrics up to date.
    pub(crate) fn show(&self) {
        if let Some(inner) = &self.0 {
            inner.metrics.show(&inner.receivers);
        }
    }

    /// Sends what is queued, for two seconds at most. Blocks.
    pub(crate) fn finish(&self) {
        let Some(inner) = &self.0 else { return };
        let deadline = Instant::now() + FAREWELL;
        for receiver in &inner.receivers {
            receiver.finish(deadline);
        }
    }
}

#[cfg(test)]
mod tests;
