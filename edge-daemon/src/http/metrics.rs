//! Counters of the HTTP side, and the page that shows all counters.

use super::routes::Shared;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt::{self, Write as _};

/// Clones count into the same numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    rejected: Family<RejectedLabels, Counter>,
    sockets: Gauge,
    players: Gauge,
}

impl Metrics {
    /// Registers all counters under `http_`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let http = registry.sub_registry_with_prefix("http");
        http.register(
            "requests",
            "Requests answered, by route class and status",
            metrics.requests.clone(),
        );
        http.register(
            "rejected",
            "Requests, sockets and messages refused, by reason",
            metrics.rejected.clone(),
        );
        http.register("websockets_open", "WebSockets on /room", metrics.sockets.clone());
        http.register("players_open", "HTTP-FLV players", metrics.players.clone());
        metrics
    }

    pub(super) fn reject(&self, reason: Rejected) {
        self.rejected.get_or_create(&RejectedLabels { reason }).inc();
    }

    /// One more WebSocket, until the guard is dropped.
    pub(super) fn socket_opened(&self) -> OpenGuard {
        OpenGuard::new(&self.sockets)
    }

    /// One more HTTP-FLV player, until the guard is dropped.
    pub(super) fn player_opened(&self) -> OpenGuard {
        OpenGuard::new(&self.players)
    }
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rejected {
    /// A body over the limit.
    BodyTooLarge,
    /// The request took too long to read or to answer.
    Timeout,
    /// All places for WebSockets are taken.
    SocketLimit,
    /// All places for HTTP-FLV players are taken.
    PlayerLimit,
    /// A binary frame on `/room`.
    BinaryFrame,
    /// A text message over the limit.
    MessageTooLong,
    /// A message had to wait because its sender is too fast.
    Paced,
    /// A WebSocket that did not read what it was sent, or did not answer pings.
    SocketStalled,
    /// An admin request from an address that may not.
    AdminForbidden,
}

/// The routes in a few classes, so that the number of time series is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Route {
    Page,
    Room,
    Helper,
    Whip,
    Whep,
    Live,
    Admin,
    Operations,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Route,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabels {
    reason: Rejected,
}

impl EncodeLabelValue for Rejected {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::BodyTooLarge => "body_too_large",
            Self::Timeout => "timeout",
            Self::SocketLimit => "socket_limit",
            Self::PlayerLimit => "player_limit",
            Self::BinaryFrame => "binary_frame",
            Self::MessageTooLong => "message_too_long",
            Self::Paced => "paced",
            Self::SocketStalled => "socket_stalled",
            Self::AdminForbidden => "admin_forbidden",
        })
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Page => "page",
            Self::Room => "room",
            Self::Helper => "helper",
            Self::Whip => "whip",
            Self::Whep => "whep",
            Self::Live => "live",
            Self::Admin => "admin",
            Self::Operations => "operations",
            Self::Unknown => "unknown",
        })
    }
}

impl Route {
    fn of(path: Option<&str>) -> Self {
        let Some(path) = path else { return Self::Unknown };
        match path.split('/').nth(1).unwrap_or_default() {
            "" | "watch" | "assets" => Self::Page,
            "room" => Self::Room,
            "whip" => Self::Whip,
            "whep" => Self::Whep,
            "live" => Self::Live,
            "api" => Self::Admin,
            "healthz" | "metrics" => Self::Operations,
            _ => Self::Helper,
        }
    }
}

/// Counts every answer.
pub(super) async fn count(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let route = Route::of(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let response = next.run(request).await;
    let status = response.status().as_u16();
    shared
        .metrics
        .requests
        .get_or_create(&RequestLabels { route, status })
        .inc();
    response
}

/// `GET /metrics`
pub(super) async fn show(State(shared): State<Shared>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut page = String::new();
    // Writing into a `String` cannot fail.
    let _ = text::encode(&mut page, &shared.registry);
    ([(CONTENT_TYPE, OPEN_METRICS)], page).into_response()
}

/// `GET /healthz`: the edge answers within the time limit of every request.
pub(super) async fn health(State(shared): State<Shared>) -> Result<&'static str, super::error::ApiError> {
    shared.edge.stats().await?;
    Ok("ok\n")
}

/// Counts something as open while it lives.
#[derive(Debug)]
pub(super) struct OpenGuard(Gauge);

impl OpenGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
