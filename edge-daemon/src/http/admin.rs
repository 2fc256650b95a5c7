//! The admin API under `/api/v1`: look into rooms, mute, kick, close, change layouts and volumes,
//! publish and record, take snapshots, send RTP on. Described by an OpenAPI document that is made
//! from this file.

mod filters;
mod forwards;
mod layout;
mod recording;
mod snapshots;
mod targets;
mod volume;

use super::AdminAccess;
use super::error::{ApiError, ErrorBody, ErrorDetail};
use super::metrics::Rejected;
use super::page;
use super::routes::Shared;
use crate::view::{
    FlowView, ForwardView, LegView, MixerView, ParticipantView, RecordingView, RoomRecordingView, RoomView,
    StatsView, StreamView, TargetView, TrackView, TransitView,
};
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use forwards::ForwardRequest;
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::scene::Scene;
use recording::RecordRequest;
use serde::Deserialize;
use std::net::SocketAddr;
use targets::TargetRequest;
use utoipa::{OpenApi, ToSchema};
use volume::VolumeRequest;

pub(super) fn routes(shared: &Shared) -> Router<Shared> {
    let guarded = Router::new()
        .route("/api/v1/rooms", get(rooms))
        .route("/api/v1/rooms/{room}", get(room).delete(close))
        .route("/api/v1/rooms/{room}/mixer", get(mixer))
        .route(
            "/api/v1/rooms/{room}/layout",
            get(layout::show).put(layout::change),
        )
        .route("/api/v1/rooms/{room}/participants/{user}", delete(kick))
        .route("/api/v1/rooms/{room}/participants/{user}/mute", put(mute))
        .route(
            "/api/v1/rooms/{room}/targets",
            get(targets::list).post(targets::add),
        )
        .route("/api/v1/rooms/{room}/targets/{target}", delete(targets::remove))
        .route(
            "/api/v1/rooms/{room}/participants/{user}/volume",
            put(volume::change),
        )
        .route(
            "/api/v1/rooms/{room}/recording",
            get(recording::show)
                .put(recording::change)
                .delete(recording::stop),
        )
        .route("/api/v1/stats", get(stats))
        .route("/api/v1/rooms/{room}/snapshot.jpg", get(snapshots::of_mix))
        .route(
            "/api/v1/rooms/{room}/participants/{user}/snapshot.jpg",
            get(snapshots::of_participant),
        )
        .route(
            "/api/v1/rooms/{room}/participants/{user}/forwards",
            get(forwards::list).post(forwards::add),
        )
        .route(
            "/api/v1/rooms/{room}/participants/{user}/forwards/{forward}",
            delete(forwards::remove),
        )
        .route(
            "/api/v1/rooms/{room}/participants/{user}/forwards/{forward}/stream.sdp",
            get(forwards::describe),
        )
        .route(
            "/api/v1/rooms/{room}/participants/{user}/filters",
            get(filters::show).put(filters::change),
        )
        .layer(from_fn_with_state(shared.clone(), guard));
    Router::new()
        .route("/api/v1/", get(page::api))
        .route("/api/v1/openapi.json", get(async || Json(Document::openapi())))
        .merge(guarded)
}

/// Lets through who may use the admin API.
pub(super) async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip().to_canonical());
    let allowed = match shared.admin {
        AdminAccess::Anyone => true,
        AdminAccess::Loopback => peer.is_some_and(|ip| ip.is_loopback()),
    };
    if allowed {
        return next.run(request).await;
    }
    shared.metrics.reject(Rejected::AdminForbidden);
    let message = "the admin API is open to loopback addresses only";
    ApiError::new(StatusCode::FORBIDDEN, "loopback_only", message).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Lianmai edge", description = "Look into rooms, mute, kick and close; publish and record."),
    paths(rooms, room, close, mixer, layout::show, layout::change, kick, mute, targets::list, targets::add, targets::remove, volume::change, stats, recording::show, recording::change, recording::stop, snapshots::of_mix, snapshots::of_participant, forwards::list, forwards::add, forwards::remove, forwards::describe, filters::show, filters::change),
    components(schemas(
        ErrorBody<'_>,
        ErrorDetail<'_>,
        Filters,
        FlowView,
        ForwardRequest,
        ForwardView,
        LegView,
        MixerView,
        MuteRequest,
        ParticipantView,
        RecordRequest,
        RecordingView,
        RoomRecordingView,
        RoomView,
        Scene,
        StatsView,
        StreamView,
        TargetRequest,
        TargetView,
        TrackView,
        TransitView,
        VolumeRequest
    ))
)]
struct Document;

type RoomPath = Result<Path<String>, PathRejection>;
type UserPath = Result<Path<(String, String)>, PathRejection>;

/// Every room with its participants, streams and mixer.
#[utoipa::path(get, path = "/api/v1/rooms", responses((status = 200, body = Vec<RoomView>)))]
async fn rooms(State(shared): State<Shared>) -> Result<Json<Vec<RoomView>>, ApiError> {
    Ok(Json(shared.edge.rooms().await?))
}

/// One room.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}",
    params(("room" = String, Path, description = "The room's name")),
    responses((status = 200, body = RoomView), (status = 404, body = ErrorBody<'_>, description = "No such room"))
)]
async fn room(State(shared): State<Shared>, path: RoomPath) -> Result<Json<RoomView>, ApiError> {
    find(&shared, &path?.0).await.map(Json)
}

/// Close a room: everybody in it is evicted.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 204, description = "Closed"),
        (status = 404, body = ErrorBody<'_>, description = "No such room")
    )
)]
async fn close(State(shared): State<Shared>, path: RoomPath) -> Result<StatusCode, ApiError> {
    shared.edge.close_room(path?.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The room's mixer: its process, where it publishes, what it measured.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/mixer",
    params(("room" = String, Path, description = "The room's name")),
    responses(
        (status = 200, body = MixerView),
        (status = 404, body = ErrorBody<'_>, description = "No such room, or nobody publishes in it")
    )
)]
async fn mixer(State(shared): State<Shared>, path: RoomPath) -> Result<Json<MixerView>, ApiError> {
    let Path(name) = path?;
    let room = find(&shared, &name).await?;
    room.mixer
        .map(Json)
        .ok_or_else(|| ApiError::not_found(format!("room {name:?} has no mixer")))
}

/// Evict a participant.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/participants/{user}",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    responses(
        (status = 204, description = "Evicted"),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant")
    )
)]
async fn kick(State(shared): State<Shared>, path: UserPath) -> Result<StatusCode, ApiError> {
    let Path((room, user)) = path?;
    shared.edge.kick(room, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is taken out of the mix.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MuteRequest {
    /// `true` takes the sound out of the mix, `false` brings it back.
    audio: bool,
}

/// Take a participant's sound out of the mix, or bring it back. The other participants still hear it.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/participants/{user}/mute",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    request_body = MuteRequest,
    responses(
        (status = 204, description = "Done"),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant")
    )
)]
async fn mute(
    State(shared): State<Shared>,
    path: UserPath,
    body: Result<Json<MuteRequest>, JsonRejection>,
) -> Result<StatusCode, ApiError> {
    let Path((room, user)) = path?;
    shared.edge.mute(room, user, body?.0.audio).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Totals of the edge and the time that packets spend in it.
#[utoipa::path(get, path = "/api/v1/stats", responses((status = 200, body = StatsView)))]
async fn stats(State(shared): State<Shared>) -> Result<Json<StatsView>, ApiError> {
    Ok(Json(shared.edge.stats().await?))
}

async fn find(shared: &Shared, name: &str) -> Result<RoomView, ApiError> {
    let room = shared
        .edge
        .rooms()
        .await?
        .into_iter()
        .find(|room| room.name == name);
    room.ok_or_else(|| ApiError::not_found(format!("there is no room {name:?}")))
}

#[cfg(test)]
mod tests;
