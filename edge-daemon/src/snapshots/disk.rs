//! Files of snapshots, written by a thread of their own: disks are slow at times.

use super::Metrics;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

/// Files that wait for the disk.
const QUEUE: usize = 64;

/// Characters of a room or a user in the name of a file.
const MAX_NAME: usize = 60;

/// A directory to write to.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    queue: SyncSender<(String, Vec<u8>)>,
    metrics: Metrics,
}

impl Disk {
    /// Starts the thread, which ends with the last clone.
    pub(crate) fn start(directory: PathBuf, metrics: Metrics) -> io::Result<Self> {
        let (queue, files) = sync_channel(QUEUE);
        let counted = metrics.clone();
        thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || write_all(&directory, &files, &counted))?;
        Ok(Self { queue, metrics })
    }

    /// Queues a file; drops it if the disk is too slow.
    pub(super) fn write(&self, name: String, jpeg: Vec<u8>) {
        if let Err(TrySendError::Full((name, _)) | TrySendError::Disconnected((name, _))) =
            self.queue.try_send((name, jpeg))
        {
            tracing::warn!(name, "the disk is too slow for snapshots: one is not written");
            self.metrics.count_file("dropped");
        }
    }
}

fn write_all(directory: &Path, files: &Receiver<(String, Vec<u8>)>, metrics: &Metrics) {
    for (name, jpeg) in files {
        match write(&directory.join(name), &jpeg) {
            Ok(()) => metrics.count_file("written"),
            Err(error) => {
                tracing::error!(directory = %directory.display(), %error, "a snapshot is not written");
                metrics.count_file("failed");
            }
        }
    }
}

/// Under its name a file is whole.
fn write(path: &Path, jpeg: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let part = path.with_extension("part");
    let written = fs::write(&part, jpeg).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        fs::remove_file(&part).ok();
    }
    written
}

/// `ROOM/host-USER-MILLISECONDS.jpg` or `ROOM/mix-MILLISECONDS.jpg`, whatever the names have in them.
pub(super) fn name(room: &str, user: Option<&str>, taken_ms: u64) -> String {
    let subject = user.map_or("mix".to_owned(), |user| format!("host-{}", plain(user)));
    format!("{}/{subject}-{taken_ms}.jpg", plain(room))
}

fn plain(name: &str) -> String {
    let is_plain = |character: &char| character.is_alphanumeric() || matches!(character, '-' | '_');
    name.chars()
        .take(MAX_NAME)
        .map(|character| Some(character).filter(is_plain).unwrap_or('_'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::{Disk, name};
    use std::fs;
    use std::time::{Duration, Instant};

    #[test]
    fn a_name_cannot_leave_the_directory_of_its_room() {
        assert_eq!(
            name("show", Some("ann"), 1_795_804_502_123),
            "show/host-ann-1795804502123.jpg"
        );
        assert_eq!(name("连麦 1", None, 7), "连麦_1/mix-7.jpg");
        assert_eq!(name("../..", Some("/etc/x"), 7), "_____/host-_etc_x-7.jpg");
        assert!(
            name(&"r".repeat(128), Some(&"连".repeat(42)), 7)
                .split('/')
                .all(|part| part.len() < 256)
        );
    }

    fn wait(counted: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !counted() {
            assert!(Instant::now() < deadline, "nothing was counted");
            std::thread::yield_now();
        }
    }

    fn files(metrics: &Metrics, outcome: &'static str) -> u64 {
        metrics.files.get_or_create(&[("outcome", outcome)]).get()
    }

    #[test]
    fn files_appear_whole_under_their_names() {
        let (directory, metrics) = (tempfile::tempdir().expect("a directory"), Metrics::default());
        let disk = Disk::start(directory.path().to_owned(), metrics.clone()).expect("a thread");
        disk.write("show/mix-1.jpg".to_owned(), b"jpeg".to_vec());
        wait(|| files(&metrics, "written") == 1);
        let written = fs::read(directory.path().join("show/mix-1.jpg")).expect("there");
        assert_eq!(written, b"jpeg");
        assert_eq!(
            fs::read_dir(directory.path().join("show"))
                .expect("there")
                .count(),
            1
        );
    }

    #[test]
    fn a_disk_that_refuses_is_counted_and_tried_again_with_the_next() {
        let (directory, metrics) = (tempfile::tempdir().expect("a directory"), Metrics::default());
        fs::write(directory.path().join("show"), b"in the way").expect("written");
        let disk = Disk::start(directory.path().to_owned(), metrics.clone()).expect("a thread");
        disk.write("show/mix-1.jpg".to_owned(), b"jpeg".to_vec());
        disk.write("other/mix-1.jpg".to_owned(), b"jpeg".to_vec());
        wait(|| (files(&metrics, "failed"), files(&metrics, "written")) == (1, 1));
    }
}
