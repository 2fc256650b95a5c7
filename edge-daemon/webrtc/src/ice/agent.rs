//! One endpoint's share of the port: its credentials, and the addresses where its peer has been seen.

use super::CONSENT_TIMEOUT;
use crate::parameters::Credentials;
use crate::saved::SavedEndpoint;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A browser on a host with many interfaces checks from a handful of addresses; the oldest make room.
const MAX_PATHS: usize = 16;
/// A nomination that the peer has not repeated for this long yields to a newer one of lower priority.
const NOMINATION_LIFETIME: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Agent {
    current: Session,
    /// Before an ICE restart; until the peer uses the new credentials.
    previous: Option<Session>,
    paths: BTreeMap<SocketAddr, Path>,
    selected: Option<SocketAddr>,
    validated: bool,
    last_seen: Instant,
}

#[derive(Debug)]
struct Session {
    local: Credentials,
    remote_ufrag: String,
}

/// An address that the peer has proved to own.
#[derive(Debug)]
struct Path {
    last_check: Instant,
    nomination: Option<Nomination>,
}

#[derive(Clone, Copy, Debug)]
struct Nomination {
    priority: u32,
    at: Instant,
}

/// What a valid check changed beside the path's clock.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    /// The path became the selected one.
    pub(super) selected: bool,
    /// A path that had to make room.
    pub(super) evicted: Option<SocketAddr>,
    /// A user name fragment that an ICE restart has left behind.
    pub(super) retired: Option<String>,
}

impl Agent {
    pub(super) fn new(now: Instant, local: Credentials, remote_ufrag: String) -> Self {
        Self {
            current: Session { local, remote_ufrag },
            previous: None,
            paths: BTreeMap::new(),
            selected: None,
            validated: false,
            last_seen: now,
        }
    }

    /// As an earlier process left it; `at` is where a connected peer was.
    pub(super) fn restore(now: Instant, saved: &SavedEndpoint, at: Option<SocketAddr>) -> Self {
        let path = Path {
            last_check: now,
            // The peer repeats it with its next check, and whatever it nominates before that is its choice.
            nomination: None,
        };
        let previous = saved.previous().cloned();
        Self {
            previous: previous.map(|(local, remote_ufrag)| Session { local, remote_ufrag }),
            paths: at.map(|at| (at, path)).into_iter().collect(),
            selected: at,
            validated: at.is_some(),
            ..Self::new(now, saved.local().clone(), saved.remote().ice.ufrag.clone())
        }
    }

    /// Returns the fragment that no longer counts: a restart during a restart skips the middle one.
    pub(super) fn restart(
        &mut self,
        now: Instant,
        local: Credentials,
        remote_ufrag: String,
    ) -> Option<String> {
        let skipped = std::mem::replace(&mut self.current, Session { local, remote_ufrag });
        self.last_seen = now;
        self.paths.values_mut().for_each(|path| path.nomination = None);
        match self.previous {
            Some(_) => Some(skipped.local.ufrag),
            None => {
                self.previous = Some(skipped);
                None
            }
        }
    }

    pub(super) fn password(&self, ours: &str, theirs: &str) -> Option<&str> {
        let named = |session: &&Session| session.local.ufrag == ours && session.remote_ufrag == theirs;
        self.sessions()
            .find(named)
            .map(|session| session.local.pwd.as_str())
    }

    pub(super) fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.sessions().map(|session| session.local.ufrag.as_str())
    }

    pub(super) const fn selected(&self) -> Option<SocketAddr> {
        self.selected
    }

    pub(super) const fn was_validated(&self) -> bool {
        self.validated
    }

    pub(super) fn path_seen(&self, address: SocketAddr) -> Option<Instant> {
        self.paths.get(&address).map(|path| path.last_check)
    }

    pub(super) fn expires(&self) -> Instant {
        self.last_seen + CONSENT_TIMEOUT
    }

    pub(super) fn next_timeout(&self) -> Instant {
        let paths = self.paths.values().map(|path| path.last_check + CONSENT_TIMEOUT);
        paths
            .chain([self.expires()])
            .min()
            .unwrap_or_else(|| self.expires())
    }

    pub(super) fn media_alive(&mut self, now: Instant) {
        self.last_seen = now;
        if let Some(path) = self.selected.and_then(|selected| self.paths.get_mut(&selected)) {
            path.last_check = now;
        }
    }

    /// A check with the right credentials came from `from`; `nomination` is its priority if it has USE-CANDIDATE.
    pub(super) fn check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        ufrag: &str,
        nomination: Option<u32>,
    ) -> Effect {
        let retired = self.retire_previous(ufrag);
        let evicted = self.make_room(from);
        self.last_seen = now;
        self.validated = true;
        let path = self.paths.entry(from).or_insert(Path {
            last_check: now,
            nomination: None,
        });
        path.last_check = now;
        path.nomination = nomination.map(|priority| Nomination { priority, at: now });
        let selected = nomination.is_some_and(|priority| self.select(now, from, priority));
        Effect {
            selected,
            evicted,
            retired,
        }
    }

    pub(super) fn forget_path(&mut self, address: SocketAddr) {
        self.paths.remove(&address);
        self.selected = self.selected.filter(|selected| *selected != address);
    }

    /// Removes the paths whose consent has expired, and names them.
    pub(super) fn drop_silent_paths(&mut self, now: Instant) -> Vec<SocketAddr> {
        let silent = self
            .paths
            .iter()
            .filter(|(_, path)| path.last_check + CONSENT_TIMEOUT <= now);
        let silent: Vec<_> = silent.map(|(address, _)| *address).collect();
        silent.iter().for_each(|address| self.forget_path(*address));
        silent
    }

    /// Whether a nomination changes the selection. With aggressive nomination every check nominates, and the highest
    /// priority wins (RFC 5245 §8.1.1.2). A peer that moves stops nominating the old path: then the newest wins.
    fn select(&mut self, now: Instant, from: SocketAddr, priority: u32) -> bool {
        let yields = match self.selected {
            None => true,
            Some(selected) if selected == from => false,
            Some(selected) => match self.paths.get(&selected).and_then(|path| path.nomination) {
                None => true,
                Some(held) => {
                    priority > held.priority || now.saturating_duration_since(held.at) > NOMINATION_LIFETIME
                }
            },
        };
        if yields {
            self.selected = Some(from);
        }
        yields
    }

    fn retire_previous(&mut self, used: &str) -> Option<String> {
        if self.current.local.ufrag != used {
            return None;
        }
        self.previous.take().map(|session| session.local.ufrag)
    }

    fn make_room(&mut self, newcomer: SocketAddr) -> Option<SocketAddr> {
        if self.paths.contains_key(&newcomer) || self.paths.len() < MAX_PATHS {
            return None;
        }
        let idle = self
            .paths
            .iter()
            .filter(|(address, _)| Some(**address) != self.selected);
        let oldest = *idle.min_by_key(|(_, path)| path.last_check)?.0;
        self.paths.remove(&oldest);
        Some(oldest)
    }

    fn sessions(&self) -> impl Iterator<Item = &Session> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
    }
}
