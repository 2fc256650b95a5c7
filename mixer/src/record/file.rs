//! Files of recordings, and their names.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files of one source that begin in the same second.
const MAX_NAMESAKES: u32 = 100;

/// Bytes of the room, and of the host, in a name: file systems take 255 for all of it.
const MAX_NAME: usize = 100;

/// Where recordings are made.
pub(super) trait Shelf {
    /// One recording.
    type File: Append;

    /// Makes a new one; the name may get a number.
    fn create(&mut self, name: &str) -> io::Result<(String, Self::File)>;
}

/// What only grows.
pub(super) trait Append {
    /// Appends all of it, or nothing.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A directory of files.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Shelf for Directory {
    type File = Growing;

    fn create(&mut self, name: &str) -> io::Result<(String, Growing)> {
        let mut namesake = 0;
        loop {
            let name = file_name(name, namesake);
            match Growing::create(&self.0.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && namesake < MAX_NAMESAKES => {
                    namesake += 1;
                }
                result => return result.map(|file| (name, file)),
            }
        }
    }
}

/// A file in which nothing is changed once it is written.
#[derive(Debug)]
pub(super) struct Growing {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Growing {
    /// A file that exists is not touched.
    fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: 0,
        })
    }
}

impl Append for Growing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            // A file with nothing in it is of no use to anybody. If it cannot be removed, it does no harm.
            Err(_) if self.length == 0 => drop(std::fs::remove_file(&self.path)),
            // What of it found room is no fragment. If it cannot be taken away, players stop there all the same.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        written
    }
}

/// `{room}-{utc time}`, or `{room}-{utc time}-{host}`, without anything that means something to a file system.
pub(super) fn base_name(room: &str, zero: u64, host: Option<&str>) -> String {
    let host = host.map(|host| format!("-{}", plain(host))).unwrap_or_default();
    format!("{}-{}{host}", plain(room), utc(zero))
}

/// A number stands behind a point, which no name has.
fn file_name(base: &str, namesake: u32) -> String {
    if namesake == 0 {
        format!("{base}.mp4")
    } else {
        format!("{base}.{namesake}.mp4")
    }
}

fn plain(name: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    let mut plain = String::new();
    for character in name
        .chars()
        .map(|character| if is_plain(character) { character } else { '_' })
    {
        if plain.len() + character.len_utf8() > MAX_NAME {
            break;
        }
        plain.push(character);
    }
    plain
}

/// `20261122T181500Z` (ISO 8601, basic format).
fn utc(seconds: u64) -> String {
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
    use super::{Append, Directory, MAX_NAMESAKES, Shelf, base_name, file_name, utc};

    #[test]
    fn times_are_utc_with_leap_days() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_868_799, "20000229T235959Z"),
            (1_735_689_599, "20241231T235959Z"),
            (1_795_371_300, "20261122T181500Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn neither_a_room_nor_a_host_can_name_a_file_outside_of_the_directory() {
        assert_eq!(
            base_name("../../etc/连麦 room", 0, Some("a.b/../\0c")),
            "______etc_连麦_room-19700101T000000Z-a_b_____c"
        );
        let long = "连".repeat(1000);
        let longest = file_name(&base_name(&long, 0, Some(&long)), MAX_NAMESAKES);
        assert!(longest.len() <= 255, "{} bytes", longest.len());
    }

    #[test]
    fn recordings_of_the_same_second_do_not_overwrite_one_another() {
        let place = tempfile::tempdir().expect("a directory");
        let mut directory = Directory::new(place.path().to_owned());
        let names = [(); 2].map(|()| directory.create("room").expect("made").0);
        assert_eq!(names, ["room.mp4", "room.1.mp4"]);
    }

    #[test]
    fn what_was_appended_is_on_disk_at_once() {
        let place = tempfile::tempdir().expect("a directory");
        let (name, mut file) = Directory::new(place.path().to_owned())
            .create("room")
            .expect("made");
        file.append(b"head").expect("written");
        file.append(b"fragment").expect("written");
        let read = std::fs::read(place.path().join(name)).expect("readable");
        assert_eq!(read, b"headfragment");
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error() {
        assert!(Directory::new("/nonexistent".into()).create("room").is_err());
    }
}
