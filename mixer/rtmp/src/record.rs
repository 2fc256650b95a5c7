//! A recording that can be played after a crash.

use crate::flv::{Tag, file_header};
use crate::queue::TagQueue;
use crate::{QueueLimits, Rebase, StreamHeaders};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An FLV file that only grows: each tag is one write, nothing is patched later, so that whatever is on disk when the
/// process ends plays to its last whole tag. Times start at zero, with the first key frame.
#[derive(Debug)]
pub struct FlvFile {
    file: File,
    path: PathBuf,
    headers: StreamHeaders,
    gate: TagQueue,
    rebase: Rebase,
    bytes: u64,
}

/// A write that failed.
#[derive(Debug, thiserror::Error)]
#[error("recording to {path}: {source}")]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

impl FlvFile {
    /// Makes a new file; one that exists is not touched.
    ///
    /// # Errors
    /// When the file exists or cannot be made.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let failed = |source| RecordError {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(failed)?;
        // The header's flags cannot be patched in an append-only file: the mix has both tracks.
        file.write_all(&file_header(true, true)).map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            headers: StreamHeaders::default(),
            gate: TagQueue::new(QueueLimits {
                bytes: usize::MAX,
                duration: Duration::MAX,
            }),
            rebase: Rebase::starting_at(0),
            bytes: 13,
        })
    }

    /// Writes a tag, or leaves it out while the first key frame has not come.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, tag: &Tag) -> Result<(), RecordError> {
        self.headers.note(tag);
        self.gate.push(tag.clone());
        while let Some(tag) = self.gate.pop() {
            let bytes = self.rebase.apply(&tag).to_flv();
            self.file.write_all(&bytes).map_err(|source| RecordError {
                path: self.path.clone(),
                source,
            })?;
            self.bytes += u64::try_from(bytes.len()).unwrap_or_default();
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::FlvFile;
    use crate::Tag;
    use crate::flv::FlvReader;

    #[test]
    fn whatever_is_on_disk_is_a_stream_that_starts_at_zero() {
        let directory = std::env::temp_dir().join(format!("lianmai-record-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let path = directory.join("mix.flv");
        let mut file = FlvFile::create(&path).expect("a new file");
        for tag in [
            Tag {
                body: bytes::Bytes::from_static(&[0x17, 0, 0, 0, 0, 1]),
                ..Tag::avc_frame(5000, true, b"")
            },
            Tag::avc_frame(5000, false, b"cannot be decoded"),
            Tag::avc_frame(5040, true, b"key"),
            Tag::aac_frame(5050, b"sound"),
        ] {
            file.append(&tag).expect("written");
        }
        // The file is read while it is still open: nothing waits in a buffer of ours.
        let mut reader = FlvReader::new();
        reader.push(&std::fs::read(&path).expect("readable"));
        let times: Vec<u32> = std::iter::from_fn(|| reader.next_tag().expect("FLV"))
            .map(|tag| tag.timestamp_ms)
            .collect();
        assert_eq!(times, [0, 0, 10]);
        assert_eq!(file.bytes(), std::fs::metadata(&path).expect("there").len());
        assert!(
            FlvFile::create(&path).is_err(),
            "an existing recording is never overwritten"
        );
        std::fs::remove_dir_all(&directory).expect("ours");
    }
}
