//! The memory that the program reads pictures from. It is written to, never mapped here: whatever the program does with it,
//! nobody here has to read from it.

use lianmai_compositor::{Frame, Size};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// Pictures that the program may have at a time, one of a host.
pub(super) const SLOTS: usize = 16;

/// No side of a picture is longer.
pub(super) const MAX_SIDE: usize = 640;

/// The number of the picture, and room so that samples begin at a cache line.
const HEADER: usize = 64;

const SLOT_BYTES: usize = HEADER + MAX_SIDE * MAX_SIDE * 3 / 2;

/// All slots, in an anonymous file whose size cannot be changed by anybody.
#[derive(Debug)]
pub(super) struct Memory {
    file: File,
    packed: Vec<u8>,
}

impl Memory {
    pub(super) const BYTES: usize = SLOTS * SLOT_BYTES;

    pub(super) fn new() -> io::Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create("lianmai-vision", flags)?);
        file.set_len(Self::BYTES as u64)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(Self {
            file,
            packed: Vec::new(),
        })
    }

    /// Where the samples of a slot begin.
    pub(super) const fn offset(slot: usize) -> usize {
        slot * SLOT_BYTES + HEADER
    }

    /// Writes a picture, whose sides are [`MAX_SIDE`] at most, and its number.
    pub(super) fn put(&mut self, slot: usize, number: u64, picture: &Frame) -> io::Result<()> {
        let Size { width, height } = picture.size();
        debug_assert!(slot < SLOTS && width <= MAX_SIDE && height <= MAX_SIDE);
        self.packed.clear();
        self.packed.extend_from_slice(&number.to_le_bytes());
        self.packed.resize(HEADER, 0);
        for plane in picture.view().planes() {
            plane.rows().for_each(|row| self.packed.extend_from_slice(row));
        }
        self.file.write_all_at(&self.packed, (slot * SLOT_BYTES) as u64)
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, SLOT_BYTES, SLOTS};
    use lianmai_compositor::{Color, Frame, Size};
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_picture_lies_in_its_slot_without_padding_behind_its_number() {
        let mut memory = Memory::new().expect("memory");
        let mut frame = Frame::new(Size::new(10, 6)).expect("a picture");
        frame.fill(Color { y: 1, u: 2, v: 3 });
        memory.put(3, 0x0102, &frame).expect("written");
        let mut bytes = vec![9; 100];
        memory
            .file
            .read_exact_at(&mut bytes, Memory::offset(3) as u64)
            .expect("there");
        let wanted: Vec<u8> = [(1, 60), (2, 15), (3, 15), (0, 10)]
            .iter()
            .flat_map(|(value, count)| vec![*value; *count])
            .collect();
        assert_eq!(bytes, wanted);
        let mut number = [0; 8];
        memory
            .file
            .read_exact_at(&mut number, 3 * SLOT_BYTES as u64)
            .expect("there");
        assert_eq!(u64::from_le_bytes(number), 0x0102);
    }

    #[test]
    fn whoever_has_the_descriptor_cannot_change_its_size() {
        let memory = Memory::new().expect("memory");
        for len in [0, Memory::BYTES as u64 * 2] {
            assert!(memory.file.set_len(len).is_err());
        }
        assert_eq!(Memory::offset(SLOTS - 1) + SLOT_BYTES - 64, Memory::BYTES);
    }
}
