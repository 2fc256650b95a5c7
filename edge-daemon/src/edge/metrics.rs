//! What `/metrics` shows of rooms and mixers.

use lianmai_room::Counters;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

type Label = [(&'static str, &'static str); 1];

/// Clones show the same numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(super) rooms: Gauge,
    pub(super) participants: Gauge,
    pub(super) endpoints: Gauge,
    pub(super) mixers: Gauge,
    pub(crate) mixer_restarts: Counter,
    signalling: Family<Label, Counter>,
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("rooms", "Open rooms", metrics.rooms.clone());
        registry.register(
            "participants",
            "Participants in them",
            metrics.participants.clone(),
        );
        registry.register(
            "endpoints",
            "PeerConnections with keys",
            metrics.endpoints.clone(),
        );
        registry.register("mixers", "Rooms that have a mixer", metrics.mixers.clone());
        registry.register(
            "mixer_restarts",
            "Mixers started again",
            metrics.mixer_restarts.clone(),
        );
        registry.register(
            "signalling",
            "What happened in rooms and sessions, by kind",
            metrics.signalling.clone(),
        );
        metrics
    }

    /// Shows the rooms' own totals.
    pub(super) fn show(&self, counters: &Counters) {
        let Counters {
            requests,
            errors,
            notifications,
            malformed,
            texts_too_long,
            chats_too_long,
            unknown_methods,
            rate_limited,
            replayed,
            connections_refused,
            rooms_refused,
            participants_refused,
            resources_refused,
            candidates_refused,
            watchdog_closed,
            reattached,
            expired,
            chats_missed,
            backlog_overflows,
            endpoints_lost,
        } = *counters;
        for (kind, total) in [
            ("requests", requests),
            ("errors", errors),
            ("notifications", notifications),
            ("malformed", malformed),
            ("texts_too_long", texts_too_long),
            ("chats_too_long", chats_too_long),
            ("unknown_methods", unknown_methods),
            ("rate_limited", rate_limited),
            ("replayed", replayed),
            ("connections_refused", connections_refused),
            ("rooms_refused", rooms_refused),
            ("participants_refused", participants_refused),
            ("resources_refused", resources_refused),
            ("candidates_refused", candidates_refused),
            ("watchdog_closed", watchdog_closed),
            ("reattached", reattached),
            ("expired", expired),
            ("chats_missed", chats_missed),
            ("backlog_overflows", backlog_overflows),
            ("endpoints_lost", endpoints_lost),
        ] {
            // The rooms count; this only shows.
            self.signalling
                .get_or_create(&[("kind", kind)])
                .inner()
                .store(total, Ordering::Relaxed);
        }
    }
}
