//! What the server says unasked.

use super::rpc::notification;
use crate::names::{RoomName, UserName};
use crate::negotiator::Candidate;
use serde_json::json;

/// The only stream that a participant has; clients know it by this name.
pub(crate) const STREAM: &str = "webcam";

/// A notification. Java clients insist on every parameter, so all are always sent.
#[derive(Debug)]
pub(crate) enum Notification<'a> {
    ParticipantJoined {
        user: &'a UserName,
    },
    ParticipantPublished {
        user: &'a UserName,
    },
    ParticipantUnpublished {
        user: &'a UserName,
    },
    ParticipantLeft {
        user: &'a UserName,
    },
    ParticipantEvicted,
    SendMessage {
        room: &'a RoomName,
        user: &'a UserName,
        message: &'a str,
    },
    RoomClosed {
        room: &'a RoomName,
    },
    MediaError {
        error: &'a str,
    },
    /// `endpoint` is the receiver's own name for its publishing peer, another's for the peer that receives from it.
    IceCandidate {
        endpoint: &'a UserName,
        candidate: &'a Candidate,
    },
    /// An extension; only for clients that asked for it.
    ActiveSpeaker {
        user: &'a UserName,
        speaking: bool,
        dbov: i16,
    },
}

impl Notification<'_> {
    /// As one text frame.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::ParticipantJoined { user } => {
                notification("participantJoined", json!({ "id": user.as_str() }))
            }
            Self::ParticipantPublished { user } => {
                let params = json!({ "id": user.as_str(), "streams": [{ "id": STREAM }] });
                notification("participantPublished", params)
            }
            Self::ParticipantUnpublished { user } => {
                notification("participantUnpublished", json!({ "name": user.as_str() }))
            }
            Self::ParticipantLeft { user } => {
                notification("participantLeft", json!({ "name": user.as_str() }))
            }
            Self::ParticipantEvicted => notification("participantEvicted", json!({})),
            Self::SendMessage { room, user, message } => {
                let params = json!({ "room": room.as_str(), "user": user.as_str(), "message": message });
                notification("sendMessage", params)
            }
            Self::RoomClosed { room } => notification("roomClosed", json!({ "room": room.as_str() })),
            Self::MediaError { error } => notification("mediaError", json!({ "error": error })),
            Self::IceCandidate { endpoint, candidate } => ice_candidate(endpoint, candidate),
            Self::ActiveSpeaker { user, speaking, dbov } => {
                let params = json!({ "id": user.as_str(), "speaking": speaking, "level": dbov });
                notification("activeSpeaker", params)
            }
        }
    }

    /// What a session without a socket does with it.
    pub(crate) const fn when_detached(&self) -> WhenDetached {
        match self {
            Self::ActiveSpeaker { .. } => WhenDetached::Forget,
            Self::SendMessage { .. } => WhenDetached::KeepSome,
            Self::ParticipantJoined { .. }
            | Self::ParticipantPublished { .. }
            | Self::ParticipantUnpublished { .. }
            | Self::ParticipantLeft { .. }
            | Self::ParticipantEvicted
            | Self::RoomClosed { .. }
            | Self::MediaError { .. }
            | Self::IceCandidate { .. } => WhenDetached::Keep,
        }
    }
}

/// Whether a notification still means something seconds later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenDetached {
    /// Without it the client's picture of the room would be wrong.
    Keep,
    /// Chat may fill half of what is kept, so that it cannot push out the rest.
    KeepSome,
    /// It is about a moment that is over.
    Forget,
}

fn ice_candidate(endpoint: &UserName, candidate: &Candidate) -> String {
    let params = json!({
        "endpointName": endpoint.as_str(),
        "sdpMLineIndex": candidate.sdp_m_line_index,
        "sdpMid": candidate.sdp_mid,
        "candidate": candidate.candidate,
    });
    notification("iceCandidate", params)
}
