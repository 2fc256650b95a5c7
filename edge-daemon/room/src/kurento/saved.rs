//! The sessions as they are written down.

use super::pace::Pace;
use super::replies::{Replies, SavedReply};
use super::requests::Capabilities;
use super::session::{EarlyCandidates, Link, Member, Session};
use super::sessions::Sessions;
use crate::ids::SessionId;
use crate::limits::Limits;
use crate::saved::{age, ago};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Replies that are kept for requests sent again: those that a client may still wait for, an SDP answer each.
const REPLIES: usize = 8;
/// A client that asked nothing for this long waits for no answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One session. It has no socket in the process that reads this, so its window for coming back runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    id: SessionId,
    age: Duration,
    window: Duration,
    backlog: Vec<String>,
    member: Member,
    capabilities: Capabilities,
    replies: Vec<SavedReply>,
    introduced: bool,
}

impl Sessions {
    /// Those that can come back, or stand for a participant.
    pub(crate) fn save(&self, now: Instant, limits: &Limits) -> Vec<SavedSession> {
        let lasting = self
            .iter()
            .filter(|session| session.introduced || session.member != Member::Nobody);
        lasting.map(|session| session.save(now, limits)).collect()
    }

    /// The sessions that were saved, all of them without a socket.
    pub(crate) fn restore(saved: Vec<SavedSession>, now: Instant, limits: &Limits) -> Self {
        let mut sessions = Self::default();
        for saved in saved {
            sessions.insert(Session::restore(saved, now, limits));
        }
        sessions
    }
}

impl Session {
    fn save(&self, now: Instant, limits: &Limits) -> SavedSession {
        let (window, backlog) = match &self.link {
            Link::Attached { .. } => (limits.reconnection_window, Vec::new()),
            Link::Detached { until, backlog } => (until.saturating_duration_since(now), backlog.clone()),
        };
        SavedSession {
            id: self.id,
            age: age(now, self.opened),
            window,
            backlog,
            member: self.member.clone(),
            capabilities: self.capabilities,
            replies: self.replies.save(if age(now, self.asked) < PATIENCE {
                REPLIES
            } else {
                0
            }),
            introduced: self.introduced,
        }
    }

    /// Candidates that came ahead of their offer are gone: the peer's checks tell where it is. The pace begins anew.
    fn restore(saved: SavedSession, now: Instant, limits: &Limits) -> Self {
        let until = now + saved.window.min(limits.reconnection_window);
        Self {
            id: saved.id,
            opened: ago(now, saved.age),
            asked: now,
            link: Link::Detached {
                until,
                backlog: saved.backlog,
            },
            member: saved.member,
            capabilities: saved.capabilities,
            replies: Replies::restore(saved.replies),
            early: EarlyCandidates::default(),
            pace: Pace::new(now, limits.request_burst, limits.requests_per_second),
            introduced: saved.introduced,
        }
    }
}
