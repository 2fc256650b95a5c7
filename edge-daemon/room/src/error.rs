//! Why a request was refused, with the number that kurento-room clients know.

use crate::kurento::rpc::INVALID_PARAMS;
use crate::names::{NameError, RoomName, UserName};
use crate::negotiator::MediaError;
use lianmai_mixer_control::scene::SceneError;

/// Why the rooms refused a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// A user's name breaks the rules.
    #[error("The user name {0}")]
    UserName(#[source] NameError),
    /// A room's name breaks the rules.
    #[error("The room name {0}")]
    RoomName(#[source] NameError),
    /// The request needs a participant, and its session never joined a room.
    #[error("No participant found: this session is in no room, send joinRoom first")]
    NotJoined,
    /// The session's participant was evicted.
    #[error("User '{user}' was evicted from room '{room}', send joinRoom to come back")]
    UserClosed {
        /// Who it was.
        user: UserName,
        /// Where.
        room: RoomName,
    },
    /// Nobody of this name is in the room.
    #[error("No user '{user}' in room '{room}'")]
    UserNotFound {
        /// The name asked for; it need not be a valid one.
        user: String,
        /// Where.
        room: RoomName,
    },
    /// A chat message in the name of somebody else.
    #[error("Provided username '{given}' differs from the participant's name '{own}'")]
    ForeignUser {
        /// The name in the request.
        given: String,
        /// The sender's own.
        own: UserName,
    },
    /// A chat message for another room.
    #[error("Provided room name '{given}' differs from the participant's room '{own}'")]
    ForeignRoom {
        /// The name in the request.
        given: String,
        /// The room of the sender.
        own: RoomName,
    },
    /// The name is taken.
    #[error("User '{user}' already exists in room '{room}'")]
    UserExists {
        /// The name.
        user: UserName,
        /// Where.
        room: RoomName,
    },
    /// One session is at most one participant.
    #[error("This session is already user '{user}' in room '{room}', send leaveRoom first")]
    AlreadyJoined {
        /// Its name.
        user: UserName,
        /// Its room.
        room: RoomName,
    },
    /// The user is there but publishes nothing.
    #[error("User '{user}' is not streaming media in room '{room}'")]
    NotStreaming {
        /// Who.
        user: UserName,
        /// Where.
        room: RoomName,
    },
    /// A participant asked to receive itself.
    #[error("Can loopback only when publishing media")]
    SelfSubscription,
    /// One participant publishes one stream, and its offer is answered once.
    #[error("User '{user}' is already publishing in room '{room}', send unpublishVideo first")]
    AlreadyPublishing {
        /// Who.
        user: UserName,
        /// Where.
        room: RoomName,
    },
    /// It cannot look like this.
    #[error("The layout is refused: {0}")]
    Scene(#[from] SceneError),
    /// There is no such room.
    #[error("Room '{room}' not found")]
    RoomNotFound {
        /// The name asked for; it need not be a valid one.
        room: String,
    },
    /// The edge is shutting down and opens nothing.
    #[error("Room '{room}' is closed: the edge is shutting down")]
    RoomClosed {
        /// The room asked for.
        room: RoomName,
    },
    /// The limit of rooms is reached.
    #[error("Room '{room}' cannot be created: {limit} rooms are open, the most that this edge allows")]
    TooManyRooms {
        /// The room asked for.
        room: RoomName,
        /// The limit.
        limit: usize,
    },
    /// The limit of participants in a room is reached.
    #[error("Room '{room}' is full: {limit} participants")]
    RoomFull {
        /// The room.
        room: RoomName,
        /// The limit.
        limit: usize,
    },
    /// More candidates came for peers that do not exist yet than are kept.
    #[error("More than {limit} ICE candidates wait for a publishVideo or receiveVideoFrom")]
    TooManyCandidates {
        /// The limit.
        limit: usize,
    },
    /// A chat message is too long.
    #[error("The message has {bytes} bytes, at most {limit} are allowed")]
    ChatTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The limit of WHIP and WHEP sessions is reached.
    #[error("No further session: {limit} WHIP and WHEP sessions are open, the most that this edge allows")]
    TooManyResources {
        /// The limit.
        limit: usize,
    },
    /// The media side refused.
    #[error(transparent)]
    Media(#[from] MediaError),
}

impl RoomError {
    /// The code on the wire: `RoomException.Code` of the original server.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Scene(_) => INVALID_PARAMS,
            Self::ChatTooLong { .. } => 101,
            Self::NotJoined | Self::UserNotFound { .. } | Self::ForeignUser { .. } => 102,
            Self::UserClosed { .. } => 103,
            Self::UserExists { .. } | Self::AlreadyJoined { .. } => 104,
            Self::NotStreaming { .. } | Self::SelfSubscription => 105,
            Self::RoomName(_) | Self::RoomFull { .. } => 201,
            Self::RoomNotFound { .. } | Self::ForeignRoom { .. } => 202,
            Self::RoomClosed { .. } => 203,
            Self::TooManyRooms { .. } => 204,
            Self::TooManyCandidates { .. } => 301,
            Self::AlreadyPublishing { .. } | Self::Media(MediaError::Sdp(_)) => 302,
            Self::TooManyResources { .. } | Self::Media(MediaError::Endpoint(_)) => 303,
            Self::Media(MediaError::Missing) => 304,
            Self::UserName(_) => 999,
        }
    }
}

/// Why a PATCH or DELETE of a WHIP or WHEP session was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// No session has this id (any more): 404.
    #[error("no such session")]
    NotFound,
    /// `If-Match` does not name the current ICE session (RFC 9725 §4.3.1): 412.
    #[error("the session's entity tag is {current:?}: the ICE session was restarted since")]
    EtagMismatch {
        /// The current one, without quotes.
        current: String,
    },
    /// The media side refused the fragment.
    #[error(transparent)]
    Media(#[from] MediaError),
}
