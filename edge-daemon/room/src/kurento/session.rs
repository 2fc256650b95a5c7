//! What is remembered of one kurento-room client.

use super::pace::Pace;
use super::replies::Replies;
use super::requests::Capabilities;
use crate::error::RoomError;
use crate::ids::{ConnectionId, SessionId};
use crate::limits::Limits;
use crate::names::{RoomName, UserName};
use crate::negotiator::Candidate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One session: one WebSocket at a time, at most one participant.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) opened: Instant,
    /// When it last asked for anything but a sign of life.
    pub(crate) asked: Instant,
    pub(crate) link: Link,
    pub(crate) member: Member,
    pub(crate) capabilities: Capabilities,
    pub(crate) replies: Replies,
    pub(crate) early: EarlyCandidates,
    pub(crate) pace: Pace,
    /// The client knows the session id, so it may come back with it.
    pub(crate) introduced: bool,
}

/// The session's socket, or the lack of one.
#[derive(Debug)]
pub(crate) enum Link {
    /// Its pings, if it sends any, must go on until `watchdog`.
    Attached {
        connection: ConnectionId,
        watchdog: Option<Watchdog>,
    },
    /// It may come back until then; what it misses is kept.
    Detached { until: Instant, backlog: Vec<String> },
}

/// Who the session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Member {
    Nobody,
    Of { room: RoomName, user: UserName },
    Evicted { room: RoomName, user: UserName },
}

impl Session {
    pub(crate) fn new(now: Instant, id: SessionId, connection: ConnectionId, limits: &Limits) -> Self {
        Self {
            id,
            opened: now,
            asked: now,
            link: Link::Attached {
                connection,
                watchdog: None,
            },
            member: Member::Nobody,
            capabilities: Capabilities::default(),
            replies: Replies::default(),
            early: EarlyCandidates::default(),
            pace: Pace::new(now, limits.request_burst, limits.requests_per_second),
            introduced: false,
        }
    }

    /// The participant that the session acts for.
    pub(crate) fn participant(&self) -> Result<(RoomName, UserName), RoomError> {
        match &self.member {
            Member::Of { room, user } => Ok((room.clone(), user.clone())),
            Member::Nobody => Err(RoomError::NotJoined),
            Member::Evicted { room, user } => Err(RoomError::UserClosed {
                user: user.clone(),
                room: room.clone(),
            }),
        }
    }

    /// A session whose window is over lives no more, even if its timeout was not handled yet: what it missed may be gone.
    pub(crate) fn lives(&self, now: Instant) -> bool {
        !matches!(self.link, Link::Detached { until, .. } if until <= now)
    }

    /// When something happens by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.link {
            Link::Attached { watchdog, .. } => watchdog.map(|watchdog| watchdog.deadline),
            Link::Detached { until, .. } => Some(*until),
        }
    }
}

/// Closes the sockets of clients whose pings stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watchdog {
    interval: Duration,
    pub(crate) deadline: Instant,
}

impl Watchdog {
    /// The interval of a client that does not tell its own.
    const DEFAULT: Duration = Duration::from_secs(20);
    /// What a client may tell; it neither gets itself closed at once nor watched never.
    const RANGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));
    /// So many intervals without a ping close the socket.
    const MISSED: u32 = 3;

    /// A ping came. Only the first after a (re)connection tells the interval.
    pub(crate) fn pinged(now: Instant, before: Option<Self>, told: Option<u64>) -> Self {
        let told = told.map(|ms| Duration::from_millis(ms).clamp(Self::RANGE.0, Self::RANGE.1));
        let interval = told
            .or(before.map(|watchdog| watchdog.interval))
            .unwrap_or(Self::DEFAULT);
        Self {
            interval,
            deadline: now + interval * Self::MISSED,
        }
    }
}

/// Candidates that came before the offer of their peer.
#[derive(Debug, Default)]
pub(crate) struct EarlyCandidates(BTreeMap<UserName, Vec<Candidate>>);

impl EarlyCandidates {
    /// Keeps a candidate for the peer of this name.
    pub(crate) fn keep(
        &mut self,
        peer: UserName,
        candidate: Candidate,
        limit: usize,
    ) -> Result<(), RoomError> {
        if self.0.values().map(Vec::len).sum::<usize>() >= limit {
            return Err(RoomError::TooManyCandidates { limit });
        }
        self.0.entry(peer).or_default().push(candidate);
        Ok(())
    }

    /// The candidates of this peer, whose offer is here.
    pub(crate) fn take(&mut self, peer: &UserName) -> Vec<Candidate> {
        self.0.remove(peer).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
