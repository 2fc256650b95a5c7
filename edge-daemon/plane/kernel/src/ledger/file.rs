//! The file of a ledger.

use crate::mapping::Mapping;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;
use nix::unistd::ftruncate;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::{Acquire, Release};

/// Records at most: those of some 20,000 PeerConnections. Only pages that were used take memory.
pub(super) const RECORDS: u32 = 131_072;

/// Bytes of a record.
pub(super) const RECORD: usize = 256;

/// Bytes before the records: [`MAGIC`], and at [`NEXT`] the number of records that were ever used.
pub(super) const HEADER: usize = 4_096;
pub(super) const NEXT: usize = 8;

/// `LMLEDGR` and the version of everything in this folder.
const MAGIC: u64 = u64::from_be_bytes(*b"LMLEDGR\x01");

/// Why a file is not taken for a ledger.
#[derive(Debug, thiserror::Error)]
pub enum BadLedger {
    /// Another size or version.
    #[error("the ledger was left by another version")]
    Version,
    /// Its size could change while it is mapped.
    #[error("the ledger's file is not sealed")]
    NotSealed,
    /// It cannot be mapped.
    #[error("the ledger cannot be read")]
    Unreadable(#[from] io::Error),
}

pub(super) const fn size(records: u32) -> usize {
    HEADER + records as usize * RECORD
}

/// A file of that size for good.
pub(super) fn create() -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = memfd_create(c"lianmai-ledger", flags)?;
    let len = i64::try_from(size(RECORDS)).map_err(io::Error::other)?;
    ftruncate(&file, len)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals() | SealFlag::F_SEAL_SEAL))?;
    Ok(file)
}

pub(super) fn mark(memory: &Mapping) {
    memory.word(0).store(MAGIC, Release);
}

pub(super) fn open(file: &OwnedFd) -> Result<Mapping, BadLedger> {
    let sealed = fcntl(file, FcntlArg::F_GET_SEALS).map_err(io::Error::from)?;
    if !SealFlag::from_bits_retain(sealed).contains(seals()) {
        return Err(BadLedger::NotSealed);
    }
    let len = fstat(file).map_err(io::Error::from)?.st_size;
    if usize::try_from(len) != Ok(size(RECORDS)) {
        return Err(BadLedger::Version);
    }
    let memory = Mapping::of_file(file.as_fd(), size(RECORDS))?;
    if memory.word(0).load(Acquire) != MAGIC {
        return Err(BadLedger::Version);
    }
    Ok(memory)
}

fn seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW
}
