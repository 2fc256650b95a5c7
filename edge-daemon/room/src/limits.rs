//! Bounds on everything that the network can make grow, and a count of what hit them.

use std::time::Duration;

/// The bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rooms at a time.
    pub rooms: usize,
    /// Participants of a room, viewers over kurento-room included.
    pub participants_per_room: usize,
    /// WebSocket connections at a time.
    pub connections: usize,
    /// Sessions at a time: those of the connections and those that wait for a reconnection.
    pub sessions: usize,
    /// WHIP and WHEP sessions at a time.
    pub resources: usize,
    /// UTF-16 units of one text frame, as the original server counts.
    pub text_units: usize,
    /// Bytes of one chat message.
    pub chat_bytes: usize,
    /// Candidates that a participant may trickle ahead of its offers.
    pub buffered_candidates: usize,
    /// Replies that a session keeps for requests sent again.
    pub cached_replies: usize,
    /// Notifications that a session without a socket keeps, half of them chat; with more it ends before its window does.
    pub backlog: usize,
    /// Requests that a session may send at once.
    pub request_burst: u32,
    /// Requests a second that a session may send for ever.
    pub requests_per_second: u32,
    /// How long a participant outlives its socket (`ws.sessionReconnectionTime` of the original).
    pub reconnection_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 256,
            participants_per_room: 64,
            connections: 4096,
            sessions: 8192,
            resources: 4096,
            text_units: 1_000_000,
            chat_bytes: 16_384,
            buffered_candidates: 256,
            cached_replies: 32,
            backlog: 256,
            request_burst: 500,
            requests_per_second: 100,
            reconnection_window: Duration::from_secs(10),
        }
    }
}

/// What happened, as totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests answered, errors included.
    pub requests: u64,
    /// Error responses among them.
    pub errors: u64,
    /// Notifications sent or kept for a reconnection.
    pub notifications: u64,
    /// Texts that were no JSON or no JSON-RPC.
    pub malformed: u64,
    /// Texts over [`Limits::text_units`].
    pub texts_too_long: u64,
    /// Chat messages over [`Limits::chat_bytes`].
    pub chats_too_long: u64,
    /// Requests of a method that does not exist.
    pub unknown_methods: u64,
    /// Requests over the rate of [`Limits::requests_per_second`].
    pub rate_limited: u64,
    /// Requests answered again without being executed again.
    pub replayed: u64,
    /// Connections closed at once because of [`Limits::connections`], [`Limits::sessions`] or a shutdown.
    pub connections_refused: u64,
    /// Rooms refused because of [`Limits::rooms`].
    pub rooms_refused: u64,
    /// Participants refused because of [`Limits::participants_per_room`].
    pub participants_refused: u64,
    /// WHIP and WHEP sessions refused because of [`Limits::resources`].
    pub resources_refused: u64,
    /// Candidates refused because of [`Limits::buffered_candidates`].
    pub candidates_refused: u64,
    /// Connections closed because their pings stopped.
    pub watchdog_closed: u64,
    /// Sessions re-attached by `connect`.
    pub reattached: u64,
    /// Sessions that ended because their reconnection window did.
    pub expired: u64,
    /// Chat messages not kept for sessions without a socket.
    pub chats_missed: u64,
    /// Sessions that ended because their backlog was full.
    pub backlog_overflows: u64,
    /// Endpoints that the media side lost.
    pub endpoints_lost: u64,
}
