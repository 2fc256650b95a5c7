//! Writes the state down when it is time.

use super::pace::Pace;
use super::{Archive, Snapshot};
use crate::http::SelfSigned;
use lianmai_webrtc::SavedCertificate;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::Instant;

/// Keeps an archive up to date.
#[derive(Debug)]
pub(crate) struct Saver {
    archive: Archive,
    /// What stays the same as long as the process lives.
    pub(crate) certificate: SavedCertificate,
    pub(crate) https: Option<SelfSigned>,
    pace: Pace,
    metrics: SaveMetrics,
}

/// What `/metrics` shows of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SaveMetrics {
    saves: Counter,
    failures: Counter,
    bytes: Gauge,
}

impl SaveMetrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "state_saves",
            "States left to the next process",
            metrics.saves.clone(),
        );
        registry.register(
            "state_save_failures",
            "States that could not be left to it",
            metrics.failures.clone(),
        );
        registry.register("state_bytes", "Bytes of the last state", metrics.bytes.clone());
        metrics
    }
}

impl Saver {
    /// Saves into this archive from now on, first of all what there is.
    pub(crate) fn new(
        archive: Archive,
        certificate: SavedCertificate,
        https: Option<SelfSigned>,
        metrics: SaveMetrics,
    ) -> Self {
        let mut pace = Pace::default();
        pace.changed();
        Self {
            archive,
            certificate,
            https,
            pace,
            metrics,
        }
    }

    /// Something changed.
    pub(crate) const fn changed(&mut self) {
        self.pace.changed();
    }

    /// Something changed that cannot be had again.
    pub(crate) const fn urgent(&mut self) {
        self.pace.urgent();
    }

    /// When to save.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        self.pace.next(now)
    }

    /// Writes the state down. If that fails, what was written before stays, and the edge goes on.
    pub(crate) fn save(&mut self, now: Instant, state: &Snapshot) {
        self.pace.saved(now);
        let written = state.encode().map_err(anyhow::Error::from).and_then(|bytes| {
            self.metrics
                .bytes
                .set(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
            Ok(self.archive.write(&bytes)?)
        });
        match written {
            Ok(()) => drop(self.metrics.saves.inc()),
            Err(error) => {
                self.metrics.failures.inc();
                tracing::error!(%error, "the state is not left to the next process: after a crash it goes on with an older one");
            }
        }
    }
}
