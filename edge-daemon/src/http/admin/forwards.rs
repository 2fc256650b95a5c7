//! Where a participant's RTP is sent on to.

use super::UserPath;
use crate::handle::{EdgeError, NewForward};
use crate::http::error::{ApiError, ErrorBody};
use crate::http::routes::Shared;
use crate::view::ForwardView;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use lianmai_mixer_control::ForwardId;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use utoipa::ToSchema;

/// How often a host is asked for a key frame if nothing was said.
const KEY_FRAME_SECONDS: u32 = 5;

/// For the look-up of a name.
const LOOK_UP: Duration = Duration::from_secs(3);

type ForwardPath = Result<Path<(String, String, u32)>, PathRejection>;

/// One more place for a participant's RTP.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForwardRequest {
    /// An address, or a name, which is looked up once.
    host: String,
    /// Even; RTCP goes to the port after it. Without it audio is not sent.
    audio_port: Option<u16>,
    /// The same for video.
    video_port: Option<u16>,
    /// How often the participant is asked for a key frame, for receivers that begin late or lost packets: 5; 0 asks once.
    key_frame_seconds: Option<u32>,
}

impl ForwardRequest {
    async fn resolve(self) -> Result<NewForward, ApiError> {
        let forward = NewForward {
            address: address_of(&self.host).await?,
            audio_port: self.audio_port,
            video_port: self.video_port,
            key_frame_seconds: self.key_frame_seconds.unwrap_or(KEY_FRAME_SECONDS),
        };
        // First what is wrong in itself: the kernel's words for it would not say what.
        forward.check().map_err(EdgeError::from)?;
        must_be_reachable(&forward)?;
        Ok(forward)
    }
}

async fn address_of(host: &str) -> Result<IpAddr, ApiError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    let looked_up = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host, 0))).await;
    let found = looked_up
        .ok()
        .and_then(Result::ok)
        .and_then(|mut found| found.next());
    found.map(|found| found.ip().to_canonical()).ok_or_else(|| {
        unprocessable(
            "bad_host",
            format!("host: {host:?} is no address and no name that is known"),
        )
    })
}

/// What the kernel refuses a mixer, it refuses here too: no route, the broadcast address of a subnet.
fn must_be_reachable(new: &NewForward) -> Result<(), ApiError> {
    let port = new.video_port.or(new.audio_port).unwrap_or(1);
    let any: IpAddr = match new.address {
        IpAddr::V4(_) => [0; 4].into(),
        IpAddr::V6(_) => [0; 16].into(),
    };
    let to = SocketAddr::new(new.address, port);
    UdpSocket::bind((any, 0))
        .and_then(|socket| socket.connect(to))
        .map_err(|error| {
            unprocessable(
                "bad_host",
                format!("host: nothing can be sent to {}: {error}", new.address),
            )
        })
}

fn unprocessable(code: &'static str, message: String) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
}

/// Where a participant's RTP is sent on to.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/participants/{user}/forwards",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    responses(
        (status = 200, body = Vec<ForwardView>),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant")
    )
)]
pub(super) async fn list(
    State(shared): State<Shared>,
    path: UserPath,
) -> Result<Json<Vec<ForwardView>>, ApiError> {
    let Path((room, user)) = path?;
    Ok(Json(shared.edge.forwards(room, user).await?))
}

/// Send a participant's RTP, in the clear and as it came, to one more place; whenever it publishes, until the room closes.
#[utoipa::path(
    post,
    path = "/api/v1/rooms/{room}/participants/{user}/forwards",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name")
    ),
    request_body = ForwardRequest,
    responses(
        (status = 201, body = ForwardView),
        (status = 404, body = ErrorBody<'_>, description = "No such room or participant"),
        (status = 409, body = ErrorBody<'_>, description = "The room has as many as it may"),
        (status = 422, body = ErrorBody<'_>, description = "Not the address of one machine, or a port that RTP cannot use")
    )
)]
pub(super) async fn add(
    State(shared): State<Shared>,
    path: UserPath,
    body: Result<Json<ForwardRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<ForwardView>), ApiError> {
    let Path((room, user)) = path?;
    let new = body?.0.resolve().await?;
    let forward = shared.edge.add_forward(room, user, new).await?;
    Ok((StatusCode::CREATED, Json(forward)))
}

/// Send a participant's RTP there no longer.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/participants/{user}/forwards/{forward}",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name"),
        ("forward" = u32, Path, description = "The forward's id")
    ),
    responses(
        (status = 204, description = "Done"),
        (status = 404, body = ErrorBody<'_>, description = "No such forward")
    )
)]
pub(super) async fn remove(State(shared): State<Shared>, path: ForwardPath) -> Result<StatusCode, ApiError> {
    let Path((room, user, id)) = path?;
    shared.edge.remove_forward(room, user, ForwardId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The SDP file (RFC 8866) of a forward. Payload types are the publisher's: fetch it again when it publishes anew.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/participants/{user}/forwards/{forward}/stream.sdp",
    params(
        ("room" = String, Path, description = "The room's name"),
        ("user" = String, Path, description = "The participant's name"),
        ("forward" = u32, Path, description = "The forward's id")
    ),
    responses(
        (status = 200, content_type = "application/sdp", description = "The file"),
        (status = 404, body = ErrorBody<'_>, description = "No such room, participant or forward"),
        (status = 409, body = ErrorBody<'_>, description = "The participant publishes nothing that is sent on")
    )
)]
pub(super) async fn describe(State(shared): State<Shared>, path: ForwardPath) -> Result<Response, ApiError> {
    let Path((room, user, id)) = path?;
    let text = shared.edge.describe_forward(room, user, ForwardId(id)).await?;
    Ok(([(CONTENT_TYPE, "application/sdp")], text).into_response())
}
