//! The thread that writes: it alone waits for the disk.

use super::board::{Board, Source};
use super::epoch::Epoch;
use super::feeds::{HostFeed, MixFeed};
use super::file::{Append, Shelf, base_name};
use super::reel::Act;
use super::tap::{Entries, Entry, turns};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{Record, RecordingState};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that is recorded of a room.
pub(super) struct Writer<S: Shelf> {
    record: Record,
    mix: Option<MixFeed>,
    hosts: BTreeMap<HostId, Host>,
    films: Films<S>,
    epoch: Epoch,
}

/// One host, whether it is recorded or not.
struct Host {
    name: String,
    audio: bool,
    video: bool,
    feed: HostFeed,
}

/// The files.
struct Films<S: Shelf> {
    shelf: S,
    room: String,
    board: Arc<Board>,
    open: BTreeMap<Source, Film<S::File>>,
}

enum Film<F> {
    /// By its number on the board, with its length.
    Growing(u32, F, u64),
    /// What comes is left out until the recording is stopped and started.
    Failed,
}

impl<S: Shelf> Writer<S> {
    pub(super) fn new(shelf: S, room: String, epoch: Epoch, board: Arc<Board>) -> Self {
        Self {
            record: Record::default(),
            mix: None,
            hosts: BTreeMap::new(),
            films: Films {
                shelf,
                room,
                board,
                open: BTreeMap::new(),
            },
            epoch,
        }
    }

    /// Writes until there is nothing more to come, and closes all files.
    pub(super) fn run(mut self, entries: &Entries) {
        while let Some(entry) = entries.next() {
            self.take(entry);
        }
        self.record(Record::default());
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Record(record) => self.record(record),
            Entry::Joined {
                host,
                name,
                audio,
                video,
            } => {
                self.end_host(host);
                let feed = HostFeed::new(self.epoch, audio, video);
                let joined = Host {
                    name,
                    audio,
                    video,
                    feed,
                };
                self.hosts.insert(host, joined);
            }
            Entry::Gone(host) => {
                self.end_host(host);
                self.hosts.remove(&host);
            }
            Entry::Tag(at, tag) => {
                if let Some(mix) = &mut self.mix {
                    mix.tag(at, &tag);
                    self.films.carry_out(Source::Mix, None, || mix.poll());
                }
            }
            Entry::Picture(host, task) => self.feed(host, |feed| {
                feed.picture(task.captured, task.key, turns(task.rotation), &task.data);
            }),
            Entry::Sound(host, at, packet) => self.feed(host, |feed| feed.sound(at, packet)),
        }
    }

    fn feed(&mut self, id: HostId, feed: impl FnOnce(&mut HostFeed)) {
        let Some(host) = self.hosts.get_mut(&id).filter(|_| self.record.hosts) else {
            return;
        };
        feed(&mut host.feed);
        self.films
            .carry_out(Source::Host(id), Some(&host.name), || host.feed.poll());
    }

    fn record(&mut self, record: Record) {
        if !record.mix
            && let Some(mut mix) = self.mix.take()
        {
            mix.finish();
            self.films.carry_out(Source::Mix, None, || mix.poll());
            self.films.open.remove(&Source::Mix);
        }
        if record.mix && self.mix.is_none() {
            self.mix = Some(MixFeed::new(self.epoch));
        }
        if self.record.hosts && !record.hosts {
            let all: Vec<HostId> = self.hosts.keys().copied().collect();
            all.into_iter().for_each(|host| self.end_host(host));
        }
        self.record = record;
    }

    /// What comes of this host next begins another file.
    fn end_host(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else {
            return;
        };
        host.feed.finish();
        self.films
            .carry_out(Source::Host(id), Some(&host.name), || host.feed.poll());
        self.films.open.remove(&Source::Host(id));
        host.feed = HostFeed::new(self.epoch, host.audio, host.video);
    }
}

impl<S: Shelf> Films<S> {
    fn carry_out(&mut self, source: Source, host: Option<&str>, mut poll: impl FnMut() -> Option<Act>) {
        while let Some(act) = poll() {
            match act {
                Act::Begin(zero) => self.begin(source, host, zero),
                Act::Write(bytes) => self.write(source, &bytes),
                Act::End => self.end(source),
                Act::Fail(reason) => self.fail(source, reason),
            }
        }
    }

    fn begin(&mut self, source: Source, host: Option<&str>, zero: u64) {
        if self.open.contains_key(&source) {
            return;
        }
        let base = base_name(&self.room, zero, host);
        let id = self.board.begin(source, host.map(str::to_owned), base.clone());
        match self.shelf.create(&base) {
            Ok((name, file)) => {
                tracing::info!(file = name, "recording");
                self.board.name(id, name);
                self.open.insert(source, Film::Growing(id, file, 0));
            }
            Err(error) => {
                tracing::error!(file = base, %error, "a recording cannot begin; the mix goes on");
                let reason = error.to_string();
                self.board.end(id, RecordingState::Failed { reason });
                self.open.insert(source, Film::Failed);
            }
        }
    }

    fn write(&mut self, source: Source, bytes: &[u8]) {
        let Some(Film::Growing(id, file, length)) = self.open.get_mut(&source) else {
            return;
        };
        match file.append(bytes) {
            Ok(()) => {
                *length += bytes.len() as u64;
                self.board.wrote(*id, *length);
            }
            Err(error) => self.fail(source, error.to_string()),
        }
    }

    fn end(&mut self, source: Source) {
        if let Some(Film::Growing(id, _, bytes)) = self.open.get(&source) {
            tracing::info!(recording = id, bytes, "recorded");
            self.board.end(*id, RecordingState::Ended);
            self.open.remove(&source);
        }
    }

    fn fail(&mut self, source: Source, reason: String) {
        if let Some(Film::Growing(id, ..)) = self.open.insert(source, Film::Failed) {
            tracing::error!(recording = id, reason, "a recording ends here; the mix goes on");
            self.board.end(id, RecordingState::Failed { reason });
        }
    }
}

#[cfg(test)]
mod tests;
