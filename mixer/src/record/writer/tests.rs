use super::{Board, Epoch, Record, RecordingState, Writer};
use crate::daemon::Daemon;
use crate::record::feeds::tests::{OPUS, config, key_frame};
use crate::record::file::{Append, Directory, Shelf};
use crate::record::tap::{HostTap, MixTap, taps};
use crate::video::Task;
use lianmai_compositor::Rotation;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{Codec, RecordingStats};
use lianmai_rtmp::Tag;
use lianmai_timeline::{EdgeTime, Span};
use std::io::{self, PipeWriter, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const BOTH: Record = Record {
    mix: true,
    hosts: true,
};

struct Lab {
    hosts: HostTap,
    mix: MixTap,
    board: Arc<Board>,
    thread: JoinHandle<()>,
}

impl Lab {
    fn new<S: Shelf + Send + 'static>(shelf: S) -> Self
    where
        S::File: Send,
    {
        let board = Arc::<Board>::default();
        let (hosts, mix, entries) = taps(&board, Daemon::channel().0);
        let epoch = Epoch::new(EdgeTime(0), Duration::from_secs(1_700_000_000));
        let writer = Writer::new(shelf, "show".to_owned(), epoch, Arc::clone(&board));
        let thread = std::thread::spawn(move || writer.run(&entries));
        let mut lab = Self {
            hosts,
            mix,
            board,
            thread,
        };
        lab.hosts.joined(HostId(1), "ann", true, true);
        lab.hosts.record(BOTH);
        lab.push(&Tag::aac_sequence_header(0, &[0x11, 0x90]));
        lab.push(&Tag::avc_sequence_header(0, &config()).expect("sets"));
        lab
    }

    fn push(&mut self, tag: &Tag) {
        self.mix.push(tag, EdgeTime(0));
    }

    /// A frame of everything.
    fn frame(&mut self, millis: u32, picture: &[u8]) {
        let captured = EdgeTime(0) + Span::from_millis(millis.into());
        self.push(&Tag::avc_frame(millis, true, picture));
        let task = Task {
            data: [&key_frame()[..], picture].concat(),
            key: true,
            after_loss: false,
            rotation: Rotation::None,
            codec: Codec::H264,
            captured,
        };
        self.hosts.picture(HostId(1), &task);
        self.hosts.sound(HostId(1), &OPUS, captured);
    }

    /// Ends everything, and waits for the writer.
    fn finish(self) -> Vec<RecordingStats> {
        let Self {
            hosts,
            mix,
            board,
            thread,
        } = self;
        drop((hosts, mix));
        thread.join().expect("no panic");
        board.stats()
    }
}

fn until(what: &str, is_it: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_it() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn the_mix_and_each_host_get_a_file_of_their_own() {
    let place = tempfile::tempdir().expect("a directory");
    let mut lab = Lab::new(Directory::new(place.path().to_owned()));
    (0..60).for_each(|frame| lab.frame(frame * 33, b"picture"));
    let stats = lab.finish();
    let mut names: Vec<_> = stats.iter().map(|stats| stats.file.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["show-20231114T221320Z-ann.mp4", "show-20231114T221320Z.mp4"]
    );
    for stats in &stats {
        let file = place.path().join(&stats.file);
        assert_eq!(stats.state, RecordingState::Ended);
        assert_eq!(stats.bytes, file.metadata().expect("there").len());
    }
}

#[test]
fn a_recording_that_is_stopped_and_started_goes_on_in_another_file() {
    let place = tempfile::tempdir().expect("a directory");
    let mut lab = Lab::new(Directory::new(place.path().to_owned()));
    lab.frame(0, b"picture");
    lab.hosts.record(Record::default());
    lab.frame(100, b"left out");
    lab.hosts.record(BOTH);
    lab.frame(200, b"picture");
    let stats = lab.finish();
    assert_eq!(stats.len(), 4, "{stats:?}");
    assert_eq!(std::fs::read_dir(place.path()).expect("read").count(), 4);
}

#[test]
fn a_host_that_leaves_ends_its_file_and_not_that_of_the_mix() {
    let place = tempfile::tempdir().expect("a directory");
    let mut lab = Lab::new(Directory::new(place.path().to_owned()));
    lab.frame(0, b"picture");
    lab.hosts.gone(HostId(1));
    lab.frame(100, b"of a host that is gone");
    let board = Arc::clone(&lab.board);
    until("the host's file ends", || {
        board
            .stats()
            .iter()
            .any(|stats| stats.host.is_some() && stats.state == RecordingState::Ended)
    });
    let mix = board.stats().into_iter().find(|stats| stats.host.is_none());
    assert_eq!(mix.expect("it is there").state, RecordingState::Recording);
    assert_eq!(lab.finish().len(), 2);
}

#[test]
fn a_directory_that_is_missing_is_said_once_and_tried_again_when_asked() {
    let mut lab = Lab::new(Directory::new("/nonexistent/recordings".into()));
    (0..90).for_each(|frame| lab.frame(frame * 33, b"picture"));
    let again = |lab: &mut Lab| {
        lab.hosts.record(Record::default());
        lab.hosts.record(BOTH);
        lab.frame(4000, b"picture");
    };
    again(&mut lab);
    let stats = lab.finish();
    assert_eq!(stats.len(), 4, "{stats:?}");
    assert!(
        stats
            .iter()
            .all(|stats| matches!(stats.state, RecordingState::Failed { .. })),
        "{stats:?}"
    );
}

/// A shelf of one pipe that nobody reads, and files that are as good as it.
struct Clogged(Option<PipeWriter>);

impl Shelf for Clogged {
    type File = PipeWriter;

    fn create(&mut self, name: &str) -> io::Result<(String, PipeWriter)> {
        let pipe = self.0.as_ref().expect("a pipe").try_clone()?;
        Ok((name.to_owned(), pipe))
    }
}

impl Append for PipeWriter {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}

#[test]
fn a_disk_that_hangs_delays_nobody_and_is_said_while_it_hangs() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut lab = Lab::new(Clogged(Some(writer)));
    let picture = vec![7; 1 << 20];
    let mut slowest = Duration::ZERO;
    for frame in 0..200 {
        let begun = Instant::now();
        lab.frame(frame * 33, &picture);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let stats = lab.board.stats();
    assert!(
        stats
            .iter()
            .any(|stats| stats.state == RecordingState::Behind && stats.dropped_frames > 50),
        "{stats:?}"
    );
    // Whoever reads the pipe frees the writer.
    let read = std::thread::spawn(move || io::copy(&mut { reader }, &mut io::sink()));
    lab.finish();
    read.join().expect("no panic").expect("read to its end");
}
