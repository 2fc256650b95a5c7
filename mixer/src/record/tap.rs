//! Where hosts and the mix go into their recordings. Neither ever waits here.

use super::board::{Board, Source};
use crate::daemon::Daemon;
use crate::video::Task;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use lianmai_compositor::Rotation;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{FromMixer, Record};
use lianmai_rtmp::{StreamHeaders, Tag, Unwrap};
use lianmai_timeline::{EdgeTime, Span};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Pictures and sound that wait for the disk: ten seconds of ten sources.
const MAX_MEDIA: usize = 8192;

/// Their bytes.
const MAX_BYTES: usize = 64 << 20;

/// What else waits: who joins and leaves, headers.
const MAX_CONTROL: usize = 1024;

/// A host whose key frame does not come is asked for it so often.
const ASK_EVERY: Span = Span::from_secs(1);

/// What the writer gets.
#[derive(Debug)]
pub(super) enum Entry {
    /// This is recorded from now on.
    Record(Record),
    /// A host is there, or its tracks changed.
    Joined {
        host: HostId,
        name: String,
        audio: bool,
        video: bool,
    },
    /// A host left.
    Gone(HostId),
    /// A tag of the mix, and when what is in it was captured.
    Tag(EdgeTime, Tag),
    /// A coded picture of a host.
    Picture(HostId, Task),
    /// An Opus packet of a host.
    Sound(HostId, EdgeTime, Bytes),
}

/// The writer's end.
pub(super) struct Entries {
    queue: Receiver<Entry>,
    shared: Arc<Shared>,
}

/// What both taps have in common.
#[derive(Clone)]
struct Tap {
    queue: Sender<Entry>,
    shared: Arc<Shared>,
    board: Arc<Board>,
}

#[derive(Default)]
struct Shared {
    bytes: AtomicUsize,
    /// Which recording of the mix goes on; zero for none.
    mix: AtomicU64,
}

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
    ask_at: Option<EdgeTime>,
}

/// Where the mix goes in.
pub(crate) struct MixTap {
    tap: Tap,
    headers: StreamHeaders,
    unwrap: Unwrap,
    latest_ms: i64,
    /// The recording that it goes into; zero for none.
    recording: u64,
    /// How long after its capture everything was shown when the recording began.
    delay: Span,
    waiting_for_key: bool,
    key_frame_wanted: bool,
}

/// Both taps, and what comes out.
pub(super) fn taps(board: &Arc<Board>, daemon: Daemon) -> (HostTap, MixTap, Entries) {
    let (sender, queue) = bounded(MAX_MEDIA + MAX_CONTROL);
    let shared = Arc::<Shared>::default();
    let tap = Tap {
        queue: sender,
        shared: Arc::clone(&shared),
        board: Arc::clone(board),
    };
    let hosts = HostTap {
        tap: tap.clone(),
        recording: false,
        mixes: 0,
        hosts: BTreeMap::new(),
        daemon,
    };
    let mix = MixTap {
        tap,
        headers: StreamHeaders::default(),
        unwrap: Unwrap::default(),
        latest_ms: 0,
        recording: 0,
        delay: Span::ZERO,
        waiting_for_key: true,
        key_frame_wanted: false,
    };
    (hosts, mix, Entries { queue, shared })
}

impl HostTap {
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
            self.hosts.values_mut().for_each(Gate::close);
            let with_video = self.hosts.iter().filter(|(_, gate)| gate.video);
            with_video.for_each(|(host, _)| self.daemon.say(FromMixer::KeyFrameNeeded { host: *host }));
        }
        self.recording = record.hosts;
    }

    /// A host is there, or its tracks changed.
    pub(crate) fn joined(&mut self, host: HostId, name: &str, audio: bool, video: bool) {
        let gate = Gate {
            video,
            ..Gate::default()
        };
        self.hosts.insert(host, gate);
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
        let Some(gate) = self.hosts.get_mut(&host) else {
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
        if self
            .tap
            .push(source, task.data.len(), || Entry::Picture(host, task.clone()))
        {
            if !std::mem::replace(&mut gate.open, true) {
                self.tap.board.caught_up(source);
            }
        } else {
            gate.close();
        }
    }

    /// A packet of sound, as it came.
    pub(crate) fn sound(&mut self, host: HostId, packet: &[u8], captured: EdgeTime) {
        if self.recording {
            let entry = || Entry::Sound(host, captured, Bytes::copy_from_slice(packet));
            self.tap.push(Source::Host(host), packet.len(), entry);
        }
    }
}

impl Gate {
    fn close(&mut self) {
        self.open = false;
        self.ask_at = None;
    }
}

impl MixTap {
    /// A tag at this time of the mix, which is shown `room_delay` after its capture.
    pub(crate) fn push(&mut self, tag: &Tag, start: EdgeTime, room_delay: Span) {
        self.headers.note(tag);
        if tag.is_frame() {
            self.latest_ms = self.unwrap.extend(tag.timestamp_ms);
        }
        let recording = self.tap.shared.mix.load(Ordering::Relaxed);
        let begins = std::mem::replace(&mut self.recording, recording) != recording;
        if recording == 0 {
            return;
        }
        if begins {
            self.delay = room_delay;
        }
        let at = start + Span::from_millis(self.latest_ms) - self.delay;
        if begins {
            self.waiting_for_key = true;
            self.key_frame_wanted = true;
            let headers: Vec<Tag> = self.headers.tags().cloned().collect();
            headers
                .into_iter()
                .for_each(|header| self.tap.tell(Entry::Tag(at, header)));
        } else if !tag.is_frame() {
            self.tap.tell(Entry::Tag(at, tag.clone()));
        }
        if tag.is_frame() {
            self.frame(at, tag);
        }
    }

    /// Whether a recording cannot begin or go on without a key frame, asked since the last call.
    #[must_use]
    pub(crate) fn take_key_frame_wanted(&mut self) -> bool {
        std::mem::take(&mut self.key_frame_wanted)
    }

    /// If the disk is too slow, whole groups of pictures are left out.
    fn frame(&mut self, at: EdgeTime, tag: &Tag) {
        if self.waiting_for_key && !tag.is_key_frame() {
            return self.tap.board.dropped_while_behind(Source::Mix);
        }
        if !self
            .tap
            .push(Source::Mix, tag.body.len(), || Entry::Tag(at, tag.clone()))
        {
            self.waiting_for_key = true;
        } else if std::mem::take(&mut self.waiting_for_key) {
            self.tap.board.caught_up(Source::Mix);
        }
    }
}

impl Tap {
    /// False if it was left out.
    fn push(&self, source: Source, bytes: usize, entry: impl FnOnce() -> Entry) -> bool {
        let waiting = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = self.queue.len() < MAX_MEDIA && waiting + bytes <= MAX_BYTES;
        let sent = fits && self.queue.try_send(entry()).is_ok();
        if !sent {
            self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.board.dropped(source);
        }
        sent
    }

    fn tell(&self, entry: Entry) {
        if let Err(crossbeam_channel::TrySendError::Full(entry)) = self.queue.try_send(entry) {
            tracing::error!(?entry, "the disk hangs: a change of the recordings is lost");
        }
    }
}

impl Entries {
    /// The next one; `None` when no more can come.
    pub(super) fn next(&self) -> Option<Entry> {
        let entry = self.queue.recv().ok()?;
        self.shared.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
        Some(entry)
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Record(_) | Self::Joined { .. } | Self::Gone(_) => 0,
            // Headers go in uncounted.
            Self::Tag(_, tag) if !tag.is_frame() => 0,
            Self::Tag(_, tag) => tag.body.len(),
            Self::Picture(_, task) => task.data.len(),
            Self::Sound(_, _, packet) => packet.len(),
        }
    }
}

/// In quarters clockwise.
pub(super) const fn turns(rotation: Rotation) -> u8 {
    match rotation {
        Rotation::None => 0,
        Rotation::Quarter => 1,
        Rotation::Half => 2,
        Rotation::ThreeQuarters => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, Entries, Entry, HostTap, MAX_BYTES, MAX_MEDIA, MixTap, taps};
    use crate::daemon::Daemon;
    use crate::record::board::Source;
    use crate::video::Task;
    use crossbeam_channel::Receiver;
    use lianmai_compositor::Rotation;
    use lianmai_mixer_control::media::HostId;
    use lianmai_mixer_control::{FromMixer, Record, RecordingState};
    use lianmai_rtmp::Tag;
    use lianmai_timeline::{EdgeTime, Span};
    use std::sync::Arc;

    const ANN: HostId = HostId(1);
    const BOTH: Record = Record {
        mix: true,
        hosts: true,
    };

    struct Lab {
        hosts: HostTap,
        mix: MixTap,
        entries: Entries,
        board: Arc<Board>,
        said: Receiver<FromMixer>,
    }

    fn lab() -> Lab {
        let board = Arc::<Board>::default();
        let (daemon, said) = Daemon::channel();
        let (mut hosts, mix, entries) = taps(&board, daemon);
        hosts.joined(ANN, "ann", true, true);
        Lab {
            hosts,
            mix,
            entries,
            board,
            said,
        }
    }

    fn at(millis: i64) -> EdgeTime {
        EdgeTime(0) + Span::from_millis(millis)
    }

    fn picture(key: bool, millis: i64, bytes: usize) -> Task {
        Task {
            data: vec![0; bytes],
            key,
            after_loss: false,
            rotation: Rotation::None,
            captured: at(millis),
        }
    }

    impl Lab {
        fn push(&mut self, tag: &Tag) {
            self.mix.push(tag, at(1000), Span::from_millis(200));
        }

        fn waiting(&self) -> usize {
            self.entries.queue.len()
        }
    }

    #[test]
    fn nothing_is_taken_that_is_not_to_be_recorded() {
        let mut lab = lab();
        let before = lab.waiting();
        lab.hosts.picture(ANN, &picture(true, 0, 1));
        lab.hosts.sound(ANN, b"packet", at(0));
        lab.push(&Tag::avc_frame(0, true, b"x"));
        assert_eq!(lab.waiting(), before);
    }

    #[test]
    fn a_host_is_asked_for_a_key_frame_until_it_comes() {
        let mut lab = lab();
        lab.hosts.record(BOTH);
        (0..30).for_each(|frame| lab.hosts.picture(ANN, &picture(false, frame * 100, 1)));
        // At once, and then once a second.
        assert_eq!(lab.said.try_iter().count(), 1 + 3);
        lab.hosts.picture(ANN, &picture(true, 3000, 1));
        lab.hosts.picture(ANN, &picture(false, 3100, 1));
        assert_eq!(lab.said.try_iter().count(), 0);
        assert_eq!(lab.waiting(), 4, "it joined, what is recorded, two pictures");
    }

    #[test]
    fn a_mix_that_is_recorded_later_begins_with_its_headers_and_asks_for_a_key_frame() {
        let mut lab = lab();
        lab.push(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
        lab.push(&Tag::avc_frame(0, true, b"x"));
        lab.hosts.record(BOTH);
        lab.push(&Tag::avc_frame(40, false, b"x"));
        assert!(lab.mix.take_key_frame_wanted() && !lab.mix.take_key_frame_wanted());
        lab.push(&Tag::avc_frame(80, true, b"x"));
        let tags: Vec<_> = std::iter::from_fn(|| lab.entries.queue.try_recv().ok())
            .filter_map(|entry| match entry {
                Entry::Tag(at, tag) => Some((at, tag)),
                _ => None,
            })
            .collect();
        assert_eq!(tags.len(), 2);
        assert!(tags[0].1.is_sequence_header() && tags[1].1.is_key_frame());
        assert_eq!(tags[1].0, at(1000 + 80 - 200), "when it was captured");
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_bounded_memory_and_holes_that_end_at_key_frames() {
        let mut lab = lab();
        lab.hosts.record(BOTH);
        lab.board.begin(Source::Mix, None, "mix.mp4".to_owned());
        lab.board
            .begin(Source::Host(ANN), Some("ann".to_owned()), "ann.mp4".to_owned());
        lab.push(&Tag::avc_frame(0, true, b"x"));
        lab.hosts.picture(ANN, &picture(true, 0, 1));
        for frame in 0..100 {
            lab.hosts
                .picture(ANN, &picture(frame % 10 == 0, frame * 30, 1 << 20));
            lab.push(&Tag::avc_frame(frame as u32 * 30, false, &[0; 1 << 20]));
        }
        let held = lab
            .entries
            .shared
            .bytes
            .load(std::sync::atomic::Ordering::Relaxed);
        assert!(held <= MAX_BYTES && held > MAX_BYTES / 2, "{held}");
        let stats = lab.board.stats();
        assert!(
            stats
                .iter()
                .all(|stats| stats.state == RecordingState::Behind && stats.dropped_frames > 40),
            "{stats:?}"
        );
        // The disk takes everything, and each goes on with a key frame.
        while !lab.entries.queue.is_empty() {
            lab.entries.next();
        }
        lab.push(&Tag::avc_frame(4000, false, b"x"));
        lab.hosts.picture(ANN, &picture(false, 4000, 1));
        assert_eq!(lab.waiting(), 0);
        lab.push(&Tag::avc_frame(4040, true, b"x"));
        lab.hosts.picture(ANN, &picture(true, 4040, 1));
        assert_eq!(lab.waiting(), 2);
        assert!(
            lab.board
                .stats()
                .iter()
                .all(|stats| stats.state == RecordingState::Recording)
        );
    }

    #[test]
    fn tiny_packets_are_bounded_by_their_number_and_leave_room_for_changes() {
        let mut lab = lab();
        lab.hosts.record(BOTH);
        (0..2 * MAX_MEDIA).for_each(|_| lab.hosts.sound(ANN, b"", at(0)));
        assert_eq!(lab.waiting(), MAX_MEDIA);
        lab.hosts.gone(ANN);
        assert_eq!(lab.waiting(), MAX_MEDIA + 1);
    }
}
