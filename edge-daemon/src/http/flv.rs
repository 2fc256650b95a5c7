//! The mixed stream of a room as HTTP-FLV: one answer that does not end while the room is live.

use super::error::ApiError;
use super::metrics::{OpenGuard, Rejected};
use super::routes::Shared;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_core::Stream;
use lianmai_origin::{HlsError, HlsFile};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;

/// An FLV file that goes on while it is live.
pub(crate) type FlvStream = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// A file, once it is there.
pub(crate) type HlsAnswer = Pin<Box<dyn Future<Output = Result<Bytes, HlsError>> + Send>>;

/// Where mixed streams come from.
pub(crate) trait LiveStreams: Send + Sync {
    /// The stream of this name from its next key frame on, headers first; `None` when nobody is live under it.
    fn subscribe(&self, name: &str) -> Option<FlvStream>;
    /// A file of this stream as HLS.
    fn hls(&self, name: String, file: HlsFile) -> HlsAnswer;
}

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/live/{file}", get(play))
}

async fn play(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(file) = path?;
    let Some(room) = file.strip_suffix(".flv") else {
        return Err(ApiError::not_found(
            "streams are at /live/{room}.flv and /live/{room}/index.m3u8",
        ));
    };
    let Ok(place) = Arc::clone(&shared.players).try_acquire_owned() else {
        shared.metrics.reject(Rejected::PlayerLimit);
        let full = ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "limit_reached",
            "too many players are connected",
        );
        return Err(full.retry_after(5));
    };
    let Some(stream) = shared.live.subscribe(room) else {
        return Err(ApiError::not_found(format!("nobody is live in {room:?}")).retry_after(2));
    };
    let player = Player {
        stream,
        _open: shared.metrics.player_opened(),
        _place: place,
    };
    // Players of other sites may read it: a live stream is public to whoever knows the room.
    let headers = [
        (CONTENT_TYPE, "video/x-flv"),
        (CACHE_CONTROL, "no-store"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, Body::from_stream(player)).into_response())
}

/// Holds its place while it is being sent.
struct Player {
    stream: FlvStream,
    _open: OpenGuard,
    _place: OwnedSemaphorePermit,
}

impl Stream for Player {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx).map(|chunk| chunk.map(Ok))
    }
}
