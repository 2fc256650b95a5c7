//! The calls of bpf(2) that `aya` does not make, or makes with a fallback that we must not have.
#![expect(
    unsafe_code,
    reason = "bpf(2) has no wrapper: its attributes are pointers and lengths"
)]

use nix::errno::Errno;
use nix::libc;
use std::ffi::{CStr, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `enum bpf_cmd` of linux/bpf.h.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Command {
    ObjectPin = 6,
    ObjectGet = 7,
    MapUpdateBatch = 26,
    LinkCreate = 28,
    LinkUpdate = 29,
}

/// `BPF_XDP` of `enum bpf_attach_type`.
const ATTACH_XDP: u32 = 37;

/// `XDP_FLAGS_DRV_MODE` of linux/if_link.h: in the driver, or not at all.
const NATIVE: u32 = 1 << 2;

/// The member `batch` of `union bpf_attr`.
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// The member `link_create` of `union bpf_attr`, as far as XDP needs it.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target_interface: u32,
    attach_type: u32,
    flags: u32,
}

/// The member `link_update` of `union bpf_attr`, as far as XDP needs it.
#[repr(C)]
struct LinkUpdate {
    link: u32,
    new_program: u32,
    flags: u32,
    old_program: u32,
}

/// The member of `union bpf_attr` that has no name, for `BPF_OBJ_*`.
#[repr(C)]
struct Object {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// A batch that was not done to its end.
#[derive(Debug)]
pub(crate) struct Incomplete {
    /// How many elements were updated.
    pub(crate) done: usize,
    /// Why the next one was not.
    pub(crate) error: io::Error,
}

/// Sets elements of a map of maps. The kernel waits once for programs that may be using the old ones.
pub(crate) fn update_batch(
    map: BorrowedFd<'_>,
    keys: &[u32],
    values: &[BorrowedFd<'_>],
) -> Result<(), Incomplete> {
    let values: Vec<u32> = values.iter().map(|value| descriptor(*value)).collect();
    assert_eq!(keys.len(), values.len(), "a value for each key");
    let count = keys.len() as u32;
    let mut attributes = Batch {
        in_batch: 0,
        out_batch: 0,
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count,
        map: descriptor(map),
        element_flags: 0,
        flags: 0,
    };
    // SAFETY: the attributes are those of this command, and `keys` and `values` have `count` elements of four bytes each, as
    // maps of maps have; both outlive the call.
    let result = unsafe { bpf(Command::MapUpdateBatch, &mut attributes) };
    match result {
        Ok(_) => Ok(()),
        // The count is only written by a kernel that came to the elements.
        Err(error) if attributes.count == count => Err(Incomplete { done: 0, error }),
        Err(error) => Err(Incomplete {
            done: attributes.count as usize,
            error,
        }),
    }
}

/// Attaches a program to an interface in native mode, until the link is dropped.
pub(crate) fn attach_xdp(program: BorrowedFd<'_>, interface: u32) -> io::Result<OwnedFd> {
    let mut attributes = LinkCreate {
        program: descriptor(program),
        target_interface: interface,
        attach_type: ATTACH_XDP,
        flags: NATIVE,
    };
    // SAFETY: the attributes are those of this command and have no pointers.
    let link = unsafe { bpf(Command::LinkCreate, &mut attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(link as i32) })
}

/// Has a link run another program from now on. Every packet meets the old one or the new one.
pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = LinkUpdate {
        link: descriptor(link),
        new_program: descriptor(program),
        flags: 0,
        old_program: 0,
    };
    // SAFETY: the attributes are those of this command and have no pointers.
    unsafe { bpf(Command::LinkUpdate, &mut attributes) }?;
    Ok(())
}

/// Gives a map, program or link a path in a BPF file system, where it outlives this process.
pub(crate) fn pin(path: &CStr, object: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = Object {
        path: path.as_ptr() as u64,
        descriptor: descriptor(object),
        flags: 0,
    };
    // SAFETY: the attributes are those of this command, and the path ends in a zero and outlives the call.
    unsafe { bpf(Command::ObjectPin, &mut attributes) }?;
    Ok(())
}

/// What has this path in a BPF file system.
pub(crate) fn pinned(path: &CStr) -> io::Result<OwnedFd> {
    let mut attributes = Object {
        path: path.as_ptr() as u64,
        descriptor: 0,
        flags: 0,
    };
    // SAFETY: as for `pin`.
    let object = unsafe { bpf(Command::ObjectGet, &mut attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(object as i32) })
}

/// # Safety
///
/// `attributes` are those of the command, and every pointer in them is valid for what the kernel does with it.
unsafe fn bpf<T>(command: Command, attributes: &mut T) -> io::Result<c_long> {
    let attributes: *mut T = attributes;
    // SAFETY: the caller vouches for the attributes; the kernel takes missing ones at the end as zero.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as i32, attributes, size_of::<T>()) };
    Ok(Errno::result(result)?)
}

/// As the attributes have it; a descriptor in use is never negative.
fn descriptor(file: BorrowedFd<'_>) -> u32 {
    file.as_raw_fd().cast_unsigned()
}
