//! The maps that are there once: streams by key, their records, their legs, and the peers.

use crate::Unavailable;
use crate::ids::Ids;
use crate::mapping::Mapping;
use crate::stream::NotAnnounced;
use aya::maps::{HashMap, Map, MapData, MapError};
use lianmai_fanout::records::{LEG_RECORDS, Leg, MAX_PEERS, MAX_STREAMS, Peer, Stream, StreamKey};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// `BPF_NOEXIST` of linux/bpf.h: insert, but do not replace.
const NO_REPLACEMENT: u64 = 1;

/// What all slots write to.
#[derive(Debug)]
pub(crate) struct Shared {
    /// [`Stream`] records, by number.
    pub(crate) streams: Arc<Mapping>,
    /// [`Leg`] records.
    pub(crate) legs: Arc<Mapping>,
    /// [`Peer`] records, by id.
    pub(crate) peers: Arc<Mapping>,
    pub(crate) stream_ids: Ids,
    pub(crate) peer_ids: Ids,
    keys: Mutex<Keys>,
}

enum Keys {
    Memory(BTreeMap<[u8; 24], u32>),
    Kernel(HashMap<MapData, [u8; 24], u32>),
}

const STREAMS_SIZE: usize = size_of::<Stream>() * MAX_STREAMS as usize;
const LEGS_SIZE: usize = size_of::<Leg>() * LEG_RECORDS as usize;
const PEERS_SIZE: usize = size_of::<Peer>() * MAX_PEERS as usize;

impl Shared {
    pub(crate) fn in_memory() -> io::Result<Self> {
        let maps = [STREAMS_SIZE, LEGS_SIZE, PEERS_SIZE].map(Mapping::anonymous);
        Ok(Self::over(
            maps.into_iter().collect::<io::Result<Vec<_>>>()?,
            Keys::Memory(BTreeMap::new()),
        ))
    }

    pub(crate) fn in_kernel(ebpf: &mut aya::Ebpf) -> Result<Self, Unavailable> {
        let keys = ebpf
            .take_map("STREAMS")
            .ok_or_else(|| Unavailable::missing("STREAMS"))?;
        let keys = HashMap::try_from(keys).map_err(Unavailable::from_map)?;
        let maps = vec![
            mapped(ebpf, "STREAM_RECORDS", size_of::<Stream>(), MAX_STREAMS)?,
            mapped(ebpf, "LEGS", size_of::<Leg>(), LEG_RECORDS)?,
            mapped(ebpf, "PEERS", size_of::<Peer>(), MAX_PEERS)?,
        ];
        Ok(Self::over(maps, Keys::Kernel(keys)))
    }

    /// As the next process finds it.
    pub(crate) fn left(&self) -> Self {
        let keys = match &*self.keys.lock().unwrap_or_else(PoisonError::into_inner) {
            Keys::Memory(keys) => keys.clone(),
            Keys::Kernel(_) => BTreeMap::new(),
        };
        Self {
            streams: Arc::clone(&self.streams),
            legs: Arc::clone(&self.legs),
            peers: Arc::clone(&self.peers),
            stream_ids: Ids::below(MAX_STREAMS),
            peer_ids: Ids::below(MAX_PEERS),
            keys: Mutex::new(Keys::Memory(keys)),
        }
    }

    pub(crate) fn announce(&self, key: &StreamKey, number: u32) -> Result<(), NotAnnounced> {
        let bytes = bytes(key);
        match &mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner) {
            Keys::Memory(keys) if keys.contains_key(&bytes) => Err(NotAnnounced::Taken(*key)),
            Keys::Memory(keys) => {
                keys.insert(bytes, number);
                Ok(())
            }
            Keys::Kernel(keys) => {
                keys.insert(bytes, number, NO_REPLACEMENT)
                    .map_err(|error| match errno(error) {
                        error if error.kind() == io::ErrorKind::AlreadyExists => NotAnnounced::Taken(*key),
                        error => NotAnnounced::Refused(error),
                    })
            }
        }
    }

    /// The keys under which streams are announced, by number.
    pub(crate) fn announced(&self) -> BTreeMap<u32, StreamKey> {
        match &*self.keys.lock().unwrap_or_else(PoisonError::into_inner) {
            Keys::Memory(keys) => keys.iter().map(|(bytes, number)| (*number, key(bytes))).collect(),
            Keys::Kernel(keys) => {
                let keys = keys.iter().filter_map(Result::ok);
                keys.map(|(bytes, number)| (number, key(&bytes))).collect()
            }
        }
    }

    pub(crate) fn withdraw(&self, key: &StreamKey) {
        match &mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner) {
            Keys::Memory(keys) => {
                keys.remove(&bytes(key));
            }
            Keys::Kernel(keys) => {
                // The record has expired already, so a key that stays behind leads nowhere.
                if let Err(error) = keys.remove(&bytes(key)) {
                    tracing::warn!(%error, "a stream's key stays in the kernel");
                }
            }
        }
    }

    fn over(maps: Vec<Mapping>, keys: Keys) -> Self {
        let [streams, legs, peers] = <[Mapping; 3]>::try_from(maps)
            .expect("three were made")
            .map(Arc::new);
        Self {
            streams,
            legs,
            peers,
            stream_ids: Ids::below(MAX_STREAMS),
            peer_ids: Ids::below(MAX_PEERS),
            keys: Mutex::new(keys),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Keys::Memory",
            Self::Kernel(_) => "Keys::Kernel",
        })
    }
}

/// A key as the map has it.
fn bytes(key: &StreamKey) -> [u8; 24] {
    let mut bytes = [0; 24];
    let parts = key
        .address
        .iter()
        .chain(&key.ssrc)
        .chain(&key.port)
        .chain(&key.reserved);
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = *from;
    }
    bytes
}

/// What [`bytes`] made of a key.
fn key(bytes: &[u8; 24]) -> StreamKey {
    let mut key = StreamKey {
        address: [0; 16],
        ssrc: [0; 4],
        port: [0; 2],
        reserved: [0; 2],
    };
    let parts = key
        .address
        .iter_mut()
        .chain(&mut key.ssrc)
        .chain(&mut key.port)
        .chain(&mut key.reserved);
    for (to, from) in parts.zip(bytes) {
        *to = *from;
    }
    key
}

/// The memory of an array. The array itself lives as long as its memory is mapped or a program uses it.
fn mapped(ebpf: &mut aya::Ebpf, name: &str, size: usize, count: u32) -> Result<Mapping, Unavailable> {
    let Some(Map::Array(map)) = ebpf.take_map(name) else {
        return Err(Unavailable::missing(name));
    };
    let info = map.info().map_err(Unavailable::from_map)?;
    let (found_size, found_count) = (info.value_size() as usize, info.max_entries());
    if (found_size, found_count) != (size, count) {
        return Err(Unavailable::Mismatch(format!(
            "{name} has {found_count} records of {found_size} bytes instead of {count} of {size}"
        )));
    }
    Ok(Mapping::of_map(map.fd().as_fd(), size * count as usize)?)
}

fn errno(error: MapError) -> io::Error {
    match error {
        MapError::SyscallError(error) => error.io_error,
        MapError::IoError(error) => error,
        error => io::Error::other(error),
    }
}
