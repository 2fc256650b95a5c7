//! What happens when nothing happens.

use super::Signalling;
use crate::ids::SessionId;
use crate::kurento::session::Link;
use crate::negotiator::Negotiator;
use crate::output::Output;
use std::time::Instant;

impl Signalling {
    /// When [`Signalling::handle_timeout`] is to be called next; it may lie in the past.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.sessions.next_deadline()
    }

    /// Closes sockets whose pings stopped, and ends sessions that did not come back.
    pub fn handle_timeout(&mut self, now: Instant, negotiator: &mut dyn Negotiator) {
        while let Some(session) = self.sessions.due(now) {
            self.due(now, session, negotiator);
        }
    }

    /// The window of a session is over, or its pings stopped.
    fn due(&mut self, now: Instant, id: SessionId, negotiator: &mut dyn Negotiator) {
        self.touch();
        match self.sessions.get(id).map(|session| &session.link) {
            Some(Link::Attached { connection, .. }) => {
                let connection = *connection;
                self.counters.watchdog_closed += 1;
                self.outputs.push_back(Output::Close { connection });
                self.detach(now, id);
            }
            Some(Link::Detached { .. }) => {
                self.counters.expired += 1;
                self.end_session(id, negotiator);
            }
            None => {}
        }
    }
}
