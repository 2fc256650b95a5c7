//! All sessions, found by their id, by their connection and by their next deadline.

use super::session::{Link, Session};
use crate::ids::{ConnectionId, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// All sessions. The maps agree after every call; changes of a link go through [`Sessions::set_link`].
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    connections: BTreeMap<ConnectionId, SessionId>,
    deadlines: BTreeSet<(Instant, SessionId)>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    pub(crate) fn by_connection(&self, connection: ConnectionId) -> Option<SessionId> {
        self.connections.get(&connection).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// For everything but the link.
    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    pub(crate) fn insert(&mut self, session: Session) {
        let id = session.id;
        self.sessions.insert(id, session);
        self.index(id);
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.unindex(id);
        self.sessions.remove(&id)
    }

    /// Gives the session another link and returns the former one.
    pub(crate) fn set_link(&mut self, id: SessionId, link: Link) -> Option<Link> {
        self.unindex(id);
        let former = std::mem::replace(&mut self.sessions.get_mut(&id)?.link, link);
        self.index(id);
        Some(former)
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A session whose deadline is not after `now`.
    pub(crate) fn due(&self, now: Instant) -> Option<SessionId> {
        self.deadlines
            .first()
            .filter(|(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
    }

    fn index(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if let Link::Attached { connection, .. } = session.link {
            self.connections.insert(connection, id);
        }
        if let Some(deadline) = session.deadline() {
            self.deadlines.insert((deadline, id));
        }
    }

    fn unindex(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if let Link::Attached { connection, .. } = session.link {
            self.connections.remove(&connection);
        }
        if let Some(deadline) = session.deadline() {
            self.deadlines.remove(&(deadline, id));
        }
    }
}
