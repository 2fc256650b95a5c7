//! What is done to a participant's pictures before they are mixed, changed while it goes on.

use super::UserPath;
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lianmai_mixer_control::filter::Filters;

/// What is done to a participant's pictures before they are mixed, in this order.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/participants/{user}/filters",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    responses(
        (status = 200, body = Filters),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant")
    )
)]
pub(super) async fn show(State(shared): State<Shared>, path: UserPath) -> Result<Json<Filters>, ApiError> {
    let Path((room, user)) = path?;
    Ok(Json(shared.edge.filters(room, user).await?))
}

/// Change all of it; an empty list shows pictures as they come. It holds for this name until the room closes.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/participants/{user}/filters",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    request_body = Filters,
    responses(
        (status = 204, description = "Done, from the next picture on"),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant"),
        (status = 409, body = ErrorBody<'_>, description = "The room has filters for as many names as it may"),
        (status = 422, body = ErrorBody<'_>, description = "They cannot be run; the message says why")
    )
)]
pub(super) async fn change(
    State(shared): State<Shared>,
    path: UserPath,
    body: Result<Json<Filters>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((room, user)) = path?;
    shared.edge.set_filters(room, user, body?.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
