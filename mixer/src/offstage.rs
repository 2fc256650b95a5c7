//! Hosts that nobody sees: of their pictures key frames alone are decoded.

use lianmai_mixer_control::media::HostId;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Set by the mixing thread, asked by the one that hands out coded pictures. The lock is held for one look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offstage(Arc<Mutex<BTreeSet<HostId>>>);

impl Offstage {
    /// A host is shown, or no longer.
    pub(crate) fn set(&self, host: HostId, is_hidden: bool) {
        if is_hidden {
            self.hosts().insert(host);
        } else {
            self.hosts().remove(&host);
        }
    }

    /// Whether nobody sees the host.
    pub(crate) fn has(&self, host: HostId) -> bool {
        self.hosts().contains(&host)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeSet<HostId>> {
        // The set is whole between any two calls, so a thread that panicked has not harmed it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
