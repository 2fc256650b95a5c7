//! The thread that puts rings and tables into the maps of maps.
//!
//! After each change of such a map the kernel waits until all programs that may have seen the old one are through: several
//! milliseconds, in which a thread that forwards media must not stand still. So one thread of its own does the waiting, and
//! makes all changes that have come up meanwhile in one call.

use crate::pins::Pins;
use crate::places::{Directory, Outer};
use crate::sys;
use aya::maps::MapData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{io, thread};

/// Changes in one call at most.
const BATCH: usize = 1_024;

/// What is to be done to a map of maps.
#[derive(Debug)]
pub(crate) enum Change {
    Install { outer: Outer, id: u32, map: OwnedFd },
    Remove { outer: Outer, id: u32 },
}

impl Change {
    fn outer(&self) -> Outer {
        match self {
            Self::Install { outer, .. } | Self::Remove { outer, .. } => *outer,
        }
    }

    fn id(&self) -> u32 {
        match self {
            Self::Install { id, .. } | Self::Remove { id, .. } => *id,
        }
    }
}

/// Where to ask for changes. What waits is bounded by the numbers: one installation and one removal for each.
#[derive(Clone, Debug)]
pub(crate) struct Installer {
    changes: Option<Sender<Change>>,
}

impl Installer {
    /// There is no kernel to do anything.
    pub(crate) fn nobody() -> Self {
        Self { changes: None }
    }

    /// Starts the thread. It ends once it has done everything that was asked and nobody is left to ask.
    pub(crate) fn start(
        maps: Vec<OuterMap>,
        directory: Arc<Directory>,
        pins: Option<Arc<Pins>>,
    ) -> io::Result<Self> {
        let (changes, asked) = channel();
        thread::Builder::new()
            .name("kernel-maps".to_owned())
            .spawn(move || serve(&asked, &maps, &directory, pins.as_deref()))?;
        Ok(Self {
            changes: Some(changes),
        })
    }

    /// Says whether somebody will do it.
    pub(crate) fn ask(&self, change: Change) -> bool {
        self.changes
            .as_ref()
            .is_some_and(|changes| changes.send(change).is_ok())
    }
}

/// A map of maps, and what stands in the places of nobody: a map in which no program finds anything to use.
pub(crate) struct OuterMap {
    pub(crate) outer: Outer,
    pub(crate) map: MapData,
    pub(crate) empty: OwnedFd,
}

fn serve(asked: &Receiver<Change>, maps: &[OuterMap], directory: &Directory, pins: Option<&Pins>) {
    while let Ok(first) = asked.recv() {
        let changes: Vec<Change> = std::iter::once(first)
            .chain(asked.try_iter().take(BATCH - 1))
            .collect();
        let changes: Vec<Change> = match pins {
            None => changes,
            Some(pins) => changes.into_iter().filter(|change| pin(change, pins)).collect(),
        };
        for map in maps {
            let changes: Vec<&Change> = changes
                .iter()
                .filter(|change| change.outer() == map.outer)
                .collect();
            apply(map, &changes, directory);
        }
    }
}

/// What the kernel is to use, the next daemon must be able to find: so it is pinned first, and not used if it cannot be.
fn pin(change: &Change, pins: &Pins) -> bool {
    let name = change.outer().pin(change.id());
    let pinned = match change {
        Change::Install { map, .. } => pins.put(&name, map.as_fd()),
        Change::Remove { .. } => pins.remove(&name),
    };
    if let Err(error) = pinned {
        tracing::warn!(%error, name, "a pin cannot be changed; the daemon forwards what needs it");
        return matches!(change, Change::Remove { .. });
    }
    true
}

fn apply(map: &OuterMap, changes: &[&Change], directory: &Directory) {
    let mut left = changes;
    while !left.is_empty() {
        let ids: Vec<u32> = left.iter().map(|change| change.id()).collect();
        let values: Vec<BorrowedFd<'_>> = left.iter().map(|change| value(map, change)).collect();
        let (done, refused) = match sys::update_batch(map.map.fd().as_fd(), &ids, &values) {
            Ok(()) => (left.len(), None),
            Err(refused) => (refused.done.min(left.len() - 1), Some(refused.error)),
        };
        let (made, rest) = left.split_at(done);
        for change in made {
            settle(change, true, directory);
        }
        left = match (rest.split_first(), refused) {
            (Some((change, rest)), Some(error)) => {
                tracing::error!(%error, map = map.outer.map_name(), id = change.id(), "the kernel refused a map");
                settle(change, false, directory);
                rest
            }
            (_, None) | (None, Some(_)) => rest,
        };
    }
}

fn value<'a>(map: &'a OuterMap, change: &'a Change) -> BorrowedFd<'a> {
    match change {
        Change::Install { map, .. } => map.as_fd(),
        Change::Remove { .. } => map.empty.as_fd(),
    }
}

/// A removal that failed leaves a ring behind that nobody is directed to; its number's next owner replaces it.
fn settle(change: &Change, is_made: bool, directory: &Directory) {
    match change {
        Change::Install { outer, id, .. } => directory.set_installed(*outer, *id, is_made),
        Change::Remove { outer, id } => {
            directory.set_installed(*outer, *id, false);
            directory.ids(*outer).give_back(*id);
        }
    }
}
