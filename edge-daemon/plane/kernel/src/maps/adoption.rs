//! Slots of a daemon that is gone, as the next one takes them over while the kernel uses them.

use super::Maps;
use crate::installer::Change;
use crate::mapping::Mapping;
use crate::pads::Pads;
use crate::peer::PeerSlot;
use crate::places::{Outer, Place};
use crate::ring::{MAX_RING, Ring};
use crate::stream::StreamSlot;
use crate::table::TableSlot;
use crate::tokens::Tokens;
use aya::maps::MapData;
use lianmai_fanout::ghash::Table;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a slot cannot be taken over. What depends on it starts again from the beginning.
#[derive(Debug, thiserror::Error)]
pub enum NotAdopted {
    /// Nothing outlives a daemon here.
    #[error("nothing was pinned")]
    NoPins,
    /// It was never pinned, so the kernel never had it.
    #[error("it was never pinned")]
    Absent,
    /// Somebody has it.
    #[error("the {0} is in use, or there is none with this number")]
    InUse(&'static str),
    /// It is not what it should be.
    #[error("the {0} is not as this daemon makes it")]
    Unlike(&'static str),
    /// The kernel does not give it out.
    #[error("the kernel does not give the {what} out")]
    Refused {
        /// What.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Maps {
    /// A ring of tokens with all that is in it.
    pub fn adopt_tokens(&mut self, id: u32) -> Result<Tokens, NotAdopted> {
        let (ring, place) = self.adopt_ring(Outer::Tokens, Tokens::STRIDE, id)?;
        Ok(Tokens::new(ring, place))
    }

    /// A ring of pads with all that is in it.
    pub fn adopt_pads(&mut self, id: u32) -> Result<Pads, NotAdopted> {
        let (ring, place) = self.adopt_ring(Outer::Pads, Pads::STRIDE, id)?;
        Ok(Pads::new(ring, place))
    }

    /// A hash table. Whose key it is of, the caller knows.
    pub fn adopt_table(&mut self, id: u32) -> Result<TableSlot, NotAdopted> {
        self.found(Outer::Tables, id)?;
        Ok(TableSlot::new(self.adopt_place(
            Outer::Tables,
            id,
            size_of::<Table>(),
        )?))
    }

    /// A counter of transport-wide sequence numbers, where it stands.
    pub fn adopt_peer(&mut self, id: u32) -> Result<PeerSlot, NotAdopted> {
        if !self.is_adopted {
            return Err(NotAdopted::NoPins);
        }
        if !self.shared.peer_ids.adopt(id) {
            return Err(NotAdopted::InUse("peer"));
        }
        Ok(PeerSlot::adopted(id, Arc::clone(&self.shared)))
    }

    /// A stream that is announced and verified by these.
    pub fn adopt_stream(
        &mut self,
        number: u32,
        tokens: &Tokens,
        table: &TableSlot,
    ) -> Result<StreamSlot, NotAdopted> {
        let key = *self
            .shared
            .announced()
            .get(&number)
            .ok_or(NotAdopted::InUse("stream"))?;
        if !self.shared.stream_ids.adopt(number) {
            return Err(NotAdopted::InUse("stream"));
        }
        let (shared, directory) = (Arc::clone(&self.shared), Arc::clone(&self.directory));
        StreamSlot::adopted(number, key, (tokens, table), shared, directory)
            .ok_or(NotAdopted::Unlike("stream"))
    }

    /// Has the kernel forget what nobody took over.
    pub fn forget_the_rest(&mut self) {
        for (number, key) in self.shared.announced() {
            if self.shared.stream_ids.adopt(number) {
                self.shared.withdraw(&key);
                self.shared.stream_ids.give_back(number);
            }
        }
        for outer in Outer::ALL {
            for id in self.numbers(outer) {
                let ids = self.directory.ids(outer);
                if ids.adopt(id) && !self.installer.ask(Change::Remove { outer, id }) {
                    ids.give_back(id);
                }
            }
        }
    }

    fn adopt_ring(&self, outer: Outer, stride: usize, id: u32) -> Result<(Ring, Place), NotAdopted> {
        let (memory, len) = match self.found(outer, id)? {
            Found::Memory(memory, len) => (memory, len),
            Found::Map(map) => mapped(&map, stride)?,
        };
        let place = self.adopt_place(outer, id, Ring::size(stride, len))?;
        Ok((Ring::adopt(memory, stride, len), place))
    }

    fn adopt_place(&self, outer: Outer, id: u32, size: usize) -> Result<Place, NotAdopted> {
        let place = Place::adopt(outer, id, size, &self.directory, &self.installer);
        place.ok_or(NotAdopted::InUse("ring or table"))
    }

    fn found(&self, outer: Outer, id: u32) -> Result<Found, NotAdopted> {
        if !self.is_adopted {
            return Err(NotAdopted::NoPins);
        }
        let Some(pins) = &self.pins else {
            let (memory, len) = attic(&self.attic)
                .get(&(outer, id))
                .cloned()
                .ok_or(NotAdopted::Absent)?;
            return Ok(Found::Memory(memory, len));
        };
        pins.get(&outer.pin(id))
            .map(Found::Map)
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => NotAdopted::Absent,
                _ => NotAdopted::Refused {
                    what: "ring or table",
                    source,
                },
            })
    }

    fn numbers(&self, outer: Outer) -> Vec<u32> {
        match &self.pins {
            Some(pins) => pins.numbers(outer.folder()),
            None => {
                let kept = attic(&self.attic);
                kept.keys()
                    .filter(|(of, _)| *of == outer)
                    .map(|(_, id)| *id)
                    .collect()
            }
        }
    }
}

/// Where a slot's memory is.
enum Found {
    Map(OwnedFd),
    Memory(Arc<Mapping>, u32),
}

/// The memory of all rings that were made and their lengths, by map and number.
pub(super) type Attic = Arc<Mutex<Rings>>;

type Rings = BTreeMap<(Outer, u32), (Arc<Mapping>, u32)>;

/// Remembers a slot for the next process.
pub(super) fn put_away(kept: &Attic, slot: (Outer, u32), what: (Arc<Mapping>, u32)) {
    attic(kept).insert(slot, what);
}

fn attic(kept: &Attic) -> MutexGuard<'_, Rings> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The memory of a map, and how many slots it has.
fn mapped(map: &OwnedFd, stride: usize) -> Result<(Arc<Mapping>, u32), NotAdopted> {
    let refused = |source| NotAdopted::Refused { what: "ring", source };
    let info = MapData::from_fd(map.try_clone().map_err(refused)?)
        .and_then(|map| map.info())
        .map_err(|error| refused(io::Error::other(error)))?;
    let (found, len) = (info.value_size() as usize, info.max_entries());
    if found != stride || !len.is_power_of_two() || len > MAX_RING {
        return Err(NotAdopted::Unlike("ring"));
    }
    let memory = Mapping::of_map(map.as_fd(), Ring::size(stride, len)).map_err(refused)?;
    Ok((Arc::new(memory), len))
}
