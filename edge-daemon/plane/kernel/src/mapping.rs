//! Memory that the kernel's programs share with us, or that stands in for such memory.
#![expect(
    unsafe_code,
    reason = "memory that the kernel writes to can only be reached through a raw pointer; every access through it is here"
)]

use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A mapped range. Words that both sides write are atomic; everything else has one writer at a time, which the records'
/// protocol names.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: NonZeroUsize,
}

// SAFETY: the range belongs to the value, not to a thread, and what it hands out is atomic or guarded by the caller.
unsafe impl Send for Mapping {}
// SAFETY: as above: shared access goes through atomics, plain access only through unsafe methods.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first `len` bytes of the values of an array that was made with `BPF_F_MMAPABLE`.
    pub(crate) fn of_map(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let len = not_empty(len)?;
        // SAFETY: the kernel chooses where, so nothing that exists is mapped over.
        let start = unsafe { mmap(None, len, read_and_write(), MapFlags::MAP_SHARED, map, 0) }?;
        Ok(Self {
            start: start.cast(),
            len,
        })
    }

    /// The first `len` bytes of a file in memory whose size nobody can change.
    pub(crate) fn of_file(file: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::of_map(file, len)
    }

    /// Zeroed memory of this process alone.
    pub(crate) fn anonymous(len: usize) -> io::Result<Self> {
        let len = not_empty(len)?;
        // SAFETY: the kernel chooses where, so nothing that exists is mapped over.
        let start = unsafe { mmap_anonymous(None, len, read_and_write(), MapFlags::MAP_PRIVATE) }?;
        Ok(Self {
            start: start.cast(),
            len,
        })
    }

    /// The word at this place, a multiple of its size.
    pub(crate) fn word(&self, at: usize) -> &AtomicU64 {
        let place = self.place(at, size_of::<AtomicU64>(), align_of::<AtomicU64>());
        // SAFETY: `place` is aligned and inside the range, which lives as long as `self`; all bytes are a valid word, and
        // other accesses to it are atomic too.
        unsafe { place.cast().as_ref() }
    }

    /// The half word at this place, a multiple of its size.
    pub(crate) fn half(&self, at: usize) -> &AtomicU32 {
        let place = self.place(at, size_of::<AtomicU32>(), align_of::<AtomicU32>());
        // SAFETY: as for `word`.
        unsafe { place.cast().as_ref() }
    }

    /// Lets `write` have some bytes.
    ///
    /// # Safety
    ///
    /// Until it returns, nobody else of this process reads or writes these bytes.
    pub(crate) unsafe fn with_bytes(&self, at: usize, len: usize, write: impl FnOnce(&mut [u8])) {
        let place = self.place(at, len, 1);
        // SAFETY: the bytes are inside the range, and the caller has them alone.
        write(unsafe { NonNull::slice_from_raw_parts(place, len).as_mut() });
    }

    /// Writes a record without padding.
    ///
    /// # Safety
    ///
    /// Nobody else of this process reads or writes its place at this moment.
    pub(crate) unsafe fn write<T: Copy>(&self, at: usize, record: T) {
        let place = self.place(at, size_of::<T>(), align_of::<T>());
        // SAFETY: `place` is aligned and inside the range, and the caller has it alone.
        unsafe { place.cast().write(record) };
    }

    /// Reads a record without padding.
    ///
    /// # Safety
    ///
    /// Nobody writes its place at this moment, and any bytes are a `T`.
    pub(crate) unsafe fn read<T: Copy>(&self, at: usize) -> T {
        let place = self.place(at, size_of::<T>(), align_of::<T>());
        // SAFETY: `place` is aligned and inside the range, and the caller says that it rests.
        unsafe { place.cast().read() }
    }

    fn place(&self, at: usize, len: usize, align: usize) -> NonNull<u8> {
        let end = at.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len.get()) && at.is_multiple_of(align),
            "{len} bytes at {at} of {}",
            self.len
        );
        // SAFETY: just checked to lie inside the range. Ranges start at a page, so what is aligned in them is aligned.
        unsafe { self.start.add(at) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, and nothing borrowed from it is left. It cannot fail for a range that is mapped.
        let _ = unsafe { munmap(self.start.cast(), self.len.get()) };
    }
}

fn not_empty(len: usize) -> io::Result<NonZeroUsize> {
    NonZeroUsize::new(len).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn read_and_write() -> ProtFlags {
    ProtFlags::PROT_READ | ProtFlags::PROT_WRITE
}

#[cfg(test)]
mod tests {
    use super::Mapping;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn fresh_memory_is_zero_and_keeps_what_is_written() {
        let memory = Mapping::anonymous(4_096).expect("memory");
        assert_eq!(memory.word(4_088).swap(7, Relaxed), 0);
        assert_eq!(memory.half(4_088).load(Relaxed), 7);
    }

    #[test]
    #[should_panic(expected = "8 bytes at 4096 of 4096")]
    fn nothing_beyond_the_end_is_reached() {
        Mapping::anonymous(4_096).expect("memory").word(4_096);
    }

    #[test]
    #[should_panic(expected = "8 bytes at 4 of 4096")]
    fn nothing_unaligned_is_reached() {
        Mapping::anonymous(4_096).expect("memory").word(4);
    }

    #[test]
    fn an_empty_range_is_an_error() {
        assert!(Mapping::anonymous(0).is_err());
    }
}
