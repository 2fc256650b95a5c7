//! How loud participants are in the mix.

use super::UserPath;
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lianmai_mixer_control::Volume;
use serde::Deserialize;
use utoipa::ToSchema;

/// How loud a participant is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VolumeRequest {
    /// In percent, 0 to 200; 100 is as it comes, 200 twice the amplitude.
    #[schema(value_type = u16, minimum = 0, maximum = 200)]
    volume: Volume,
}

/// Change how loud a participant is in the mix. The other participants hear it as before.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/participants/{user}/volume",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    request_body = VolumeRequest,
    responses(
        (status = 204, description = "Done"),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant"),
        (status = 409, body = ErrorBody<'_>, description = "It publishes nothing"),
        (status = 422, body = ErrorBody<'_>, description = "No volume from 0 to 200")
    )
)]
pub(super) async fn change(
    State(shared): State<Shared>,
    path: UserPath,
    body: Result<Json<VolumeRequest>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((room, user)) = path?;
    shared.edge.set_volume(room, user, body?.0.volume).await?;
    Ok(StatusCode::NO_CONTENT)
}
