//! WHIP (RFC 9725) to publish and WHEP (draft-ietf-wish-whep) to receive: an SDP offer in a POST makes a session with
//! a URL of its own; PATCH trickles candidates or restarts ICE, DELETE ends it. The two differ in one call to the edge.

use super::error::ApiError;
use super::routes::Shared;
use crate::handle::{EdgeError, Patched, Resource};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{patch, post};
use lianmai_room::{ResourceError, ResourceId};

const SDP: &str = "application/sdp";
/// RFC 8840 §9.
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
/// Seconds after which a player may ask again for somebody who does not publish yet.
const NOT_LIVE_RETRY: u16 = 2;

pub(super) fn routes() -> Router<Shared> {
    // GET, HEAD and PUT answer 405: they are reserved for later versions (RFC 9725 §4.1).
    Router::new()
        .route("/whip/{room}/{user}", post(publish).options(endpoint_options))
        .route("/whep/{room}/{user}", post(subscribe).options(endpoint_options))
        .route(
            "/whip/{room}/{user}/{session}",
            patch(change).delete(end).options(session_options),
        )
        .route(
            "/whep/{room}/{user}/{session}",
            patch(change).delete(end).options(session_options),
        )
        .layer(map_response(any_origin))
}

type Body = Result<Bytes, BytesRejection>;
type EndpointPath = Result<Path<(String, String)>, PathRejection>;
type SessionPath = Result<Path<(String, String, String)>, PathRejection>;

/// RFC 9725 §4.2.
async fn publish(
    State(shared): State<Shared>,
    path: EndpointPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Path((room, user)) = path?;
    let offer = offer(&headers, body)?;
    let session = shared
        .edge
        .whip_publish(room.clone(), user.clone(), offer)
        .await?;
    Ok(created("whip", &room, &user, session))
}

/// draft-ietf-wish-whep, "Playback session setup".
async fn subscribe(
    State(shared): State<Shared>,
    path: EndpointPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Path((room, user)) = path?;
    let offer = offer(&headers, body)?;
    match shared
        .edge
        .whep_subscribe(room.clone(), user.clone(), offer)
        .await
    {
        Ok(session) => Ok(created("whep", &room, &user, session)),
        Err(error) => Err(not_live(error)),
    }
}

/// A player that comes before the publisher gets 409 and the time to come back (draft-ietf-wish-whep, "Session
/// Management"), whether the room, the user or only the stream is missing.
fn not_live(error: EdgeError) -> ApiError {
    use lianmai_room::RoomError::{NotStreaming, RoomNotFound, UserNotFound};
    let missing = matches!(
        error,
        EdgeError::Room(NotStreaming { .. } | RoomNotFound { .. } | UserNotFound { .. })
    );
    let refusal = ApiError::from(error);
    if missing {
        refusal
            .with_status(StatusCode::CONFLICT)
            .retry_after(NOT_LIVE_RETRY)
    } else {
        refusal
    }
}

/// RFC 9725 §4.3.
async fn change(
    State(shared): State<Shared>,
    path: SessionPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let session = session(path)?;
    require_type(&headers, FRAGMENT)?;
    let tag = if_match(&headers)?;
    let fragment = text(body?)?;
    Ok(match shared.edge.patch(session, Some(tag), fragment).await? {
        // §4.3.2: no body and no ETag.
        Patched::Trickled => StatusCode::NO_CONTENT.into_response(),
        // §4.3.3
        Patched::Restarted { fragment, etag } => (
            StatusCode::OK,
            [(CONTENT_TYPE, FRAGMENT.to_owned()), (ETAG, quoted(&etag))],
            fragment,
        )
            .into_response(),
    })
}

/// RFC 9725 §4.2. An If-Match header is ignored here (§4.3.1).
async fn end(State(shared): State<Shared>, path: SessionPath) -> Result<StatusCode, ApiError> {
    shared.edge.delete(session(path)?).await?;
    Ok(StatusCode::OK)
}

/// RFC 9725 §4.2: answers to OPTIONS name the media type that POST takes.
async fn endpoint_options() -> Response {
    preflight("POST, OPTIONS", [(ACCEPT_POST, SDP)])
}

async fn session_options() -> Response {
    preflight("PATCH, DELETE, OPTIONS", [(ACCEPT_PATCH, FRAGMENT)])
}

fn preflight(methods: &'static str, accepts: [(HeaderName, &'static str); 1]) -> Response {
    let cors = [
        (ALLOW, methods),
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Content-Type, If-Match, Authorization",
        ),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::OK, accepts, cors).into_response()
}

/// Players and encoders run in pages of any origin; nothing here depends on cookies.
async fn any_origin(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed = HeaderValue::from_static("Location, ETag, Link, Accept-Patch, Retry-After");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

fn created(protocol: &str, room: &str, user: &str, session: Resource) -> Response {
    let location = format!("/{protocol}/{}/{}/{}", segment(room), segment(user), session.id);
    let headers = [
        (CONTENT_TYPE, SDP.to_owned()),
        (LOCATION, location),
        (ETAG, quoted(&session.etag)),
        (ACCEPT_PATCH, FRAGMENT.to_owned()),
    ];
    (StatusCode::CREATED, headers, session.answer).into_response()
}

fn offer(headers: &HeaderMap, body: Body) -> Result<String, ApiError> {
    require_type(headers, SDP)?;
    require_accept(headers)?;
    text(body?)
}

fn text(body: Bytes) -> Result<String, ApiError> {
    String::from_utf8(body.into())
        .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "bad_sdp", "the body is not UTF-8 text"))
}

/// RFC 9725 §4.2 and §4.3.1: another type is refused with a 4xx answer; 415 says which header is wrong.
fn require_type(headers: &HeaderMap, expected: &'static str) -> Result<(), ApiError> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let message = format!("Content-Type is {given:?}, send {expected}");
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
    ))
}

/// RFC 9110 §12.5.1: an absent Accept means anything.
fn require_accept(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut values = headers.get_all(ACCEPT).iter().peekable();
    let absent = values.peek().is_none();
    let mut ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    if absent || ranges.any(takes_sdp) {
        return Ok(());
    }
    let message = format!("Accept excludes {SDP}, which is what an offer is answered with");
    Err(ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        message,
    ))
}

fn takes_sdp(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    // "q=0" means "not acceptable" (RFC 9110 §12.4.2).
    let refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32)));
    [SDP, "application/*", "*/*"].contains(&media.as_str()) && !refused
}

/// RFC 9725 §4.3.1: a PATCH names the ICE session that it is for, or `*` to restart; without it 428 (RFC 6585 §3).
/// Whether it is the current one, the rooms know.
fn if_match(headers: &HeaderMap) -> Result<String, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else {
        let message = "send If-Match with the session's entity tag, or * to restart ICE";
        return Err(ApiError::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            message,
        ));
    };
    Ok(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn session(path: SessionPath) -> Result<ResourceId, ApiError> {
    let Path((_room, _user, id)) = path?;
    id.parse()
        .map_err(|_| EdgeError::Resource(ResourceError::NotFound).into())
}

fn quoted(tag: &str) -> String {
    format!("\"{tag}\"")
}

/// RFC 3986 §3.3: what is not unreserved is percent-encoded.
fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
