//! Where a room's mix is published to, changed while it goes on.

use super::RoomPath;
use crate::handle::NewTarget;
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use crate::view::TargetView;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use lianmai_mixer_control::{TagNames, TargetId, TargetOptions, TargetUrl, WhenFull};
use serde::Deserialize;
use utoipa::ToSchema;

/// One more place. What is left out is as for the targets of the configuration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetRequest {
    /// `rtmp[s]://host[:port]/app/stream`; `{room}` is replaced.
    #[schema(value_type = String)]
    url: TargetUrl,
    /// The wait after the first failure in milliseconds, doubled after each further one in a row: 200.
    retry_ms: Option<u32>,
    /// The longest wait in milliseconds: 10000.
    retry_max_ms: Option<u32>,
    /// Failures in a row after which it is given up; never if absent.
    retries: Option<u32>,
    /// How much of the stream waits for a slow target, in milliseconds: 5000.
    cache_ms: Option<u32>,
    /// When more would have to wait: `drop` (whole groups of pictures are left out, oldest first) or `reconnect`.
    #[schema(value_type = Option<String>)]
    when_full: Option<WhenFull>,
    /// How long it is left alone, at the least, after a stream that it had accepted ended, in milliseconds: 0.
    restart_delay_ms: Option<u32>,
    /// How codecs are named: `legacy`, `enhanced` (by FourCC, as in Enhanced RTMP) or `auto`: legacy if all codecs of the mix have
    /// a name there.
    #[schema(value_type = Option<String>)]
    tags: Option<TagNames>,
}

impl From<TargetRequest> for NewTarget {
    fn from(request: TargetRequest) -> Self {
        let usual = TargetOptions::default();
        Self {
            url: request.url,
            options: TargetOptions {
                retry_ms: request.retry_ms.unwrap_or(usual.retry_ms),
                retry_max_ms: request.retry_max_ms.unwrap_or(usual.retry_max_ms),
                retries: request.retries,
                cache_ms: request.cache_ms.unwrap_or(usual.cache_ms),
                when_full: request.when_full.unwrap_or(usual.when_full),
                restart_delay_ms: request.restart_delay_ms.unwrap_or(usual.restart_delay_ms),
                tags: request.tags.unwrap_or(usual.tags),
            },
        }
    }
}

/// Where a room's mix is published to, without the streams' names.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/targets",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 200, body = Vec<TargetView>),
        (status = 404, body = ErrorBody<'_>, description = "No such room")
    )
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    path: RoomPath,
) -> Result<Json<Vec<TargetView>>, ApiError> {
    Ok(Json(shared.edge.targets(path?.0).await?))
}

/// Publish the room's mix to one more place, at once and without a gap for the others.
#[utoipa::path(
    post,
    path = "/api/v1/rooms/{room}/targets",
    params(("room" = String, Path, description = "The room's name")),
    request_body = TargetRequest,
    responses(
        (status = 201, body = TargetView),
        (status = 404, body = ErrorBody<'_>, description = "No such room"),
        (status = 409, body = ErrorBody<'_>, description = "The room has as many as it may"),
        (status = 422, body = ErrorBody<'_>, description = "No place to publish to, or an option out of its bounds")
    )
)]
pub(super) async fn add(
    State(shared): State<Shared>,
    path: RoomPath,
    body: Result<Json<TargetRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<TargetView>), ApiError> {
    let Path(room) = path?;
    let target = shared.edge.add_target(room, body?.0.into()).await?;
    Ok((StatusCode::CREATED, Json(target)))
}

/// Publish the room's mix there no longer. The stream is ended in order.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/targets/{target}",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("target" = u32, Path, description = "The target's id")
    ),
    responses(
        (status = 204, description = "Done"),
        (status = 404, body = ErrorBody<'_>, description = "No such room or target")
    )
)]
pub(super) async fn remove(
    State(shared): State<Shared>,
    path: Result<Path<(String, u32)>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((room, id)) = path?;
    shared.edge.remove_target(room, TargetId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
