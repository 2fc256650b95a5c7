//! A daemon, hosts and an RTMP server for the mixer under test.

pub(crate) mod daemon;
pub(crate) mod damage;
pub(crate) mod host;
pub(crate) mod media;
pub(crate) mod sink;
pub(crate) mod streams;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, gone at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes it.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lianmai-mixer-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory can be made");
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
