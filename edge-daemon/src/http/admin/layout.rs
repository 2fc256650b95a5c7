//! What a room looks like in the mix, changed while it goes on.

use super::RoomPath;
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lianmai_mixer_control::scene::Scene;

/// What the room looks like in the mix.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/layout",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 200, body = Scene),
        (status = 404, body = ErrorBody<'_>, description = "No such room")
    )
)]
pub(super) async fn show(State(shared): State<Shared>, path: RoomPath) -> Result<Json<Scene>, ApiError> {
    let Path(room) = path?;
    Ok(Json(*shared.edge.layout(room).await?))
}

/// Change what the room looks like in the mix, all of it: what is left out gets its default. It holds until the room closes.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/layout",
    params(("room" = String, Path, description = "The room's name")),
    request_body = Scene,
    responses(
        (status = 204, description = "The next picture of the mix begins to change"),
        (status = 404, body = ErrorBody<'_>, description = "No such room"),
        (status = 422, body = ErrorBody<'_>, description = "It cannot be shown; the message says why")
    )
)]
pub(super) async fn change(
    State(shared): State<Shared>,
    path: RoomPath,
    body: Result<Json<Scene>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Path(room) = path?;
    shared.edge.set_layout(room, Box::new(body?.0)).await?;
    Ok(StatusCode::NO_CONTENT)
}
