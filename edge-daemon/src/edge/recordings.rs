//! What of each room is recorded: what the configuration says, or what was said of the room live.

use lianmai_mixer_control::Record;
use std::collections::BTreeMap;

/// Why a room's recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// There is no place for files.
    #[error(
        "recordings need a directory: start the daemon with --record DIR (--record-what none records only what is asked for)"
    )]
    NoDirectory,
}

/// The wishes of all rooms.
#[derive(Debug)]
pub(super) struct Recordings {
    has_directory: bool,
    default: Record,
    rooms: BTreeMap<String, Record>,
}

impl Recordings {
    /// Rooms of which nothing was said are recorded as `default`, if there is a directory.
    pub(super) const fn new(has_directory: bool, default: Record) -> Self {
        Self {
            has_directory,
            default,
            rooms: BTreeMap::new(),
        }
    }

    /// What of a room is recorded.
    pub(super) fn of(&self, room: &str) -> Record {
        if !self.has_directory {
            return Record::default();
        }
        self.rooms.get(room).copied().unwrap_or(self.default)
    }

    /// What of it is recorded from now on.
    pub(super) fn set(&mut self, room: &str, record: Record) -> Result<(), RecordError> {
        if !self.has_directory && record.is_anything() {
            return Err(RecordError::NoDirectory);
        }
        self.rooms.insert(room.to_owned(), record);
        Ok(())
    }

    /// The room is over: one of the same name is recorded as configured.
    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    /// Everything that was said, for a later process.
    pub(super) fn save(&self) -> BTreeMap<String, Record> {
        self.rooms.clone()
    }

    /// Goes on from what an earlier process saved.
    pub(super) fn restore(&mut self, rooms: BTreeMap<String, Record>) {
        self.rooms = rooms;
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordError, Recordings};
    use lianmai_mixer_control::Record;

    const MIX: Record = Record {
        mix: true,
        hosts: false,
    };
    const HOSTS: Record = Record {
        mix: false,
        hosts: true,
    };

    #[test]
    fn what_is_said_of_a_room_holds_until_its_end_and_in_a_later_process() {
        let mut recordings = Recordings::new(true, MIX);
        assert_eq!(recordings.of("a"), MIX);
        recordings.set("a", HOSTS).expect("there is a directory");
        assert_eq!((recordings.of("a"), recordings.of("b")), (HOSTS, MIX));
        let mut later = Recordings::new(true, Record::default());
        later.restore(recordings.save());
        assert_eq!((later.of("a"), later.of("b")), (HOSTS, Record::default()));
        recordings.forget("a");
        assert_eq!(recordings.of("a"), MIX);
    }

    #[test]
    fn without_a_directory_nothing_is_recorded_and_whoever_asks_is_told_why() {
        let mut recordings = Recordings::new(false, MIX);
        assert_eq!(recordings.of("a"), Record::default());
        assert!(matches!(recordings.set("a", MIX), Err(RecordError::NoDirectory)));
        recordings
            .set("a", Record::default())
            .expect("nothing is what it is");
        recordings.restore([("a".to_owned(), MIX)].into());
        assert_eq!(recordings.of("a"), Record::default());
    }
}
