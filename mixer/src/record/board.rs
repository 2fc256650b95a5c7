//! What becomes of the files: written by who writes them and by who has to leave something out, read by who reports.

use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{RecordingState, RecordingStats};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files that are remembered after their end.
const MAX_PAST: usize = 32;

/// Whose a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The room's.
    Mix,
    /// One host's.
    Host(HostId),
}

/// All files of this process. Nobody holds its lock during a write.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Files>);

#[derive(Debug, Default)]
struct Files {
    next: u32,
    list: Vec<(Source, RecordingStats)>,
}

impl Board {
    /// What is to be reported.
    #[must_use]
    pub(crate) fn stats(&self) -> Vec<RecordingStats> {
        self.lock().list.iter().map(|(_, stats)| stats.clone()).collect()
    }

    /// A file is about to begin; the number by which it is spoken of.
    pub(super) fn begin(&self, source: Source, host: Option<String>, file: String) -> u32 {
        let mut files = self.lock();
        let id = files.next;
        files.next += 1;
        let stats = RecordingStats {
            id,
            file,
            host,
            state: RecordingState::Recording,
            bytes: 0,
            dropped_frames: 0,
        };
        files.list.push((source, stats));
        id
    }

    /// It has this name after all.
    pub(super) fn name(&self, id: u32, file: String) {
        self.change(id, |stats| stats.file = file);
    }

    /// It has this length.
    pub(super) fn wrote(&self, id: u32, bytes: u64) {
        self.change(id, |stats| stats.bytes = bytes);
    }

    /// It is no longer written to.
    pub(super) fn end(&self, id: u32, state: RecordingState) {
        let mut files = self.lock();
        files.change(id, |stats| stats.state = state);
        let is_past = |(_, stats): &(Source, RecordingStats)| !is_open(stats);
        if files.list.iter().filter(|entry| is_past(entry)).count() > MAX_PAST
            && let Some(first) = files.list.iter().position(is_past)
        {
            files.list.remove(first);
        }
    }

    /// Something of this source was left out.
    pub(super) fn dropped(&self, source: Source) {
        self.change_open(source, |stats| {
            stats.dropped_frames += 1;
            stats.state = RecordingState::Behind;
        });
    }

    /// Something was left out that is of no use behind a hole.
    pub(super) fn dropped_while_behind(&self, source: Source) {
        self.change_open(source, |stats| {
            stats.dropped_frames += u64::from(stats.state == RecordingState::Behind);
        });
    }

    /// The disk takes what comes of this source again.
    pub(super) fn caught_up(&self, source: Source) {
        self.change_open(source, |stats| stats.state = RecordingState::Recording);
    }

    fn change(&self, id: u32, change: impl FnOnce(&mut RecordingStats)) {
        self.lock().change(id, change);
    }

    fn change_open(&self, source: Source, change: impl FnOnce(&mut RecordingStats)) {
        let mut files = self.lock();
        let open = files.list.iter_mut().rev().find(|(of, _)| *of == source);
        if let Some((_, stats)) = open.filter(|(_, stats)| is_open(stats)) {
            change(stats);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn change(&mut self, id: u32, change: impl FnOnce(&mut RecordingStats)) {
        let found = self.list.iter_mut().find(|(_, stats)| stats.id == id);
        if let Some((_, stats)) = found {
            change(stats);
        }
    }
}

const fn is_open(stats: &RecordingStats) -> bool {
    matches!(stats.state, RecordingState::Recording | RecordingState::Behind)
}

#[cfg(test)]
mod tests {
    use super::{Board, MAX_PAST, Source};
    use lianmai_mixer_control::RecordingState;

    #[test]
    fn a_hole_is_counted_and_said_until_the_disk_has_caught_up() {
        let board = Board::default();
        board.dropped(Source::Mix);
        board.begin(Source::Mix, None, "a.mp4".to_owned());
        board.dropped(Source::Mix);
        board.dropped(Source::Mix);
        let state = |board: &Board| (board.stats()[0].state.clone(), board.stats()[0].dropped_frames);
        assert_eq!(state(&board), (RecordingState::Behind, 2));
        board.caught_up(Source::Mix);
        assert_eq!(state(&board), (RecordingState::Recording, 2));
        board.end(0, RecordingState::Ended);
        board.dropped(Source::Mix);
        assert_eq!(state(&board), (RecordingState::Ended, 2));
    }

    #[test]
    fn the_oldest_of_many_files_are_forgotten_and_those_that_grow_are_not() {
        let board = Board::default();
        board.begin(Source::Mix, None, "mix.mp4".to_owned());
        for _ in 0..2 * MAX_PAST {
            let id = board.begin(Source::Mix, None, "short.mp4".to_owned());
            board.end(id, RecordingState::Ended);
        }
        let stats = board.stats();
        assert_eq!((stats.len(), stats[0].file.as_str()), (MAX_PAST + 1, "mix.mp4"));
    }
}
