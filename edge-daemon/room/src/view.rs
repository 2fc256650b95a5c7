//! The rooms as plain data, for those who look at them from outside.

use crate::ids::ResourceId;
use lianmai_webrtc::EndpointId;
use std::time::Instant;

/// One room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// Its name.
    pub name: String,
    /// When its first participant joined.
    pub opened: Instant,
    /// By name.
    pub participants: Vec<ParticipantState>,
    /// WHEP receivers, who are no participants.
    pub viewers: Vec<ViewerState>,
}

/// How a participant speaks to the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The kurento-room protocol.
    Kurento,
    /// WHIP.
    Whip,
}

/// One participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantState {
    /// Its name.
    pub name: String,
    /// How it came.
    pub via: Via,
    /// When it came.
    pub joined: Instant,
    /// Its publishing endpoint.
    pub publication: Option<EndpointId>,
    /// What it receives, by the publisher's name.
    pub subscriptions: Vec<SubscriptionState>,
    /// As last told by [`crate::Signalling::set_speaking`].
    pub speaking: bool,
    /// In dBov: 0 is loudest, -127 is silence.
    pub audio_level: Option<i16>,
}

/// One participant's copy of another's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// Whose stream.
    pub from: String,
    /// The receiving endpoint.
    pub endpoint: EndpointId,
}

/// One WHEP session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewerState {
    /// The session.
    pub resource: ResourceId,
    /// Whose stream.
    pub from: String,
    /// The receiving endpoint.
    pub endpoint: EndpointId,
    /// When it began.
    pub since: Instant,
}
