//! A recording of the mix, on a thread of its own: disks are slow at times.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use lianmai_rtmp::{FlvFile, RecordError, Tag};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tags that wait for the disk: about ten seconds.
const QUEUE: usize = 1024;

/// Recordings of one room that begin in the same second.
const MAX_NAMESAKES: u32 = 100;

/// Characters of the room in the file's name.
const MAX_NAME: usize = 80;

/// Writes tags to one file. Errors end the recording, never the mix.
pub(crate) struct Recorder {
    queue: Option<Sender<Tag>>,
    thread: Option<JoinHandle<()>>,
    waiting_for_key: bool,
    dropped: u64,
}

impl Recorder {
    /// A recording `{room}-{utc time}.flv` in `directory`.
    pub(crate) fn create(directory: &Path, room: &str) -> Result<Self, RecordError> {
        let file = create(directory, room, SystemTime::now())?;
        tracing::info!(path = %file.path().display(), "recording");
        let (queue, tags) = bounded(QUEUE);
        let path = file.path().to_owned();
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write(file, &tags))
            .map_err(|source| RecordError { path, source })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            waiting_for_key: false,
            dropped: 0,
        })
    }

    /// Queues a tag. If the disk is too slow, whole groups of pictures are left out.
    pub(crate) fn push(&mut self, tag: &Tag) {
        if tag.is_frame() && self.waiting_for_key && !tag.is_key_frame() {
            self.dropped += 1;
            return;
        }
        let Some(queue) = &self.queue else { return };
        match queue.try_send(tag.clone()) {
            Ok(()) => self.waiting_for_key &= !tag.is_key_frame(),
            Err(TrySendError::Full(_)) => {
                if !self.waiting_for_key {
                    tracing::error!("the disk is too slow for the recording: it will have a hole");
                }
                self.waiting_for_key = true;
                self.dropped += 1;
            }
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }

    /// Writes what is queued and closes the file.
    pub(crate) fn stop(mut self) {
        self.queue = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the recording thread panicked");
        }
        if self.dropped > 0 {
            tracing::warn!(tags = self.dropped, "the recording is not complete");
        }
    }
}

fn write(mut file: FlvFile, tags: &Receiver<Tag>) {
    for tag in tags {
        if let Err(error) = file.append(&tag) {
            return tracing::error!(%error, "the recording ends here; the mix goes on");
        }
    }
    tracing::info!(path = %file.path().display(), bytes = file.bytes(), "recorded");
}

fn create(directory: &Path, room: &str, now: SystemTime) -> Result<FlvFile, RecordError> {
    let mut namesake = 0;
    loop {
        match FlvFile::create(&path(directory, room, now, namesake)) {
            Err(error)
                if error.source.kind() == std::io::ErrorKind::AlreadyExists && namesake < MAX_NAMESAKES =>
            {
                namesake += 1;
            }
            result => return result,
        }
    }
}

fn path(directory: &Path, room: &str, now: SystemTime, namesake: u32) -> PathBuf {
    let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    let plain: String = room
        .chars()
        .take(MAX_NAME)
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect();
    let again = if namesake == 0 {
        String::new()
    } else {
        format!("-{namesake}")
    };
    directory.join(format!("{plain}-{}{again}.flv", utc(now)))
}

/// `20261122T181500Z` (ISO 8601, basic format).
fn utc(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The Gregorian date of a day since 1970.
fn civil(mut day: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let february = days_of(year) - 337;
    let mut month = 0;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month + 1, day + 1)
}

fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::{Recorder, create, path, utc};
    use lianmai_rtmp::Tag;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_are_utc_with_leap_days() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_868_799, "20000229T235959Z"),
            (1_735_689_599, "20241231T235959Z"),
            (1_795_371_300, "20261122T181500Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_room_cannot_name_a_file_outside_of_the_directory() {
        let path = path(Path::new("/recordings"), "../../etc/连麦 room", UNIX_EPOCH, 0);
        assert_eq!(
            path,
            Path::new("/recordings/______etc_连麦_room-19700101T000000Z.flv")
        );
    }

    #[test]
    fn recordings_of_the_same_second_do_not_overwrite_one_another() {
        let directory = std::env::temp_dir().join(format!("lianmai-recorder-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("made");
        let names: Vec<_> = (0..2)
            .map(|_| {
                create(&directory, "room", UNIX_EPOCH)
                    .expect("made")
                    .path()
                    .file_name()
                    .map(ToOwned::to_owned)
            })
            .collect();
        std::fs::remove_dir_all(&directory).expect("removed");
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn what_was_pushed_is_on_disk_after_the_stop() {
        let directory = std::env::temp_dir().join(format!("lianmai-recording-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("made");
        let mut recorder = Recorder::create(&directory, "room").expect("made");
        for index in 0..50 {
            recorder.push(&Tag::avc_frame(index * 33, index == 0, &[7; 100]));
        }
        recorder.stop();
        let file = std::fs::read_dir(&directory)
            .expect("read")
            .next()
            .expect("one file")
            .expect("read");
        let length = file.metadata().expect("read").len();
        std::fs::remove_dir_all(&directory).expect("removed");
        assert_eq!(length, 13 + 50 * (11 + 5 + 100 + 4));
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error_with_its_path() {
        let error = Recorder::create(Path::new("/nonexistent"), "room")
            .err()
            .expect("refused");
        assert!(error.to_string().contains("/nonexistent/room-"), "{error}");
    }
}
