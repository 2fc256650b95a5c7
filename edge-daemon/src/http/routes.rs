//! The table of routes and what holds for all of them: counting, time limits, JSON refusals.

use super::error::ApiError;
use super::metrics::{Metrics, Rejected};
use super::{AdminAccess, LiveStreams, MAX_PLAYERS, MAX_SOCKETS, Services};
use super::{admin, flv, hls, kurento, metrics, page, whip};
use crate::handle::EdgeHandle;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// SDP offers are 2 to 10 KiB; nothing else that is sent to us is larger.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// From the request's head to the answer's: reading the body and asking the edge. Streams go on beyond it.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// What the handlers share; clones share the same.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) edge: EdgeHandle,
    pub(super) live: Arc<dyn LiveStreams>,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Metrics,
    pub(super) admin: AdminAccess,
    /// Places for WebSockets.
    pub(super) sockets: Arc<Semaphore>,
    /// Places for HTTP-FLV players.
    pub(super) players: Arc<Semaphore>,
    /// Turns true when the listener closes.
    pub(super) closing: watch::Receiver<bool>,
}

impl Shared {
    pub(super) fn new(services: Services, admin: AdminAccess, closing: watch::Receiver<bool>) -> Self {
        let Services {
            edge,
            live,
            registry,
            metrics,
        } = services;
        let sockets = Arc::new(Semaphore::new(MAX_SOCKETS));
        let players = Arc::new(Semaphore::new(MAX_PLAYERS));
        Self {
            edge,
            live,
            registry,
            metrics,
            admin,
            sockets,
            players,
            closing,
        }
    }
}

pub(super) fn router(shared: Shared) -> Router {
    Router::new()
        .merge(page::routes())
        .merge(kurento::routes(&shared))
        .merge(whip::routes())
        .merge(flv::routes())
        .merge(hls::routes())
        .merge(admin::routes(&shared))
        .route("/healthz", get(metrics::health))
        .route("/metrics", get(metrics::show))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(shared.clone(), limit_time))
        .layer(from_fn_with_state(shared.clone(), metrics::count))
        .with_state(shared)
}

async fn unknown(request: Request) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", request.uri().path()))
}

async fn wrong_method(request: Request) -> ApiError {
    let message = format!(
        "{} is not served at {}; see the Allow header",
        request.method(),
        request.uri().path()
    );
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// Ends requests whose body trickles in, or that the edge does not answer.
async fn limit_time(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
        Ok(response) => {
            if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
                shared.metrics.reject(Rejected::BodyTooLarge);
            }
            response
        }
        Err(_) => {
            shared.metrics.reject(Rejected::Timeout);
            let message = format!("no answer within {} s", TIME_LIMIT.as_secs());
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
        }
    }
}
