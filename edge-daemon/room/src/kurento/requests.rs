//! The requests of the room API.

use super::params::Params;
use super::rpc::{Call, Failure, INVALID_PARAMS, METHOD_NOT_FOUND, UNCAUGHT};
use crate::negotiator::Candidate;
use lianmai_mixer_control::Volume;
use lianmai_mixer_control::scene::Scene;
use serde::{Deserialize, Serialize};

/// A request with its parameters. Those that the original requires are required, in its order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    JoinRoom(JoinRoom),
    PublishVideo {
        offer: String,
        loopback: bool,
    },
    UnpublishVideo,
    ReceiveVideoFrom {
        sender: String,
        offer: String,
    },
    UnsubscribeFromVideo {
        sender: String,
    },
    OnIceCandidate {
        endpoint: String,
        candidate: Candidate,
    },
    SendMessage {
        user: String,
        room: String,
        message: String,
    },
    LeaveRoom,
    GetLayout,
    SetLayout(Box<Scene>),
    SetVolume {
        user: String,
        volume: Volume,
    },
}

/// The parameters of `joinRoom`. `dataChannels` is accepted and means nothing: the SDP answer refuses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinRoom {
    pub(crate) user: String,
    pub(crate) room: String,
    pub(crate) capabilities: Capabilities,
}

/// Extensions that a client asked for in `joinRoom`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    /// It wants `activeSpeaker` notifications.
    pub(crate) active_speaker: bool,
}

impl Capabilities {
    /// As it stands in `joinRoom`.
    pub(crate) const ACTIVE_SPEAKER: &str = "activeSpeaker";
}

/// A candidate attribute is some 200 bytes; more is nothing to keep.
const MAX_CANDIDATE_BYTES: usize = 2048;

impl Request {
    /// Reads a call of the room API.
    pub(crate) fn read(call: &Call) -> Result<Self, Failure> {
        let params = Params::new(&call.params)?;
        match call.method.as_str() {
            "joinRoom" => join_room(params).map(Self::JoinRoom),
            "publishVideo" => Ok(Self::PublishVideo {
                offer: params.text("sdpOffer")?,
                loopback: params.truth("doLoopback")?,
            }),
            "unpublishVideo" => Ok(Self::UnpublishVideo),
            "receiveVideoFrom" => Ok(Self::ReceiveVideoFrom {
                sender: user_of(params.text("sender")?),
                offer: params.text("sdpOffer")?,
            }),
            "unsubscribeFromVideo" => Ok(Self::UnsubscribeFromVideo {
                sender: user_of(params.text("sender")?),
            }),
            "onIceCandidate" => on_ice_candidate(params),
            "sendMessage" => Ok(Self::SendMessage {
                user: params.text("userMessage")?,
                room: params.text("roomMessage")?,
                message: params.text("message")?,
            }),
            "leaveRoom" => Ok(Self::LeaveRoom),
            "customRequest" => custom_request(params),
            unknown => Err(unknown_method(unknown)),
        }
    }
}

fn join_room(params: Params<'_>) -> Result<JoinRoom, Failure> {
    let (room, user) = (params.text("room")?, params.text("user")?);
    let active_speaker = params
        .texts("capabilities")
        .any(|c| c == Capabilities::ACTIVE_SPEAKER);
    Ok(JoinRoom {
        user,
        room,
        capabilities: Capabilities { active_speaker },
    })
}

fn on_ice_candidate(params: Params<'_>) -> Result<Request, Failure> {
    let endpoint = params.text("endpointName")?;
    let candidate = Candidate {
        candidate: params.text("candidate")?,
        sdp_mid: params.text("sdpMid")?,
        sdp_m_line_index: params.index("sdpMLineIndex")?,
    };
    let bytes = candidate.candidate.len() + candidate.sdp_mid.len();
    if bytes > MAX_CANDIDATE_BYTES {
        let why = format!("The candidate has {bytes} bytes, at most {MAX_CANDIDATE_BYTES} are allowed");
        return Err(Failure::new(INVALID_PARAMS, why));
    }
    Ok(Request::OnIceCandidate { endpoint, candidate })
}

/// Each server gives this method a meaning of its own. What ours gives none, it answers as the stock server.
fn custom_request(params: Params<'_>) -> Result<Request, Failure> {
    match params.optional_text("request") {
        Some("getLayout") => Ok(Request::GetLayout),
        Some("setLayout") => params
            .object("layout")
            .map(|scene| Request::SetLayout(Box::new(scene))),
        Some("setVolume") => Ok(Request::SetVolume {
            user: params.text("user")?,
            volume: Volume::try_from(params.index("volume")?)
                .map_err(|error| Failure::new(INVALID_PARAMS, error.to_string()))?,
        }),
        Some(_) | None => Err(Failure::new(UNCAUGHT, "Unsupported method")),
    }
}

/// The stock server leaves an unknown method without an answer, and its client to a timeout.
fn unknown_method(method: &str) -> Failure {
    let shown: String = method.chars().take(64).collect();
    Failure::new(METHOD_NOT_FOUND, format!("Unknown method '{shown}'"))
}

/// The user in `<user>_webcam`. The original cuts at the first underscore, which breaks names that hold one;
/// the last one serves both.
fn user_of(mut sender: String) -> String {
    if let Some(end) = sender.rfind('_') {
        sender.truncate(end);
    }
    sender
}

#[cfg(test)]
mod tests {
    use super::user_of;

    #[test]
    fn the_sender_is_cut_at_its_last_underscore() {
        for (sender, user) in [
            ("USER1_webcam", "USER1"),
            ("a_b_webcam", "a_b"),
            ("plain", "plain"),
            ("_", ""),
        ] {
            assert_eq!(user_of(sender.to_owned()), user);
        }
    }
}
