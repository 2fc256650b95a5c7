//! Places in the three maps of maps: who has which, and whether the kernel knows.

use crate::ids::Ids;
use crate::installer::{Change, Installer};
use lianmai_fanout::records::{MAX_PAD_RINGS, MAX_STREAMS, MAX_TABLES};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The maps of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outer {
    Tables,
    Tokens,
    Pads,
}

impl Outer {
    /// In the order in which they are installed: a ring that is there may count on the tables that were asked for with it.
    pub(crate) const ALL: [Self; 3] = [Self::Tables, Self::Tokens, Self::Pads];

    pub(crate) const fn map_name(self) -> &'static str {
        match self {
            Self::Tables => "TABLES",
            Self::Tokens => "TOKENS",
            Self::Pads => "PADS",
        }
    }

    /// The folder of its maps among the pins.
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::Tokens => "tokens",
            Self::Pads => "pads",
        }
    }

    /// The name of one of its maps among the pins.
    pub(crate) fn pin(self, id: u32) -> String {
        format!("{}/{id}", self.folder())
    }

    pub(crate) const fn limit(self) -> u32 {
        match self {
            Self::Tables => MAX_TABLES,
            Self::Tokens => MAX_STREAMS,
            Self::Pads => MAX_PAD_RINGS,
        }
    }
}

/// Which numbers are in use, and which of them the kernel has something for.
#[derive(Debug)]
pub(crate) struct Directory {
    shelves: [Shelf; 3],
    memory: AtomicU64,
}

#[derive(Debug)]
struct Shelf {
    ids: Ids,
    installed: Box<[AtomicBool]>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            shelves: Outer::ALL.map(|outer| Shelf {
                ids: Ids::below(outer.limit()),
                installed: (0..outer.limit()).map(|_| AtomicBool::new(false)).collect(),
            }),
            memory: AtomicU64::new(0),
        }
    }

    pub(crate) fn ids(&self, outer: Outer) -> &Ids {
        &self.shelf(outer).ids
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    pub(crate) fn is_installed(&self, outer: Outer, id: u32) -> bool {
        let installed = self.shelf(outer).installed.get(id as usize);
        installed.is_some_and(|installed| installed.load(Acquire))
    }

    pub(crate) fn set_installed(&self, outer: Outer, id: u32, is_installed: bool) {
        if let Some(installed) = self.shelf(outer).installed.get(id as usize) {
            installed.store(is_installed, Release);
        }
    }

    fn shelf(&self, outer: Outer) -> &Shelf {
        let [tables, tokens, pads] = &self.shelves;
        match outer {
            Outer::Tables => tables,
            Outer::Tokens => tokens,
            Outer::Pads => pads,
        }
    }
}

/// One place, from now until it is dropped. Its number is another's only after the kernel has forgotten what was there.
#[derive(Debug)]
pub(crate) struct Place {
    outer: Outer,
    id: u32,
    memory: u64,
    directory: Arc<Directory>,
    installer: Installer,
}

impl Place {
    /// `None` when all are in use. `memory` is what will be there, in bytes.
    pub(crate) fn take(
        outer: Outer,
        memory: usize,
        directory: &Arc<Directory>,
        installer: &Installer,
    ) -> Option<Self> {
        let id = directory.ids(outer).take()?;
        let memory = memory as u64;
        directory.memory.fetch_add(memory, Relaxed);
        Some(Self {
            outer,
            id,
            memory,
            directory: Arc::clone(directory),
            installer: installer.clone(),
        })
    }

    /// The place of an earlier daemon, which the kernel has something for. `None` if it is somebody's here.
    pub(crate) fn adopt(
        outer: Outer,
        id: u32,
        memory: usize,
        directory: &Arc<Directory>,
        installer: &Installer,
    ) -> Option<Self> {
        if !directory.ids(outer).adopt(id) {
            return None;
        }
        let memory = memory as u64;
        directory.memory.fetch_add(memory, Relaxed);
        directory.set_installed(outer, id, true);
        Some(Self {
            outer,
            id,
            memory,
            directory: Arc::clone(directory),
            installer: installer.clone(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn is_installed(&self) -> bool {
        self.directory.is_installed(self.outer, self.id)
    }

    /// Has the kernel find this map here, soon. Without a kernel it is as if it had.
    pub(crate) fn install(&self, map: Option<OwnedFd>) {
        let Some(map) = map else {
            self.directory.set_installed(self.outer, self.id, true);
            return;
        };
        self.installer.ask(Change::Install {
            outer: self.outer,
            id: self.id,
            map,
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.directory.memory.fetch_sub(self.memory, Relaxed);
        self.directory.set_installed(self.outer, self.id, false);
        let is_asked = self.installer.ask(Change::Remove {
            outer: self.outer,
            id: self.id,
        });
        if !is_asked {
            self.directory.ids(self.outer).give_back(self.id);
        }
    }
}
