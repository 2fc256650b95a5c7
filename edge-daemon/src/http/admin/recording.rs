//! What of a room is recorded, changed while it goes on.

use super::RoomPath;
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use crate::view::RoomRecordingView;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use lianmai_mixer_control::Record;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is recorded from now on. What is left out is not.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordRequest {
    /// The mix.
    #[serde(default)]
    mix: bool,
    /// Each host, as it comes.
    #[serde(default)]
    hosts: bool,
}

/// What of the room is recorded, and the files of its mixer, the newest last.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/recording",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 200, body = RoomRecordingView),
        (status = 404, body = ErrorBody<'_>, description = "No such room")
    )
)]
pub(super) async fn show(
    State(shared): State<Shared>,
    path: RoomPath,
) -> Result<Json<RoomRecordingView>, ApiError> {
    Ok(Json(shared.edge.recording(path?.0).await?))
}

/// Start and stop recording: the mix, the hosts, both or neither. It holds until the room closes.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/recording",
    params(("room" = String, Path, description = "The room's name")),
    request_body = RecordRequest,
    responses(
        (status = 200, body = RoomRecordingView),
        (status = 404, body = ErrorBody<'_>, description = "No such room"),
        (status = 409, body = ErrorBody<'_>, description = "The edge has no directory for recordings")
    )
)]
pub(super) async fn change(
    State(shared): State<Shared>,
    path: RoomPath,
    body: Result<Json<RecordRequest>, JsonRejection>,
) -> Result<Json<RoomRecordingView>, ApiError> {
    let (room, Json(RecordRequest { mix, hosts })) = (path?.0, body?);
    let record = Record { mix, hosts };
    Ok(Json(shared.edge.set_recording(room, record).await?))
}

/// Stop recording. The files are completed.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/recording",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 204, description = "Nothing of the room is recorded any more"),
        (status = 404, body = ErrorBody<'_>, description = "No such room")
    )
)]
pub(super) async fn stop(State(shared): State<Shared>, path: RoomPath) -> Result<StatusCode, ApiError> {
    shared.edge.set_recording(path?.0, Record::default()).await?;
    Ok(StatusCode::NO_CONTENT)
}
