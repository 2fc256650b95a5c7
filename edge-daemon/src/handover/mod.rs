//! What a daemon leaves to the one that is started after it.

mod archive;
mod pace;
mod saver;
mod snapshot;

pub(crate) use archive::Archive;
pub(crate) use saver::{SaveMetrics, Saver};
pub(crate) use snapshot::{Flow, Peer, Snapshot};

use std::os::fd::OwnedFd;

/// The state that an earlier process left, and the archive to go on with: a new one where there is none that can be used.
pub(crate) fn resume(kept: Option<OwnedFd>) -> (Option<Archive>, Option<Snapshot>) {
    let (archive, state) = match kept.map(Archive::open) {
        Some(Ok((archive, state))) => (Some(archive), state),
        Some(Err(error)) => {
            tracing::error!(%error, "what was kept is of no use");
            (None, None)
        }
        None => (None, None),
    };
    (archive.or_else(create), state.as_deref().and_then(read))
}

fn create() -> Option<Archive> {
    let created = Archive::create();
    created
        .inspect_err(|error| tracing::error!(%error, "a crash of this edge will end its rooms"))
        .ok()
}

fn read(state: &[u8]) -> Option<Snapshot> {
    let read = Snapshot::decode(state);
    read.inspect_err(|error| tracing::error!(%error, "what was kept is of no use"))
        .ok()
}
