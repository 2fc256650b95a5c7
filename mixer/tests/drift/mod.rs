//! Hosts whose clocks are off, in real time: whether picture and sound of the published stream stay where they belong.

use super::{Directory, play, times};
use crate::common::daemon::{Daemon, settings};
use crate::common::host::Host;
use crate::common::media::{self, RATE, amplitude};
use crate::common::sink::{Sink, write_flv};
use crate::common::streams;
use lianmai_mixer::clock;
use lianmai_mixer_control::{Canvas, Settings};
use lianmai_rtmp::TagKind;
use lianmai_timeline::{EdgeTime, Span};
use std::f64::consts::TAU;

/// How long the hosts play, unless `LIANMAI_DRIFT_SECONDS` says otherwise.
fn seconds() -> usize {
    let asked = std::env::var("LIANMAI_DRIFT_SECONDS").ok();
    asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(14)
}

/// What a host plays comes again after so many seconds.
const LOOP: usize = 10;

/// Pictures of the hosts in a second. The mix has 25, so that its ticks meet them at every phase.
const PICTURES: usize = 30;

/// Until the timebase has settled, in seconds.
const SETTLED: f64 = 5.0;

/// The luma of the first picture of each second, and what each later one has more.
const DARK: usize = 20;
const STEP: usize = 7;

/// Each second goes from dark to bright, a step a picture.
fn staircase() -> String {
    format!(
        "color=black:size=320x180:rate={PICTURES},format=yuv420p,geq=lum='{DARK}+{STEP}*mod(N,{PICTURES})':cb=128:cr=128"
    )
}

/// A hum, so that there is no silence in which corrections were free, and a beep each second.
fn beeps(hertz: f64, at: f64) -> impl Fn(f64) -> f64 {
    move |time| {
        let into = time.fract() - at;
        let beep = if (0.0..0.03).contains(&into) { 0.4 } else { 0.0 };
        0.02 * (TAU * 300.0 * time).sin() + beep * (TAU * hertz * into).cos()
    }
}

fn again<T: Clone>(content: &[T], count: usize) -> Vec<T> {
    content.iter().cycle().take(count).cloned().collect()
}

/// A host, and where its beeps and pictures are.
struct Watched {
    host: Host,
    hertz: f64,
    beep_at: f64,
    left: usize,
}

impl Watched {
    fn new(id: u32, ppm: i64, hertz: f64, beep_at: f64, left: usize) -> Self {
        let pictures = streams::h264(&staircase(), LOOP as f64, 30);
        let sounds = media::sound(LOOP as f64, beeps(hertz, beep_at));
        let length = seconds() + 2;
        let host = Host::new(
            id,
            "host",
            again(&pictures, length * PICTURES),
            again(&sounds, length * 50),
        );
        Self {
            host: host.drifting(ppm),
            hertz,
            beep_at,
            left,
        }
    }

    /// When its clocks have run for so many seconds, in seconds since the start.
    fn time_of(&self, elapsed: f64) -> f64 {
        let elapsed = Span((elapsed * 1e9) as i64);
        (self.host.time_of(EdgeTime(0), elapsed) - EdgeTime(0)).as_secs_f64()
    }

    /// When its beeps begin in the stream, each with how long after the host's it is, in seconds; the stream's own start
    /// is in all of them. The first sample is heard at `begin`.
    fn heard(&self, sound: &[f32], begin: f64) -> Vec<(f64, f64)> {
        let onsets: Vec<f64> = onsets(sound, self.hertz)
            .iter()
            .map(|onset| begin + onset)
            .collect();
        let first = onsets.first().map_or(0.0, |onset| onset - self.beep_at).round();
        let late = |(number, onset): (usize, f64)| {
            (onset, onset - self.time_of(first + number as f64 + self.beep_at))
        };
        onsets.into_iter().enumerate().map(late).collect()
    }

    /// The same of its pictures. Each says by its luma which of its second it is; the nearest second is its own.
    fn seen(&self, luma: &[u8], times: &[u32], about: f64) -> Vec<(f64, f64)> {
        let pictures = luma.iter().zip(times);
        pictures
            .map(|(luma, time)| {
                let time = f64::from(*time) / 1000.0;
                let number = (usize::from(*luma).saturating_sub(DARK - STEP / 2) / STEP) as f64;
                let within = number / PICTURES as f64;
                let second = (time - about - within).round();
                (time, time - self.time_of(second + within))
            })
            .collect()
    }
}

/// Where beeps of this pitch begin, in seconds, to a quarter of a millisecond.
fn onsets(sound: &[f32], hertz: f64) -> Vec<f64> {
    const WINDOW: usize = RATE / 100;
    let level = |at: usize| {
        sound
            .get(at..at + WINDOW)
            .map_or(0.0, |window| amplitude(window, hertz))
    };
    let mut onsets: Vec<f64> = Vec::new();
    let mut at = 0;
    while at + 2 * WINDOW < sound.len() {
        if level(at + WINDOW) < 0.3 {
            at += WINDOW / 2;
            continue;
        }
        // Half of the window is in the beep where its level is half of the beep's.
        let half = (at..at + WINDOW).step_by(12).find(|start| level(*start) >= 0.2);
        onsets.push((half.unwrap_or(at) + WINDOW / 2) as f64 / RATE as f64);
        at += RATE / 2;
    }
    onsets
}

/// The mean in milliseconds of what was measured between two times of the stream.
fn mean(measured: &[(f64, f64)], from: f64, to: f64) -> f64 {
    let within = measured.iter().filter(|(time, _)| (from..to).contains(time));
    let values: Vec<f64> = within.map(|(_, late)| late * 1000.0).collect();
    assert!(!values.is_empty(), "nothing between {from} and {to} s");
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn hosts_whose_clocks_are_off_do_not_drift_in_the_stream() {
    let mut hosts = [
        Watched::new(1, 100, 2_000.0, 0.25, 40),
        Watched::new(2, -100, 5_000.0, 0.75, 200),
    ];
    let sink = Sink::start();
    let canvas = Canvas {
        fps: 25,
        ..settings().canvas
    };
    let mut daemon = Daemon::start(Settings { canvas, ..settings() });
    daemon.publish_to(sink.port());
    let start = clock::now() + Span::from_millis(200);
    for watched in &mut hosts {
        watched.host.join(&mut daemon, start);
    }
    let end = start + Span::from_secs(seconds() as i64);
    let [one, two] = &mut hosts;
    play(&daemon, &mut [&mut one.host, &mut two.host], end);
    let tags = super::finish(daemon, &sink);

    let directory = Directory::new();
    let file = directory.path().join("mix.flv");
    write_flv(&tags, &file);
    let sound = media::decode_sound(&file);
    let begin = f64::from(times(&tags, TagKind::Audio)[0]) / 1000.0;
    let times = times(&tags, TagKind::Video);
    let length = f64::from(*times.last().expect("pictures")) / 1000.0 - 1.0;
    let span = (length - SETTLED).min(60.0) / 2.0;
    let mut found = Vec::new();
    for watched in &hosts {
        let heard = watched.heard(&sound, begin);
        let about = mean(&heard, SETTLED, SETTLED + span) / 1000.0;
        let luma = media::decode_luma(&file, watched.left, 70, 80, 40);
        assert_eq!(luma.len(), times.len(), "every picture decodes");
        let seen = watched.seen(&luma, &times, about);
        let drift = |of: &[(f64, f64)]| mean(of, length - span, length) - mean(of, SETTLED, SETTLED + span);
        let (audio, video) = (drift(&heard), drift(&seen));
        let apart: Vec<f64> = (SETTLED as usize..length as usize)
            .map(|second| second as f64)
            .map(|second| mean(&heard, second, second + 1.1) - mean(&seen, second, second + 1.0))
            .collect();
        let worst = apart.iter().map(|apart| apart.abs()).fold(0.0, f64::max);
        println!(
            "{} Hz, {length:.0} s: sound drifts {audio:+.2} ms, picture {video:+.2} ms, sound {:+.1} ms after picture, at most {worst:.1} ms apart",
            watched.hertz,
            apart.iter().sum::<f64>() / apart.len() as f64,
        );
        found.push((audio, video, worst));
    }
    for (audio, video, worst) in found {
        assert!(
            audio.abs() < 5.0 && video.abs() < 5.0,
            "drift of sound {audio} ms, of picture {video} ms"
        );
        assert!(worst <= 20.0, "sound and picture are {worst} ms apart");
    }
}
