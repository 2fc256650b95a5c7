//! What the machine wants done, and what HTTP requests get back.

use crate::ids::{ConnectionId, ResourceId};
use crate::names::{RoomName, UserName};
use lianmai_mixer_control::Volume;
use lianmai_mixer_control::scene::Scene;
use lianmai_webrtc::EndpointId;

/// One thing to do or to know, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send this text frame.
    Text {
        /// Where.
        connection: ConnectionId,
        /// One JSON object.
        text: String,
    },
    /// Close the WebSocket after what was sent to it. The connection is forgotten already.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// The first participant joined.
    RoomOpened {
        /// Its name.
        room: RoomName,
    },
    /// The last participant left.
    RoomClosed {
        /// Its name.
        room: RoomName,
    },
    /// A participant joined.
    Joined {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserName,
    },
    /// A participant left.
    Left {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserName,
    },
    /// A participant publishes.
    Published {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserName,
        /// Its publishing endpoint.
        endpoint: EndpointId,
    },
    /// A participant no longer publishes.
    Unpublished {
        /// Where.
        room: RoomName,
        /// Who.
        user: UserName,
        /// What was its publishing endpoint.
        endpoint: EndpointId,
    },
    /// The room is to look like this in the mix.
    SceneChanged {
        /// Which.
        room: RoomName,
        /// It was checked.
        scene: Box<Scene>,
    },
    /// A stream is to be so loud in the mix.
    VolumeChanged {
        /// Where.
        room: RoomName,
        /// Its publishing endpoint.
        endpoint: EndpointId,
        /// How loud.
        volume: Volume,
    },
    /// A WHIP or WHEP session ended without its client's asking.
    ResourceEnded {
        /// Which.
        resource: ResourceId,
    },
}

/// A new WHIP or WHEP session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhipSession {
    /// Part of the session's URL.
    pub resource: ResourceId,
    /// Its endpoint.
    pub endpoint: EndpointId,
    /// The SDP answer.
    pub answer: String,
    /// The entity tag of its ICE session (RFC 9725 §4.3.1), without quotes.
    pub etag: String,
}

/// What a PATCH did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    /// Candidates were taken: 204.
    Trickled,
    /// ICE restarted: 200.
    Restarted {
        /// `application/trickle-ice-sdpfrag` body.
        fragment: String,
        /// The new entity tag, without quotes.
        etag: String,
    },
}

/// Why the media side lost an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointLoss {
    /// No valid STUN check within the consent's time (RFC 7675 §5.1).
    ConsentExpired,
    /// ICE never connected.
    IceFailed,
    /// The DTLS handshake failed, or its fingerprint is not the one of the SDP.
    DtlsFailed,
    /// The peer closed its DTLS association.
    PeerClosed,
    /// The edge was started again, and could not go on with it.
    Restart,
}

impl EndpointLoss {
    /// The text of a `mediaError` notification: `TYPE: description(errCode=N)`.
    pub(crate) fn media_error(self, whose: &str) -> String {
        /// `MEDIA_WEBRTC_ENDPOINT_ERROR_CODE`.
        const CODE: i32 = 304;
        let (kind, description) = match self {
            Self::ConsentExpired => ("ICE_CONSENT_EXPIRED", "the connection went silent"),
            Self::IceFailed => ("ICE_FAILED", "no connection could be made"),
            Self::DtlsFailed => ("DTLS_FAILED", "the handshake failed"),
            Self::Restart => (
                "EDGE_RESTARTED",
                "the edge was started again and lost the connection",
            ),
            Self::PeerClosed => ("DTLS_CLOSED", "the peer closed the connection"),
        };
        format!("{kind}: {description} (stream of '{whose}')(errCode={CODE})")
    }
}
