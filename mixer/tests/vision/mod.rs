//! A vision program beside the mixer: what it gets, what is drawn of what it says, and what harm it can do.

use crate::common::daemon::{Daemon, settings};
use crate::common::host::Host;
use crate::common::media::{self, mean};
use crate::common::sink::Sink;
use crate::common::streams;
use crate::{RED, decode, finish, play};
use lianmai_mixer::clock;
use lianmai_mixer_control::{FromMixer, Settings, VISION_SOCKET, VisionStats};
use lianmai_timeline::Span;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A program that says what the test wants.
struct Program {
    reader: BufReader<UnixStream>,
    socket: UnixStream,
    memory: File,
    hello: Value,
}

impl Program {
    fn connect(directory: &Path) -> Self {
        let (path, deadline) = (
            directory.join(VISION_SOCKET),
            Instant::now() + Duration::from_secs(10),
        );
        let socket = loop {
            if let Ok(socket) = UnixStream::connect(&path) {
                break socket;
            }
            assert!(Instant::now() < deadline, "the mixer does not listen");
            thread::sleep(Duration::from_millis(10));
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        // The descriptor comes with the first byte, and the rest of the line is read as every other one.
        let mut first = [0];
        let mut parts = [IoSliceMut::new(&mut first)];
        recvmsg(&socket, &mut parts, &mut control, RecvFlags::empty()).expect("a hello");
        let rights = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        let mut reader = BufReader::new(socket.try_clone().expect("a handle"));
        let mut line = String::from_utf8_lossy(&first).into_owned();
        reader.read_line(&mut line).expect("a hello");
        Self {
            reader,
            socket,
            memory: File::from(rights.expect("a descriptor")),
            hello: serde_json::from_str(&line).expect("JSON"),
        }
    }

    /// The next picture; none when the mixer has closed the socket.
    fn frame(&mut self) -> Option<Value> {
        let mut line = String::new();
        let len = self.reader.read_line(&mut line).unwrap_or(0);
        (len > 0).then(|| serde_json::from_str(&line).expect("JSON"))
    }

    fn say(&mut self, line: &str) -> bool {
        self.socket.write_all(format!("{line}\n").as_bytes()).is_ok()
    }

    /// Says that there is a box with a label around the middle.
    fn answer(&mut self, frame: &Value) {
        let a_box =
            json!({"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5, "color": "#ffffff", "label": "face"});
        self.say(&json!({"frame": frame["frame"], "boxes": [a_box]}).to_string());
    }

    /// The mean Y, U and V of a picture, and the number that stands before it.
    fn look(&self, frame: &Value) -> ([f64; 3], u64) {
        let number = |key: &str| usize::try_from(frame[key].as_u64().expect("a number")).expect("small");
        let (luma, offset) = (number("width") * number("height"), number("offset"));
        let mut bytes = vec![0; luma * 3 / 2];
        self.memory
            .read_exact_at(&mut bytes, offset as u64)
            .expect("memory");
        let mean =
            |part: &[u8]| part.iter().map(|sample| f64::from(*sample)).sum::<f64>() / part.len() as f64;
        let (y, chroma) = bytes.split_at(luma);
        let (u, v) = chroma.split_at(luma / 4);
        let mut before = [0; 8];
        self.memory
            .read_exact_at(&mut before, offset as u64 - 64)
            .expect("memory");
        ([mean(y), mean(u), mean(v)], u64::from_le_bytes(before))
    }
}

fn watched() -> Settings {
    Settings {
        vision: true,
        ..settings()
    }
}

fn red(seconds: f64) -> Host {
    let sound = media::tone(440.0, seconds, |_| true);
    Host::new(1, "red", streams::h264(RED, seconds, 30), sound)
}

fn stats(daemon: &Daemon, what: &str, wanted: impl Fn(VisionStats) -> bool) -> VisionStats {
    let said = daemon.wait_for(
        what,
        |said| matches!(said, FromMixer::Stats(stats) if stats.vision.is_some_and(&wanted)),
    );
    let FromMixer::Stats(stats) = said else {
        unreachable!("waited for statistics");
    };
    stats.vision.expect("there is to be a program")
}

/// The left line of the box that [`Program::answer`] says, and what is beside it.
fn line(picture: &[u8]) -> (f64, f64) {
    (mean(picture, 80, 70, 2, 40)[0], mean(picture, 100, 70, 2, 40)[0])
}

#[test]
fn a_program_sees_pictures_and_what_it_says_is_drawn_until_it_is_too_old() {
    let (mut host, sink) = (red(5.0), Sink::start());
    let mut daemon = Daemon::start(watched());
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(200);
    host.join(&mut daemon, start);
    let mut program = Program::connect(daemon.directory());
    assert_eq!(
        (&program.hello["version"], &program.hello["format"]),
        (&json!(1), &json!("i420"))
    );
    let answering = thread::spawn(move || {
        let until = Instant::now() + Duration::from_millis(2_500);
        let mut seen = Vec::new();
        while let Some(frame) = program.frame() {
            seen.push((program.look(&frame), frame.clone()));
            if Instant::now() > until {
                break;
            }
            program.answer(&frame);
        }
        // The last one is kept, and no other one comes.
        (seen, program)
    });
    play(&daemon, &mut [&mut host], start + Span::from_millis(4_500));
    let (seen, _program) = answering.join().expect("no panic");
    let counted = stats(&daemon, "pictures that are skipped", |stats| {
        stats.frames_skipped > 3
    });
    let tags = finish(daemon, &sink);

    assert!(
        (7..=14).contains(&seen.len()),
        "five a second: {} in 2.5 s",
        seen.len()
    );
    for (([y, u, v], number), frame) in &seen {
        assert!(
            (60.0..=90.0).contains(y) && *u < 110.0 && *v > 220.0,
            "{y} {u} {v} is red"
        );
        assert_eq!(
            (&frame["width"], &frame["height"], &frame["name"]),
            (&json!(320), &json!(180), &json!("red"))
        );
        assert_eq!(frame["frame"], json!(number));
    }
    assert_eq!(
        (counted.frames_sent, counted.frames_answered),
        (seen.len() as u64, seen.len() as u64 - 1)
    );
    assert_eq!((counted.connections, counted.lines_refused), (1, 0));

    let pictures = decode(&tags).pictures;
    let drawn = |picture: &Vec<u8>| line(picture).0 > line(picture).1 + 60.0;
    let first = pictures.iter().position(drawn).expect("a box");
    let last = pictures.iter().rposition(drawn).expect("a box");
    assert!(
        pictures[first..=last].iter().all(drawn),
        "the box does not flicker"
    );
    assert!(last - first > 60, "{first} to {last} of {}", pictures.len());
    assert!(
        pictures.len() - last > 20,
        "it is gone in the end: {last} of {}",
        pictures.len()
    );
}

#[test]
fn junk_is_refused_and_counted_and_a_program_that_says_nothing_else_is_let_go() {
    let mut host = red(6.0);
    let mut daemon = Daemon::start(watched());
    let start = clock::now() + Span::from_millis(200);
    host.join(&mut daemon, start);
    let directory = daemon.directory().to_owned();
    let program = thread::spawn(move || {
        let mut program = Program::connect(&directory);
        let frame = program.frame().expect("a picture");
        program.say("what is this");
        program.say(r#"{"frame": 4711, "boxes": []}"#);
        program.say(&"x".repeat(100_000));
        program.answer(&frame);
        program.frame().expect("another picture, in spite of it all");
        while program.say("what is this") {}
        while program.frame().is_some() {}
        // It may come back.
        let mut program = Program::connect(&directory);
        let frame = program.frame().expect("a picture");
        program.answer(&frame);
        program.frame().expect("another picture");
    });
    play(&daemon, &mut [&mut host], start + Span::from_millis(4_000));
    program.join().expect("no panic");
    let counted = stats(&daemon, "both programs", |stats| stats.frames_answered == 2);
    assert_eq!(counted.connections, 2);
    assert!((103..2000).contains(&counted.lines_refused), "{counted:?}");
    let gone = stats(&daemon, "that nobody looks any more", |stats| !stats.connected);
    assert_eq!(gone.stuck, 0);
}
