//! Hash tables, one for each key of each direction.
#![expect(unsafe_code, reason = "`aya` wants a promise that a value is plain words")]

use crate::object::Shape;
use crate::places::Place;
use aya::maps::{Array, MapData};
use lianmai_fanout::ghash::Table;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The hash table of one key. On drop it leaves the kernel; drop it only when nothing is directed to it any more, and a grace of
/// 20 ms after.
#[derive(Debug)]
pub struct TableSlot {
    place: Place,
}

impl TableSlot {
    pub(crate) fn new(place: Place) -> Self {
        Self { place }
    }

    /// Its number in the map of tables.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.place.id()
    }

    /// Whether the kernel has it: that takes some milliseconds.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.place.is_installed()
    }
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value(Table);

// SAFETY: a table is words without padding, and any words are a table.
unsafe impl aya::Pod for Value {}

/// A map that holds the table of this hash subkey.
pub(crate) fn filled(shape: &Shape, hash_subkey: [u8; 16]) -> io::Result<OwnedFd> {
    let map = shape.make(1)?;
    let mut table = Box::new(Value(Table::EMPTY));
    table.0.fill(hash_subkey);
    let data = MapData::from_fd(map.as_fd().try_clone_to_owned()?).map_err(io::Error::other)?;
    let mut array =
        Array::<MapData, Value>::try_from(aya::maps::Map::Array(data)).map_err(io::Error::other)?;
    array.set(0, *table, 0).map_err(io::Error::other)?;
    Ok(map)
}
