//! What outlives the daemon: maps, programs' link and rings under a path in a BPF file system.
//!
//! The path carries the ABI of the records, so that a daemon never finds what it does not understand:
//! `ROOT/lianmai/abi-2/eth0/{STREAMS, ..., link, tokens/7, pads/9, tables/3}`.

use crate::sys;
use lianmai_fanout::records::ABI;
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A daemon's folder in a BPF file system.
#[derive(Debug)]
pub(crate) struct Pins {
    folder: PathBuf,
}

/// Why nothing can be pinned.
#[derive(Debug, thiserror::Error)]
pub enum NotPinned {
    /// No BPF file system is mounted there.
    #[error(
        "{} is no BPF file system: mount one (`mount -t bpf bpf {}`) or name another with --pins",
        .0.display(),
        .0.display()
    )]
    NoFileSystem(PathBuf),
    /// It is not ours to write to.
    #[error("cannot make {} ({source}): the daemon's user must be able to write there, see --pins", path.display())]
    Folder {
        /// What was to be made.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Pins {
    /// The folder of an interface, which is made if it is not there.
    pub(crate) fn open(root: &Path, interface: &str) -> Result<Self, NotPinned> {
        let is_bpf = statfs(root).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC);
        if !is_bpf {
            return Err(NotPinned::NoFileSystem(root.to_owned()));
        }
        let folder = root.join(format!("lianmai/abi-{ABI}/{interface}"));
        std::fs::create_dir_all(&folder).map_err(|source| NotPinned::Folder {
            path: folder.clone(),
            source,
        })?;
        Ok(Self { folder })
    }

    /// Where a map of this name belongs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether something has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Gives an object a name, which it takes away from an earlier one.
    pub(crate) fn put(&self, name: &str, object: BorrowedFd<'_>) -> io::Result<()> {
        let path = self.path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        self.remove(name)?;
        sys::pin(&text(&path)?, object)
    }

    /// The object with this name.
    pub(crate) fn get(&self, name: &str) -> io::Result<OwnedFd> {
        sys::pinned(&text(&self.path(name))?)
    }

    /// Takes a name away, if it is there. The object goes when nobody else has it.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The numbers under which something is pinned in a folder within ours.
    pub(crate) fn numbers(&self, folder: &str) -> Vec<u32> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Takes all names away, and with them whatever only they keep alive.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_dir() {
                std::fs::remove_dir_all(path)?;
            } else {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Takes all names away, and the folder.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.clear()?;
        std::fs::remove_dir(&self.folder)
    }
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::{NotPinned, Pins};

    #[test]
    fn another_file_system_is_refused_with_what_to_do() {
        let folder = std::env::temp_dir();
        let error = Pins::open(&folder, "eth0").expect_err("no BPF file system");
        assert!(matches!(error, NotPinned::NoFileSystem(_)));
        assert!(error.to_string().contains("mount -t bpf bpf"), "{error}");
    }
}
