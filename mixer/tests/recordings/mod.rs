//! Recordings of the mix and of the hosts: what is in the files, and what disks may do.

mod film;

use crate::common::Directory;
use crate::common::daemon::{Daemon, settings};
use crate::common::host::Host;
use crate::common::media::{self, RATE, amplitude, mean};
use crate::common::streams;
use crate::{onset, play};
use film::{Film, films};
use lianmai_mixer::clock;
use lianmai_mixer_control::{FromMixer, MixStats, Record, RecordingState, Settings, ToMixer};
use lianmai_timeline::{EdgeTime, Span};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::Path;

const BOTH: Record = Record {
    mix: true,
    hosts: true,
};

/// When everybody sees and hears the same, in seconds after the start.
const FLASH: f64 = 2.0;

fn start(directory: &Path) -> Daemon {
    let mut daemon = Daemon::start(Settings {
        record: Some(directory.to_owned()),
        ..settings()
    });
    daemon.say(&ToMixer::Record(BOTH));
    daemon
}

fn flashing(id: u32, name: &'static str, hertz: f64) -> Host {
    let flash = "color=black:size=320x180:rate=30,drawbox=color=white:t=fill:enable='between(t,1.99,2.3)'";
    let is_on = |time: f64| (FLASH..FLASH + 0.3).contains(&time);
    Host::new(
        id,
        name,
        streams::h264(flash, 4.0, 30),
        media::tone(hertz, 4.0, is_on),
    )
}

fn noisy(id: u32, name: &'static str) -> Host {
    let pictures = streams::h264("testsrc2=size=320x180:rate=30", 6.0, 30);
    Host::new(id, name, pictures, media::tone(440.0, 6.0, |_| true))
}

fn run(daemon: &mut Daemon, hosts: &mut [&mut Host], length: Span) -> EdgeTime {
    let start = clock::now() + Span::from_millis(200);
    hosts.iter_mut().for_each(|host| host.join(daemon, start));
    play(daemon, hosts, start + length);
    start
}

fn stats(daemon: &Daemon, what: &str, wanted: impl Fn(&MixStats) -> bool) -> MixStats {
    let said = daemon.wait_for(
        what,
        |said| matches!(said, FromMixer::Stats(stats) if wanted(stats)),
    );
    match said {
        FromMixer::Stats(stats) => stats,
        other => unreachable!("waited for statistics: {other:?}"),
    }
}

/// When it is first bright, and when its tone is first heard, on the clock of the world.
fn flash(film: &Film, hertz: f64) -> (f64, f64) {
    let decoded = media::decode(&film.path);
    assert_eq!(
        decoded.pictures.len(),
        film.pictures.len(),
        "every picture decodes"
    );
    let luma = decoded
        .pictures
        .iter()
        .map(|picture| mean(picture, 40, 70, 80, 40)[0] - 16.0);
    let seen = onset(film.pictures.iter().copied().zip(luma));
    let windows = decoded.sound.windows(480).step_by(48).enumerate();
    let heard = onset(windows.map(|(millis, sound)| {
        let middle = millis * 48 + 240;
        (film.heard(middle), amplitude(sound, hertz))
    }));
    (film.zero + seen, film.zero + heard)
}

/// The flash comes in the first seconds, when a few sender reports have told the hosts' clocks; as far as a file is off then, in
/// seconds. Of it 6.5 ms are the look-ahead of the sound's encoder.
const SETTLING: f64 = 0.05;

#[test]
fn files_of_one_room_lie_side_by_side_by_their_names_and_hold_what_came() {
    let directory = Directory::new();
    let mut daemon = start(directory.path());
    let mut near = flashing(1, "near", 440.0);
    let mut far = flashing(2, "far/../away", 1000.0).delayed(Span::from_millis(205));
    run(&mut daemon, &mut [&mut near, &mut far], Span::from_millis(3_600));
    let delay = stats(&daemon, "the delay of the room", |_| true).room_delay_ms / 1000.0;
    daemon.terminate();
    assert!(daemon.exit().success(), "SIGTERM is a clean end");

    let films = films(directory.path());
    let named = |end: &str| {
        let found = films.iter().find(|film| film.name.ends_with(end));
        found.unwrap_or_else(|| panic!("no {end} among {films:?}"))
    };
    let (near, far, mix) = (named("-near.mp4"), named("-far____away.mp4"), named("Z.mp4"));
    assert_eq!(films.len(), 3, "{films:?}");

    for film in [near, far] {
        assert_eq!(film.codecs, ["h264", "opus"]);
        // From the first key frame to the last picture that came; 30 a second, and no step is anything else.
        assert!(
            (95..=108).contains(&film.pictures.len()),
            "{}",
            film.pictures.len()
        );
        let steps = film.pictures.windows(2).map(|pair| pair[1] - pair[0]);
        let worst = steps.map(|step| (step - 1.0 / 30.0).abs()).fold(0.0, f64::max);
        assert!(worst < 0.004, "{worst} s from a thirtieth");
    }
    assert_eq!(mix.codecs, ["h264", "aac"]);

    let flashes = [flash(near, 440.0), flash(far, 1000.0), flash(mix, 440.0)];
    for (seen, heard) in &flashes[..2] {
        assert!(
            (seen - heard).abs() <= SETTLING,
            "seen at {seen}, heard at {heard}"
        );
    }
    let [near, far, mix] = flashes;
    assert!(
        (near.0 - far.0).abs() <= SETTLING,
        "the same flash at {near:?} and {far:?}"
    );
    assert!(
        (near.1 - far.1).abs() <= SETTLING,
        "the same tone at {near:?} and {far:?}"
    );
    // The mix shows it as much later as the far host needs.
    assert!(
        (near.0 + delay - mix.0).abs() <= 0.045 && (near.1 + delay - mix.1).abs() <= 0.045,
        "{near:?}, and {delay} s later in the mix: {mix:?}"
    );
}

#[test]
fn files_of_a_mixer_that_was_killed_play_to_within_a_second_of_its_end() {
    let directory = Directory::new();
    let mut daemon = start(directory.path());
    let mut host = noisy(1, "ann");
    let begun = run(&mut daemon, &mut [&mut host], Span::from_millis(3_500));
    let lasted = (clock::now() - begun).as_secs_f64();
    daemon.kill();
    let films = films(directory.path());
    assert_eq!(films.len(), 2, "{films:?}");
    for film in films {
        let decoded = media::decode(&film.path);
        let (pictures, sound) = (decoded.pictures.len(), decoded.sound.len());
        assert_eq!(pictures, film.pictures.len(), "{}", film.name);
        let least = lasted - 1.9;
        assert!(
            pictures as f64 / 30.0 >= least && sound as f64 / RATE as f64 >= least,
            "{}: {pictures} pictures and {sound} samples of {lasted} s",
            film.name
        );
    }
}

#[test]
fn recordings_are_stopped_and_started_while_the_mix_goes_on() {
    let directory = Directory::new();
    let mut daemon = start(directory.path());
    let mut host = noisy(1, "ann");
    run(&mut daemon, &mut [&mut host], Span::from_millis(1_500));
    daemon.say(&ToMixer::Record(Record {
        mix: false,
        hosts: true,
    }));
    stats(&daemon, "that the mix is recorded no longer", |stats| {
        let ended = |host: bool| {
            let mut of = stats.recordings.iter().filter(|file| file.host.is_some() == host);
            of.any(|file| file.state == RecordingState::Ended)
        };
        ended(false) && !ended(true)
    });
    daemon.say(&ToMixer::Record(BOTH));
    play(&daemon, &mut [&mut host], clock::now() + Span::from_millis(1_000));
    let stats = stats(&daemon, "another recording of the mix", |stats| {
        let mixes = stats.recordings.iter().filter(|file| file.host.is_none());
        mixes.filter(|file| file.bytes > 0).count() == 2
    });
    let names: Vec<_> = stats.recordings.iter().map(|file| &file.file).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    daemon.terminate();
    assert!(daemon.exit().success());
    for film in films(directory.path()) {
        assert_eq!(media::decode(&film.path).pictures.len(), film.pictures.len());
    }
}

/// A file system of its own, of this many bytes.
struct Small(Directory);

impl Small {
    fn mount(bytes: usize) -> Self {
        let directory = Directory::new();
        let size = format!("size={bytes}");
        let (none, kind) = (None::<&str>, Some("tmpfs"));
        mount(
            none,
            directory.path(),
            kind,
            MsFlags::empty(),
            Some(size.as_str()),
        )
        .expect("tests run as root");
        Self(directory)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        umount2(self.0.path(), MntFlags::MNT_DETACH).ok();
    }
}

#[test]
fn a_disk_that_is_full_ends_the_recordings_with_a_reason_and_costs_the_mix_nothing() {
    let disk = Small::mount(512 << 10);
    let mut daemon = start(disk.0.path());
    let mut host = noisy(1, "ann");
    run(&mut daemon, &mut [&mut host], Span::from_millis(3_500));
    let full = stats(&daemon, "that the disk is full", |stats| {
        let failed = |state: &RecordingState| matches!(state, RecordingState::Failed { reason } if reason.contains("No space left"));
        stats.recordings.len() == 2 && stats.recordings.iter().all(|file| failed(&file.state))
    });
    let later = stats(&daemon, "that the mix goes on", |stats| {
        stats.frames_encoded >= full.frames_encoded + 30
    });
    // A machine that is short of time may lose a tick or two, disk or not.
    assert!(later.frames_skipped * 20 <= later.frames_encoded, "{later:?}");
    daemon.terminate();
    assert!(daemon.exit().success());
    let films = films(disk.0.path());
    assert_eq!(films.len(), 2);
    for (film, file) in films.iter().zip(&full.recordings) {
        assert_eq!(media::decode(&film.path).pictures.len(), film.pictures.len());
        let length = disk.0.path().join(&file.file).metadata().expect("there").len();
        assert_eq!(length, file.bytes, "what found no room is gone");
    }
}
