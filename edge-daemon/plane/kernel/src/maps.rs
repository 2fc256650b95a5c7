//! The maps, and the slots in them that streams, legs and peers are given.

mod adoption;

use adoption::Attic;
pub use adoption::NotAdopted;

use crate::Unavailable;
use crate::installer::{Installer, OuterMap};
use crate::mapping::Mapping;
use crate::object::{Shape, Shapes};
use crate::pads::Pads;
use crate::peer::PeerSlot;
use crate::pins::Pins;
use crate::places::{Directory, Outer, Place};
use crate::ring::{MAX_RING, Ring};
use crate::shared::Shared;
use crate::stream::StreamSlot;
use crate::table::{self, TableSlot};
use crate::tokens::Tokens;
use lianmai_fanout::ghash::Table;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Hands out slots, each of which returns itself when it is dropped.
#[derive(Debug)]
pub struct Maps {
    shapes: Option<Shapes>,
    directory: Arc<Directory>,
    installer: Installer,
    shared: Arc<Shared>,
    pins: Option<Arc<Pins>>,
    /// What stands in for pins where there is no kernel.
    attic: Attic,
    /// Whether they are those of an earlier process.
    is_adopted: bool,
}

/// Why there is no slot to be had. The daemon forwards the stream or leg itself.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// All are in use.
    #[error("all {limit} {bound} of the kernel plane are in use")]
    Bound {
        /// Of what.
        bound: Bound,
        /// How many there are.
        limit: u32,
    },
    /// A ring cannot have this length.
    #[error("a ring cannot have {len} slots: take a power of two, {MAX_RING} at most")]
    Length {
        /// What was asked for.
        len: u32,
    },
    /// The kernel gives no memory.
    #[error(
        "no memory for one of the {bound} of the kernel plane ({source}): look at the memory limit of the service"
    )]
    Refused {
        /// Of what.
        bound: Bound,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What there is a limited number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `records::MAX_STREAMS`, of rings of tokens.
    Tokens,
    /// `records::MAX_PAD_RINGS`.
    Pads,
    /// `records::MAX_TABLES`.
    Tables,
    /// `records::MAX_PEERS`.
    Peers,
    /// `records::MAX_STREAMS`.
    Streams,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tokens => "rings of tokens",
            Self::Pads => "rings of pads",
            Self::Tables => "hash tables",
            Self::Peers => "peers",
            Self::Streams => "streams",
        })
    }
}

impl Maps {
    /// Maps without a kernel, in which rings are installed at once: for tests of what uses them.
    pub fn in_memory() -> io::Result<Self> {
        Ok(Self {
            shapes: None,
            directory: Arc::new(Directory::new()),
            installer: Installer::nobody(),
            shared: Arc::new(Shared::in_memory()?),
            pins: None,
            attic: Attic::default(),
            is_adopted: false,
        })
    }

    /// The same memory as the next process finds it, if this one is killed now.
    #[must_use]
    pub fn left_in_memory(&self) -> Self {
        Self {
            shapes: None,
            directory: Arc::new(Directory::new()),
            installer: Installer::nobody(),
            shared: Arc::new(self.shared.left()),
            pins: None,
            attic: Arc::clone(&self.attic),
            is_adopted: true,
        }
    }

    /// Over the maps of a loaded object. With pins, what is made here outlives this process.
    pub(crate) fn in_kernel(
        ebpf: &mut aya::Ebpf,
        shapes: Shapes,
        pins: Option<Arc<Pins>>,
        is_adopted: bool,
    ) -> Result<Self, Unavailable> {
        let shared = Arc::new(Shared::in_kernel(ebpf)?);
        let directory = Arc::new(Directory::new());
        let maps = Outer::ALL
            .into_iter()
            .map(|outer| outer_map(ebpf, &shapes, outer))
            .collect::<Result<Vec<OuterMap>, Unavailable>>()?;
        Ok(Self {
            installer: Installer::start(maps, Arc::clone(&directory), pins.clone())?,
            shapes: Some(shapes),
            directory,
            shared,
            pins,
            attic: Attic::default(),
            is_adopted,
        })
    }

    /// A ring of tokens with nothing in it yet.
    pub fn tokens(&mut self, len: u32) -> Result<Tokens, NoRoom> {
        let (ring, place) = self.ring(Outer::Tokens, Bound::Tokens, Tokens::STRIDE, len)?;
        Ok(Tokens::new(ring, place))
    }

    /// A ring of pads with nothing in it yet.
    pub fn pads(&mut self, len: u32) -> Result<Pads, NoRoom> {
        let (ring, place) = self.ring(Outer::Pads, Bound::Pads, Pads::STRIDE, len)?;
        Ok(Pads::new(ring, place))
    }

    /// The hash table of one key, whose hash subkey is E(K, 0).
    pub fn table(&mut self, hash_subkey: [u8; 16]) -> Result<TableSlot, NoRoom> {
        let place = self.place(Outer::Tables, Bound::Tables, size_of::<Table>())?;
        let map = match &self.shapes {
            None => None,
            Some(shapes) => {
                let map =
                    table::filled(shapes.of(Outer::Tables), hash_subkey).map_err(refused(Bound::Tables))?;
                Some(map)
            }
        };
        if self.shapes.is_none() {
            adoption::put_away(
                &self.attic,
                (Outer::Tables, place.id()),
                (
                    Arc::new(Mapping::anonymous(1).map_err(refused(Bound::Tables))?),
                    1,
                ),
            );
        }
        place.install(map);
        Ok(TableSlot::new(place))
    }

    /// A counter of transport-wide sequence numbers that the kernel shares.
    pub fn peer(&mut self) -> Result<PeerSlot, NoRoom> {
        let id = self.shared.peer_ids.take();
        let id = id.ok_or_else(|| in_use(Bound::Peers, self.shared.peer_ids.limit()))?;
        Ok(PeerSlot::shared(id, Arc::clone(&self.shared)))
    }

    /// A stream that nobody can find yet.
    pub fn stream(&mut self) -> Result<StreamSlot, NoRoom> {
        let number = self.shared.stream_ids.take();
        let number = number.ok_or_else(|| in_use(Bound::Streams, self.shared.stream_ids.limit()))?;
        Ok(StreamSlot::new(
            number,
            Arc::clone(&self.shared),
            Arc::clone(&self.directory),
        ))
    }

    /// Bytes of rings and tables in use.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.directory.memory()
    }

    fn ring(&self, outer: Outer, bound: Bound, stride: usize, len: u32) -> Result<(Ring, Place), NoRoom> {
        if !len.is_power_of_two() || len > MAX_RING {
            return Err(NoRoom::Length { len });
        }
        let size = Ring::size(stride, len);
        let place = self.place(outer, bound, size)?;
        let (memory, map) = match &self.shapes {
            None => (Mapping::anonymous(size), None),
            Some(shapes) => {
                let map = shapes.of(outer).make(len).map_err(refused(bound))?;
                (Mapping::of_map(map.as_fd(), size), Some(map))
            }
        };
        let memory = Arc::new(memory.map_err(refused(bound))?);
        if self.shapes.is_none() {
            adoption::put_away(&self.attic, (outer, place.id()), (Arc::clone(&memory), len));
        }
        let ring = Ring::new(memory, stride, len);
        // Only now: the kernel must not find it before its slots say that they are empty.
        place.install(map);
        Ok((ring, place))
    }

    fn place(&self, outer: Outer, bound: Bound, size: usize) -> Result<Place, NoRoom> {
        Place::take(outer, size, &self.directory, &self.installer).ok_or_else(|| in_use(bound, outer.limit()))
    }
}

fn in_use(bound: Bound, limit: u32) -> NoRoom {
    NoRoom::Bound { bound, limit }
}

fn refused(bound: Bound) -> impl FnOnce(io::Error) -> NoRoom {
    move |source| NoRoom::Refused { bound, source }
}

fn outer_map(ebpf: &mut aya::Ebpf, shapes: &Shapes, outer: Outer) -> Result<OuterMap, Unavailable> {
    let name = outer.map_name();
    let Some(aya::maps::Map::ArrayOfMaps(map)) = ebpf.take_map(name) else {
        return Err(Unavailable::missing(name));
    };
    let entries = map.info().map_err(Unavailable::from_map)?.max_entries();
    if entries < outer.limit() {
        return Err(Unavailable::Mismatch(format!(
            "{name} has {entries} places instead of {}",
            outer.limit()
        )));
    }
    let empty = empty(shapes.of(outer), outer)?;
    Ok(OuterMap { outer, map, empty })
}

/// One slot that no index finds, or a table that no stream or leg is directed to.
fn empty(shape: &Shape, outer: Outer) -> io::Result<OwnedFd> {
    let map = shape.make(1)?;
    let stride = match outer {
        Outer::Tables => return Ok(map),
        Outer::Tokens => Tokens::STRIDE,
        Outer::Pads => Pads::STRIDE,
    };
    drop(Ring::new(
        Arc::new(Mapping::of_map(map.as_fd(), stride)?),
        stride,
        1,
    ));
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::{Bound, Maps, NoRoom};
    use crate::ring::MAX_RING;
    use lianmai_fanout::ghash::Table;
    use lianmai_fanout::records::{MAX_PEERS, MAX_STREAMS, MAX_TABLES};

    fn maps() -> Maps {
        Maps::in_memory().expect("memory")
    }

    #[test]
    fn dropped_slots_can_be_had_again() {
        let mut maps = maps();
        let all: Vec<_> = (0..MAX_STREAMS).map(|_| maps.tokens(1).expect("room")).collect();
        let Err(error) = maps.tokens(1) else {
            panic!("one too many")
        };
        assert!(matches!(
            error,
            NoRoom::Bound {
                bound: Bound::Tokens,
                limit: MAX_STREAMS
            }
        ));
        assert_eq!(
            error.to_string(),
            "all 4096 rings of tokens of the kernel plane are in use"
        );
        drop(all);
        assert_eq!(maps.tokens(1).expect("all came back").id(), 0);
    }

    #[test]
    fn a_new_ring_in_a_used_place_knows_nothing_of_the_old() {
        let mut maps = maps();
        for _ in 0..=MAX_STREAMS {
            let tokens = maps.tokens(1).expect("room");
            assert_eq!(tokens.claim(5), crate::Claim::NoSlot);
            tokens.put(5, [0; 16], true);
        }
    }

    #[test]
    fn each_kind_has_its_own_bound() {
        let mut maps = maps();
        let streams: Vec<_> = (0..MAX_STREAMS).map(|_| maps.stream().expect("room")).collect();
        let peers: Vec<_> = (0..MAX_PEERS).map(|_| maps.peer().expect("room")).collect();
        let tables: Vec<_> = (0..MAX_TABLES)
            .map(|_| maps.table([1; 16]).expect("room"))
            .collect();
        assert!(matches!(
            maps.stream(),
            Err(NoRoom::Bound {
                bound: Bound::Streams,
                ..
            })
        ));
        assert!(matches!(
            maps.peer(),
            Err(NoRoom::Bound {
                bound: Bound::Peers,
                ..
            })
        ));
        assert!(matches!(
            maps.table([1; 16]),
            Err(NoRoom::Bound {
                bound: Bound::Tables,
                ..
            })
        ));
        assert!(maps.pads(1).is_ok());
        drop((streams, peers, tables));
        assert!(maps.stream().is_ok() && maps.peer().is_ok() && maps.table([1; 16]).is_ok());
    }

    #[test]
    fn memory_is_counted_while_it_is_in_use() {
        let mut maps = maps();
        assert_eq!(maps.memory(), 0);
        let (tokens, pads, table) = (maps.tokens(256), maps.pads(1_024), maps.table([1; 16]));
        let table_len = size_of::<Table>() as u64;
        assert_eq!(maps.memory(), 256 * 32 + 1_024 * 1_280 + table_len);
        drop((tokens, pads));
        assert_eq!(maps.memory(), table_len);
        drop(table);
        assert_eq!(maps.memory(), 0);
    }

    /// A room of four at 300 video and 50 audio packets per second, each stream to three others.
    #[test]
    fn a_room_of_four_takes_less_than_32_mib() {
        let mut maps = maps();
        let mut slots = Vec::new();
        for _ in 0..4 {
            for (tokens, len) in [(8_192, 1_024), (256, 256)] {
                let pads: Vec<_> = (0..3).map(|_| maps.pads(len).expect("room")).collect();
                slots.push((maps.tokens(tokens).expect("room"), pads));
            }
        }
        let tables: Vec<_> = (0..4 + 4 * 3)
            .map(|_| maps.table([1; 16]).expect("room"))
            .collect();
        assert!(maps.memory() < 32 << 20, "{} bytes", maps.memory());
        drop(tables);
    }

    #[test]
    fn rings_have_powers_of_two_up_to_the_longest() {
        let mut maps = maps();
        for len in [0, 3, 1_000, MAX_RING + 1, 2 * MAX_RING, u32::MAX] {
            assert!(matches!(maps.pads(len), Err(NoRoom::Length { .. })), "{len}");
        }
        assert!(maps.pads(MAX_RING).is_ok() && maps.pads(1).is_ok());
    }

    #[test]
    fn slots_may_outlive_the_maps() {
        let mut maps = maps();
        let (tokens, peer, stream) = (maps.tokens(4), maps.peer(), maps.stream());
        drop(maps);
        assert!(tokens.expect("room").put(1, [0; 16], false));
        assert_eq!(peer.expect("room").next_transport_sequence(), 0);
        stream.expect("room").renew(1);
    }
}
