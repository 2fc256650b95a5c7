//! The helpers beside the WebSocket that clients of kurento-room ask for by plain GET requests.

use super::admin;
use super::error::ApiError;
use super::routes::Shared;
use super::socket;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

pub(super) fn routes(shared: &Shared) -> Router<Shared> {
    let close = get(close).layer(from_fn_with_state(shared.clone(), admin::guard));
    Router::new()
        .route("/room", get(socket::upgrade))
        .route("/getAllRooms", get(all_rooms))
        .route("/getUpdateSpeakerInterval", get(async || Json(1800)))
        .route("/getThresholdSpeaker", get(async || Json(-50)))
        .route("/getClientConfig", get(client_config))
        .route("/close", close)
}

async fn all_rooms(State(shared): State<Shared>) -> Result<Json<Vec<String>>, ApiError> {
    Ok(Json(
        shared
            .edge
            .rooms()
            .await?
            .into_iter()
            .map(|room| room.name)
            .collect(),
    ))
}

/// What the demo page of kurento-room asks for at its start.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    loopback_remote: bool,
    loopback_and_local: bool,
    filter_request_param: &'static str,
}

async fn client_config() -> Json<ClientConfig> {
    Json(ClientConfig {
        loopback_remote: false,
        loopback_and_local: false,
        filter_request_param: "hat",
    })
}

#[derive(Deserialize)]
struct CloseQuery {
    room: String,
}

async fn close(
    State(shared): State<Shared>,
    headers: HeaderMap,
    query: Result<Query<CloseQuery>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    // The protocol made this a GET, so that a link on any page could close rooms: refuse what another site caused.
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "rooms are not closed by links of other sites",
        ));
    }
    shared.edge.close_room(query?.0.room).await?;
    Ok(StatusCode::OK)
}

#[cfg(test)]
mod tests;
