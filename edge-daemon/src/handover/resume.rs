//! Finding the state that an earlier process left, and a place for that of this one.

use super::{Archive, Inherited, Snapshot, Store};
use std::os::fd::AsFd;

/// The name that the archive is kept under.
const ARCHIVE: &str = "archive";

/// Where the state goes from now on, and what an earlier process left there. Without somebody who keeps it, it goes nowhere.
pub(crate) fn resume(store: &Store, inherited: &mut Inherited) -> (Option<Archive>, Option<Snapshot>) {
    let opened = inherited.take(ARCHIVE).map(Archive::open);
    let opened = opened.and_then(|opened| {
        opened
            .inspect_err(|error| tracing::error!(%error, "what was kept is of no use"))
            .ok()
    });
    match opened {
        Some((archive, state)) => (Some(archive), state.as_deref().and_then(read)),
        None if store.is_there() => (create(store), None),
        None => (None, None),
    }
}

fn create(store: &Store) -> Option<Archive> {
    let created = Archive::create().and_then(|archive| {
        store.keep(ARCHIVE, archive.as_fd())?;
        Ok(archive)
    });
    created
        .inspect_err(|error| tracing::error!(%error, "a crash of this edge will end its rooms"))
        .ok()
}

fn read(state: &[u8]) -> Option<Snapshot> {
    let read = Snapshot::decode(state);
    read.inspect_err(|error| tracing::error!(%error, "what was kept is of no use"))
        .ok()
}
