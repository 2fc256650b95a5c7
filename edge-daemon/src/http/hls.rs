//! The mixed stream of a room as HLS: a list that changes, and segments that do not.

use super::error::ApiError;
use super::routes::Shared;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use lianmai_origin::{HlsError, HlsFile};

/// A list is good until the next segment comes, and whoever keeps it has to ask whether it still is.
const LIST_CACHE: &str = "no-cache";

/// A segment never changes, and its number is never used again.
const SEGMENT_CACHE: &str = "public, max-age=3600, immutable";

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/live/{room}/{file}", get(serve))
}

async fn serve(
    State(shared): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path((room, name)) = path?;
    let Some(file) = HlsFile::named(&name) else {
        return Err(ApiError::not_found("HLS begins at /live/{room}/index.m3u8"));
    };
    let bytes = shared.live.hls(room.clone(), file).await;
    let bytes = bytes.map_err(|error| refused(&error, &room))?;
    let (kind, cache) = match file {
        HlsFile::Playlist => ("application/vnd.apple.mpegurl", LIST_CACHE),
        HlsFile::Map(_) | HlsFile::Segment(_) => ("video/mp4", SEGMENT_CACHE),
    };
    // Players of other sites may read it: a live stream is public to whoever knows the room.
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, cache),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, bytes).into_response())
}

fn refused(error: &HlsError, room: &str) -> ApiError {
    let message = format!("{room:?}: {error}");
    match error {
        HlsError::NotFound => ApiError::not_found(message).retry_after(2),
        HlsError::NotYet => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_yet", message).retry_after(1),
        HlsError::TooMany => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "limit_reached", message).retry_after(5)
        }
        HlsError::Unsupported(_) => {
            ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_codec", message)
        }
    }
}
