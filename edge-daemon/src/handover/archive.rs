//! Where the state of the edge outlives its process: a memory file with room for two states.
//!
//! A state is written where the older of the two was, its description last. A process that is killed in between has spoilt
//! the older one, which its checksum shows, and left the newer one whole. Nothing of it is mapped: a reader checks what it copied.

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// The longest state in bytes. Memory is used for what was written alone.
pub(crate) const MAX_STATE: usize = 32 << 20;

/// Of the places where things are, not of what the states say.
const LAYOUT: u32 = 1;
const MAGIC: &[u8; 8] = b"lianmai\0";

/// The file begins with a page of its own.
const FIRST_SLOT: u64 = 4096;
const DESCRIPTION: usize = 20;
const SLOT: u64 = (DESCRIPTION + MAX_STATE) as u64;
const SIZE: u64 = FIRST_SLOT + 2 * SLOT;

/// Why there is no archive, or a state does not come into it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// A state is too long.
    #[error("the state has {bytes} bytes and the archive room for {MAX_STATE}; what is in it stays")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// What was kept is no archive.
    #[error("what was kept is no archive of this program")]
    Foreign,
    /// It was written by another version.
    #[error("the archive has layout {found} and this program writes layout {LAYOUT}; it starts anew")]
    Layout {
        /// What stands in it.
        found: u32,
    },
    /// The kernel refuses.
    #[error("the archive cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// Two states, the newer of which counts.
#[derive(Debug)]
pub(crate) struct Archive {
    file: File,
    generation: u64,
}

impl Archive {
    /// One without a state. Its size cannot be changed, by whoever has it.
    pub(crate) fn create() -> Result<Self, ArchiveError> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create("lianmai-archive", flags).map_err(io::Error::from)?);
        file.set_len(SIZE)?;
        file.write_all_at(&[MAGIC.as_slice(), &LAYOUT.to_le_bytes()].concat(), 0)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(io::Error::from)?;
        Ok(Self { file, generation: 0 })
    }

    /// One that an earlier process left, and the newest whole state in it.
    pub(crate) fn open(descriptor: OwnedFd) -> Result<(Self, Option<Vec<u8>>), ArchiveError> {
        let file = File::from(descriptor);
        if file.metadata()?.len() != SIZE {
            return Err(ArchiveError::Foreign);
        }
        check(&file)?;
        let states = [state(&file, 0)?, state(&file, 1)?];
        let newest = states
            .into_iter()
            .flatten()
            .max_by_key(|(generation, _)| *generation);
        let (generation, state) = newest.map_or((0, None), |(generation, state)| (generation, Some(state)));
        Ok((Self { file, generation }, state))
    }

    /// Puts a state in the place of the older one.
    pub(crate) fn write(&mut self, state: &[u8]) -> Result<(), ArchiveError> {
        if state.len() > MAX_STATE {
            return Err(ArchiveError::TooLong { bytes: state.len() });
        }
        let generation = self.generation + 1;
        let at = slot(generation);
        self.file.write_all_at(state, at + DESCRIPTION as u64)?;
        self.file.write_all_at(&description(generation, state), at)?;
        self.generation = generation;
        Ok(())
    }
}

impl AsFd for Archive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn check(file: &File) -> Result<(), ArchiveError> {
    let (mut magic, mut layout) = ([0; 8], [0; 4]);
    file.read_exact_at(&mut magic, 0)?;
    file.read_exact_at(&mut layout, 8)?;
    match u32::from_le_bytes(layout) {
        _ if magic != *MAGIC => Err(ArchiveError::Foreign),
        LAYOUT => Ok(()),
        found => Err(ArchiveError::Layout { found }),
    }
}

const fn slot(generation: u64) -> u64 {
    FIRST_SLOT + generation % 2 * SLOT
}

/// Generation, length, and a checksum of both and the state.
fn description(generation: u64, state: &[u8]) -> [u8; DESCRIPTION] {
    let mut bytes = [0; DESCRIPTION];
    bytes[..8].copy_from_slice(&generation.to_le_bytes());
    bytes[8..16].copy_from_slice(&(state.len() as u64).to_le_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&bytes[..16]);
    checksum.update(state);
    bytes[16..].copy_from_slice(&checksum.finalize().to_le_bytes());
    bytes
}

/// The whole state in a slot with its generation, if there is one.
fn state(file: &File, parity: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let (mut described, mut number) = ([0; DESCRIPTION], [0; 8]);
    file.read_exact_at(&mut described, slot(parity))?;
    number.copy_from_slice(&described[..8]);
    let generation = u64::from_le_bytes(number);
    number.copy_from_slice(&described[8..16]);
    let len = usize::try_from(u64::from_le_bytes(number)).unwrap_or(usize::MAX);
    if len > MAX_STATE || generation % 2 != parity || generation == u64::MAX {
        return Ok(None);
    }
    let mut state = vec![0; len];
    file.read_exact_at(&mut state, slot(parity) + DESCRIPTION as u64)?;
    Ok((description(generation, &state) == described).then_some((generation, state)))
}

#[cfg(test)]
mod tests;
