//! Every refusal looks alike: a status and `{"error": {"code", "message"}}`.

use super::routes::MAX_BODY;
use crate::edge::{FilterError, ForwardError, RecordError, TargetError};
use crate::handle::EdgeError;
use crate::snapshots::SnapshotError;
use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lianmai_mixer_control::NoSnapshot;
use lianmai_room::{MediaError, ResourceError, RoomError};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// What a refused request is told.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    retry_after: Option<u16>,
}

/// The body of a refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail<'a> {
    /// For programs; stays the same when the message is reworded.
    code: &'a str,
    /// For people.
    message: &'a str,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Asks the client to come back after so many seconds (RFC 9110 §10.2.3).
    pub(super) fn retry_after(mut self, seconds: u16) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: &self.message,
            },
        });
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<EdgeError> for ApiError {
    fn from(error: EdgeError) -> Self {
        let (status, code) = match &error {
            EdgeError::Room(refused) => of_room(refused),
            EdgeError::Resource(ResourceError::NotFound) => (StatusCode::NOT_FOUND, "no_such_session"),
            EdgeError::Resource(ResourceError::EtagMismatch { .. }) => {
                (StatusCode::PRECONDITION_FAILED, "etag_mismatch")
            }
            EdgeError::Resource(ResourceError::Media(refused)) => of_media(refused),
            EdgeError::Target(refused) => of_target(refused),
            EdgeError::Record(RecordError::NoDirectory) => (StatusCode::CONFLICT, "no_directory"),
            EdgeError::Snapshot(refused) => of_snapshot(refused),
            EdgeError::Forward(refused) => of_forward(refused),
            EdgeError::Filter(FilterError::Room(refused)) => of_room(refused),
            EdgeError::Filter(FilterError::Filters(_)) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_filter"),
            EdgeError::Filter(FilterError::TooMany(_)) => (StatusCode::CONFLICT, "limit_reached"),
            EdgeError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        };
        let told = Self::new(status, code, error.to_string());
        match code {
            // Within a second there may be a snapshot.
            "busy" | "mixer_starting" => told.retry_after(1),
            _ => told,
        }
    }
}

/// A WebSocket gets the number of `RoomException.Code`; HTTP has its own words for the same things.
fn of_room(error: &RoomError) -> (StatusCode, &'static str) {
    match error {
        RoomError::UserName(_) | RoomError::RoomName(_) => (StatusCode::BAD_REQUEST, "bad_name"),
        RoomError::UserNotFound { .. } | RoomError::NotJoined => (StatusCode::NOT_FOUND, "user_not_found"),
        RoomError::RoomNotFound { .. } => (StatusCode::NOT_FOUND, "room_not_found"),
        RoomError::ForeignUser { .. } | RoomError::ForeignRoom { .. } => {
            (StatusCode::FORBIDDEN, "foreign_name")
        }
        RoomError::UserClosed { .. } => (StatusCode::CONFLICT, "user_closed"),
        RoomError::UserExists { .. } | RoomError::AlreadyJoined { .. } => {
            (StatusCode::CONFLICT, "user_exists")
        }
        RoomError::NotStreaming { .. } | RoomError::SelfSubscription => {
            (StatusCode::CONFLICT, "not_streaming")
        }
        RoomError::AlreadyPublishing { .. } => (StatusCode::CONFLICT, "already_publishing"),
        RoomError::RoomClosed { .. } => (StatusCode::SERVICE_UNAVAILABLE, "room_closed"),
        RoomError::TooManyRooms { .. } | RoomError::RoomFull { .. } | RoomError::TooManyResources { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "limit_reached")
        }
        RoomError::TooManyCandidates { .. } | RoomError::ChatTooLong { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "too_much")
        }
        RoomError::Scene(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_layout"),
        RoomError::Media(refused) => of_media(refused),
    }
}

fn of_target(error: &TargetError) -> (StatusCode, &'static str) {
    match error {
        TargetError::NoRoom(_) => (StatusCode::NOT_FOUND, "room_not_found"),
        TargetError::NoTarget { .. } => (StatusCode::NOT_FOUND, "target_not_found"),
        TargetError::Url(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_url"),
        TargetError::Options(_) | TargetError::Codecs(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_option"),
        TargetError::TooMany(_) => (StatusCode::CONFLICT, "limit_reached"),
    }
}

fn of_snapshot(error: &SnapshotError) -> (StatusCode, &'static str) {
    match error {
        SnapshotError::NotMixed(_) => (StatusCode::CONFLICT, "not_mixed"),
        SnapshotError::Starting => (StatusCode::SERVICE_UNAVAILABLE, "mixer_starting"),
        SnapshotError::Waiting | SnapshotError::None(NoSnapshot::Busy) => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        }
        SnapshotError::None(NoSnapshot::NoVideo) => (StatusCode::CONFLICT, "no_video"),
        SnapshotError::None(NoSnapshot::NoPicture) => (StatusCode::CONFLICT, "no_picture"),
        SnapshotError::None(NoSnapshot::Failed) => (StatusCode::INTERNAL_SERVER_ERROR, "snapshot_failed"),
    }
}

fn of_forward(error: &ForwardError) -> (StatusCode, &'static str) {
    match error {
        ForwardError::Room(refused) => of_room(refused),
        ForwardError::NoForward { .. } => (StatusCode::NOT_FOUND, "forward_not_found"),
        ForwardError::Wrong(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_forward"),
        ForwardError::TooMany(_) => (StatusCode::CONFLICT, "limit_reached"),
        ForwardError::NothingToSend(_) => (StatusCode::CONFLICT, "nothing_to_send"),
    }
}

fn of_media(error: &MediaError) -> (StatusCode, &'static str) {
    match error {
        MediaError::Sdp(_) => (StatusCode::BAD_REQUEST, "bad_sdp"),
        MediaError::Endpoint(_) => (StatusCode::SERVICE_UNAVAILABLE, "no_endpoint"),
        MediaError::Missing => (StatusCode::NOT_FOUND, "no_such_session"),
    }
}

/// Whatever was being read, a body over the limit is told the limit.
fn rejected(status: StatusCode, code: &'static str, message: String) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::new(status, "too_large", format!("a body may have {MAX_BODY} bytes"));
    }
    ApiError::new(status, code, message)
}

/// The refusals of axum's own extractors, in our form.
macro_rules! from_rejection {
    ($($rejection:ty => $code:literal),+ $(,)?) => {$(
        impl From<$rejection> for ApiError {
            fn from(rejection: $rejection) -> Self {
                rejected(rejection.status(), $code, rejection.body_text())
            }
        }
    )+};
}

from_rejection! {
    BytesRejection => "bad_body",
    JsonRejection => "bad_json",
    PathRejection => "bad_path",
    QueryRejection => "bad_query",
}
