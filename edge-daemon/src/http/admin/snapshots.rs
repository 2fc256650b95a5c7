//! Pictures of what hosts and viewers see, on demand.

use super::{RoomPath, UserPath};
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use crate::snapshots::Snapshot;
use axum::extract::{Path, State};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

/// When the picture was decoded or composed, in milliseconds since 1970.
const TAKEN: HeaderName = HeaderName::from_static("lianmai-taken-ms");

/// No page of another site shows what was taken for an operator.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

impl IntoResponse for Snapshot {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "image/jpeg".to_owned()),
            (CACHE_CONTROL, "no-store".to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (RESOURCE_POLICY, "same-origin".to_owned()),
            (TAKEN, self.header.taken_ms.to_string()),
        ];
        (headers, self.jpeg).into_response()
    }
}

/// The mix as it is now, as JPEG.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/snapshot.jpg",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 200, content_type = "image/jpeg", description = "The picture; `lianmai-taken-ms` says when it was composed"),
        (status = 404, body = ErrorBody<'_>, description = "No such room"),
        (status = 409, body = ErrorBody<'_>, description = "Nobody mixes the room; the message says what to do"),
        (status = 503, body = ErrorBody<'_>, description = "Ask again in a second")
    )
)]
pub(super) async fn of_mix(State(shared): State<Shared>, path: RoomPath) -> Result<Snapshot, ApiError> {
    let Path(room) = path?;
    Ok(shared.edge.snapshot(room, None).await?)
}

/// What a participant shows, as JPEG: its next key frame, which it is asked for, or after 2 s its last picture.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/participants/{user}/snapshot.jpg",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    responses(
        (status = 200, content_type = "image/jpeg", description = "The picture, upright; `lianmai-taken-ms` says when it was decoded"),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant"),
        (status = 409, body = ErrorBody<'_>, description = "It shows nothing, or nobody mixes the room; the message says which"),
        (status = 503, body = ErrorBody<'_>, description = "Ask again in a second")
    )
)]
pub(super) async fn of_participant(
    State(shared): State<Shared>,
    path: UserPath,
) -> Result<Snapshot, ApiError> {
    let Path((room, user)) = path?;
    Ok(shared.edge.snapshot(room, Some(user)).await?)
}
