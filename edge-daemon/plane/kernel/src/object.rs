//! The object with the programs, and what it says of the maps that are made later.

use crate::Unavailable;
use crate::places::Outer;
use aya::maps::MapData;
use aya_obj::{EbpfSectionKind, Object};
use lianmai_fanout::ghash::Table;
use lianmai_fanout::records::{Pad, Token};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// `BPF_F_MMAPABLE` of linux/bpf.h.
const MMAPABLE: u32 = 1 << 10;

/// `BPF_F_INNER_MAP` of linux/bpf.h: maps of maps take arrays of other lengths.
const INNER_MAP: u32 = 1 << 12;

/// `BPF_MAP_TYPE_ARRAY` of linux/bpf.h.
const ARRAY: u32 = 2;

/// The object as it was taken into this binary.
pub(crate) fn built_in() -> Result<&'static [u8], Unavailable> {
    let object = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lianmai-xdp"));
    if object.is_empty() {
        return Err(Unavailable::NotBuilt);
    }
    Ok(object)
}

/// That of the benchmark.
pub(crate) fn floor() -> Result<&'static [u8], Unavailable> {
    let object = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lianmai-floor"));
    if object.is_empty() {
        return Err(Unavailable::NotBuilt);
    }
    Ok(object)
}

/// What the maps in a map of maps look like. The kernel takes only such as were declared.
#[derive(Debug)]
pub(crate) struct Shape {
    value_size: u32,
    flags: u32,
}

impl Shape {
    /// Makes such a map.
    pub(crate) fn make(&self, len: u32) -> io::Result<OwnedFd> {
        let definition = aya_obj::Map::new_from_params(ARRAY, 4, self.value_size, len, self.flags);
        let map = MapData::create(definition, "lianmai", None).map_err(|error| match error {
            aya::maps::MapError::CreateError { io_error, .. } => io_error,
            error => io::Error::other(error),
        })?;
        map.fd().as_fd().try_clone_to_owned()
    }
}

/// Those of all maps of maps.
#[derive(Debug)]
pub(crate) struct Shapes {
    names: Vec<String>,
    tables: Shape,
    tokens: Shape,
    pads: Shape,
}

impl Shapes {
    /// As the object declares them, if that is how this daemon uses them.
    pub(crate) fn declared(object: &[u8]) -> Result<Self, Unavailable> {
        let object = Object::parse(object).map_err(|error| Unavailable::Mismatch(error.to_string()))?;
        let declared = object
            .maps
            .iter()
            .filter(|(_, map)| map.section_kind() == EbpfSectionKind::BtfMaps);
        Ok(Self {
            names: declared.map(|(name, _)| name.clone()).collect(),
            tables: shape(&object, Outer::Tables, size_of::<Table>(), 0)?,
            tokens: shape(&object, Outer::Tokens, size_of::<Token>(), MMAPABLE | INNER_MAP)?,
            pads: shape(&object, Outer::Pads, size_of::<Pad>(), MMAPABLE | INNER_MAP)?,
        })
    }

    /// The maps that the programs declare. What the compiler made of constants is not among them.
    pub(crate) fn map_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(crate) fn of(&self, outer: Outer) -> &Shape {
        match outer {
            Outer::Tables => &self.tables,
            Outer::Tokens => &self.tokens,
            Outer::Pads => &self.pads,
        }
    }
}

fn shape(object: &Object, outer: Outer, size: usize, needed: u32) -> Result<Shape, Unavailable> {
    let name = outer.map_name();
    let map = object.maps.get(name).ok_or_else(|| Unavailable::missing(name))?;
    let inner = map.inner().ok_or_else(|| Unavailable::missing(name))?;
    let shape = Shape {
        value_size: inner.value_size(),
        flags: inner.map_flags(),
    };
    let is_ours =
        inner.map_type() == ARRAY && shape.value_size as usize == size && shape.flags & needed == needed;
    if is_ours {
        return Ok(shape);
    }
    Err(Unavailable::Mismatch(format!(
        "{name} is declared with maps of type {} of {} bytes with flags {:#x} instead of type {ARRAY} of {size} with {needed:#x}",
        inner.map_type(),
        shape.value_size,
        shape.flags,
    )))
}

#[cfg(test)]
mod tests {
    use super::Shapes;
    use crate::Unavailable;

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bytes in [&b""[..], b"not ELF", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]] {
            assert!(matches!(Shapes::declared(bytes), Err(Unavailable::Mismatch(_))));
        }
    }
}
