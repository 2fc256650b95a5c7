//! Publishers who want into a room: the origin asks whoever runs the rooms, and passes the answer on.

use crate::Shared;
use crate::config::Network;
use crate::flv::FlvStream;
use crate::name::{NameError, StreamName};
use lianmai_rtmp::StreamPath;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A yes, and later perhaps a no.
const VERDICTS: usize = 2;

/// Who may come into rooms, and who is asked.
#[derive(Clone, Debug)]
pub struct CohostConfig {
    /// Their application: `rtmp://ORIGIN/APP/ROOM/USER`.
    pub app: String,
    /// From where.
    pub from: Vec<Network>,
    /// How many at a time.
    pub max: usize,
    /// Who is asked. When it is full, they are refused.
    pub door: mpsc::Sender<Cohost>,
}

/// Somebody who wants to publish into a room. Dropping it ends its connection.
#[derive(Debug)]
pub struct Cohost {
    /// From where it comes.
    pub address: IpAddr,
    shared: Arc<Shared>,
    name: StreamName,
    verdicts: mpsc::Sender<Verdict>,
}

/// What it is told.
#[derive(Debug)]
pub(crate) enum Verdict {
    Accepted,
    Dismissed(String),
}

impl CohostConfig {
    /// The room and the user that a path names. Applications may have a slash in them: some clients put the room there, and
    /// others leave it to the stream. `None` for other applications.
    pub(crate) fn name(&self, path: &StreamPath) -> Option<Result<StreamName, NameError>> {
        let whole = format!("{}/{}", path.app, path.stream);
        let rest = whole.strip_prefix(&self.app)?.strip_prefix('/')?;
        let (room, user) = rest.split_once('/').unwrap_or((rest, ""));
        if user.contains('/') {
            return Some(Err(NameError::Escape));
        }
        Some(StreamName::cohost_from_wire(room, user))
    }
}

impl Cohost {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        name: StreamName,
        address: IpAddr,
    ) -> (Self, mpsc::Receiver<Verdict>) {
        let (verdicts, answer) = mpsc::channel(VERDICTS);
        let cohost = Self {
            address,
            shared: Arc::clone(shared),
            name,
            verdicts,
        };
        (cohost, answer)
    }

    /// Which room it wants into.
    #[must_use]
    pub fn room(&self) -> &str {
        self.name.room()
    }

    /// As whom.
    #[must_use]
    pub fn user(&self) -> &str {
        self.name.user().unwrap_or_default()
    }

    /// It may publish. Saying so again changes nothing.
    pub fn accept(&self) {
        // A connection that is gone does not want to know, and one that knows already has no room for it.
        let _ = self.verdicts.try_send(Verdict::Accepted);
    }

    /// It may not, or no longer: it is told why, and disconnected.
    pub fn dismiss(self, reason: String) {
        let _ = self.verdicts.try_send(Verdict::Dismissed(reason));
    }

    /// What it publishes, from the last group of pictures on. The stream ends with the publisher; `None` if it is gone already.
    #[must_use]
    pub fn stream(&self) -> Option<FlvStream> {
        FlvStream::open(&self.shared, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::CohostConfig;
    use crate::config::Network;
    use lianmai_rtmp::StreamPath;
    use tokio::sync::mpsc;

    fn name(app: &str, stream: &str) -> Option<Option<String>> {
        let config = CohostConfig {
            app: "cohost".to_owned(),
            from: Network::loopback(),
            max: 1,
            door: mpsc::channel(1).0,
        };
        let path = StreamPath {
            app: app.to_owned(),
            stream: stream.to_owned(),
            query: None,
        };
        let name = config.name(&path)?;
        Some(
            name.ok()
                .map(|name| format!("{:?} {:?}", name.room(), name.user())),
        )
    }

    #[test]
    fn room_and_user_are_found_wherever_a_client_cuts_the_address() {
        let both = Some(Some(r#""a b" Some("c/d")"#.to_owned()));
        assert_eq!(name("cohost", "a%20b/c%2Fd"), both);
        assert_eq!(name("cohost/a%20b", "c%2Fd"), both);
    }

    #[test]
    fn an_address_without_both_or_with_more_is_wrong_and_another_application_is_not_ours() {
        for (app, stream) in [("cohost", "room"), ("cohost", "room/"), ("cohost/a", "b/c")] {
            assert_eq!(name(app, stream), Some(None), "{app} {stream}");
        }
        for (app, stream) in [("live", "cohost/a/b"), ("cohosts", "a/b")] {
            assert_eq!(name(app, stream), None, "{app} {stream}");
        }
    }
}
