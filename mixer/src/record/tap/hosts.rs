//! Hosts into their recordings.

use super::{Entry, Tap};
use crate::daemon::Daemon;
use crate::record::board::{Board, Source};
use crate::video::Task;
use bytes::Bytes;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{FromMixer, Record};
use lianmai_timeline::{EdgeTime, Span};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// A host whose key frame does not come is asked for it so often.
const ASK_EVERY: Span = Span::from_secs(1);

/// Where coded pictures and sound of the hosts go in.
pub(crate) struct HostTap {
    tap: Tap,
    recording: bool,
    /// Recordings of the mix so far.
    mixes: u64,
    hosts: BTreeMap<HostId, Gate>,
    daemon: Daemon,
}

/// What is known of one host.
#[derive(Debug, Default)]
struct Gate {
    video: bool,
    /// Pictures are of no use before a key frame.
    open: bool,
    /// Something was left out, and nothing has followed yet that a player can go on with.
    behind: bool,
    ask_at: Option<EdgeTime>,
}

impl HostTap {
    pub(super) const fn new(tap: Tap, daemon: Daemon) -> Self {
        Self {
            tap,
            recording: false,
            mixes: 0,
            hosts: BTreeMap::new(),
            daemon,
        }
    }

    /// What is recorded from now on.
    pub(crate) fn record(&mut self, record: Record) {
        self.tap.tell(Entry::Record(record));
        let mix = &self.tap.shared.mix;
        if !record.mix {
            mix.store(0, Ordering::Relaxed);
        } else if mix.load(Ordering::Relaxed) == 0 {
            self.mixes += 1;
            mix.store(self.mixes, Ordering::Relaxed);
        }
        if record.hosts && !self.recording {
            self.hosts
                .values_mut()
                .for_each(|gate| *gate = Gate::new(gate.video));
            let with_video = self.hosts.iter().filter(|(_, gate)| gate.video);
            with_video.for_each(|(host, _)| self.daemon.say(FromMixer::KeyFrameNeeded { host: *host }));
        }
        self.recording = record.hosts;
    }

    /// A host is there, or its tracks changed. `video` says whether it sends pictures that can be recorded: H.264.
    pub(crate) fn joined(&mut self, host: HostId, name: &str, audio: bool, video: bool) {
        self.hosts.insert(host, Gate::new(video));
        self.tap.tell(Entry::Joined {
            host,
            name: name.to_owned(),
            audio,
            video,
        });
    }

    /// A host left.
    pub(crate) fn gone(&mut self, host: HostId) {
        self.hosts.remove(&host);
        self.tap.tell(Entry::Gone(host));
    }

    /// A host's encoder started anew.
    pub(crate) fn restarted(&mut self, host: HostId) {
        if let Some(gate) = self.hosts.get_mut(&host) {
            gate.close();
        }
    }

    /// A picture, as it came.
    pub(crate) fn picture(&mut self, host: HostId, task: &Task) {
        if !self.recording {
            return;
        }
        let Some(gate) = self.hosts.get_mut(&host).filter(|gate| gate.video) else {
            return;
        };
        if !gate.open && !task.key {
            self.tap.board.dropped_while_behind(Source::Host(host));
            if gate.ask_at.is_none_or(|at| at <= task.captured) {
                gate.ask_at = Some(task.captured + ASK_EVERY);
                self.daemon.say(FromMixer::KeyFrameNeeded { host });
            }
            return;
        }
        let source = Source::Host(host);
        let entry = || Entry::Picture(host, task.clone());
        let taken = self.tap.push(source, task.data.len(), entry);
        gate.open = taken;
        gate.note(taken, source, &self.tap.board);
    }

    /// A packet of sound, as it came.
    pub(crate) fn sound(&mut self, host: HostId, packet: &[u8], captured: EdgeTime) {
        if !self.recording {
            return;
        }
        let Some(gate) = self.hosts.get_mut(&host) else {
            return;
        };
        let source = Source::Host(host);
        let entry = || Entry::Sound(host, captured, Bytes::copy_from_slice(packet));
        let taken = self.tap.push(source, packet.len(), entry);
        gate.note(taken, source, &self.tap.board);
    }
}

impl Gate {
    fn new(video: bool) -> Self {
        Self {
            video,
            ..Self::default()
        }
    }

    fn close(&mut self) {
        self.open = false;
        self.ask_at = None;
    }

    /// Something was taken or left out: a hole ends where a player can go on.
    fn note(&mut self, taken: bool, source: Source, board: &Board) {
        if !taken {
            self.close();
            self.behind = true;
        } else if self.behind && (self.open || !self.video) {
            self.behind = false;
            board.caught_up(source);
        }
    }
}
