//! How loud the mix is, by the word of ffmpeg's `ebur128`.

use super::{A, B, at};
use crate::audio::speech::voice;
use crate::audio::{AudioMixer, BLOCK, CHANNELS, Pcm};
use lianmai_mixer_control::Volume;
use lianmai_mixer_control::media::HostId;
use std::io::Write;
use std::process::{Command, Stdio};

const TARGET: f64 = -18.0;
const PACKET: i64 = 960;
const RATE: i64 = 48_000;

/// What ffmpeg says of a mix.
#[derive(Debug)]
struct Judged {
    /// In LUFS.
    integrated: f64,
    /// In dB of full scale.
    true_peak: f64,
}

fn judge(pcm: &[i16]) -> Judged {
    let mut ffmpeg = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-hide_banner",
            "-f",
            "s16le",
            "-ar",
            "48000",
            "-ac",
            "2",
            "-i",
            "-",
        ])
        .args(["-af", "ebur128=peak=true", "-f", "null", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let bytes: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut stdin = ffmpeg.stdin.take().expect("piped");
    let feed = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = ffmpeg.wait_with_output().expect("it ends");
    feed.join().expect("no panic").expect("it reads all");
    let said = String::from_utf8_lossy(&output.stderr);
    let summary = said.rsplit("Summary:").next().expect("a summary");
    let number = |label: &str| {
        let rest = summary.split(label).nth(1).expect(label);
        rest.split_whitespace()
            .next()
            .expect("a number")
            .parse()
            .expect("a number")
    };
    Judged {
        integrated: number("I:"),
        true_peak: number("Peak:"),
    }
}

/// Mixes what hosts say for some seconds.
fn mix(
    mixer: &mut AudioMixer,
    hosts: &[(HostId, &dyn Fn(i64) -> f32)],
    seconds: std::ops::Range<i64>,
) -> Vec<i16> {
    let mut mixed = Vec::new();
    let mut written = seconds.start * RATE;
    for block in seconds.start * RATE / BLOCK as i64..seconds.end * RATE / BLOCK as i64 {
        let from = block * BLOCK as i64;
        while written < from + RATE / 10 {
            for (host, sound) in hosts {
                let samples = (0..PACKET as usize * CHANNELS)
                    .map(|sample| sound(written + (sample / CHANNELS) as i64))
                    .collect();
                mixer.write(
                    *host,
                    &Pcm {
                        position: written,
                        samples,
                    },
                    at(written),
                );
            }
            written += PACKET;
        }
        mixed.extend_from_slice(mixer.mix(at(from)));
    }
    mixed
}

/// How loud a host is in the mix of which it is the only one, after it was levelled.
fn alone(amplitude: f32, loudness: Option<f64>, volume: u16) -> Judged {
    let mut mixer = AudioMixer::new(loudness).expect("valid parameters");
    mixer.add(A);
    mixer.set_volume(A, Volume::try_from(volume).expect("a volume"));
    let say = move |frame| voice(131.0, amplitude, frame);
    mix(&mut mixer, &[(A, &say)], 0..20);
    judge(&mix(&mut mixer, &[(A, &say)], 20..35))
}

#[test]
fn a_quiet_and_a_loud_host_are_alike_in_the_mix() {
    let (quiet, loud) = (alone(0.04, Some(TARGET), 100), alone(0.6, Some(TARGET), 100));
    println!("quiet {quiet:?}, loud {loud:?}");
    for judged in [&quiet, &loud] {
        assert!((judged.integrated - TARGET).abs() <= 1.0, "{judged:?}");
    }
    let untouched = (alone(0.04, None, 100), alone(0.6, None, 100));
    let apart = untouched.1.integrated - untouched.0.integrated;
    assert!(apart > 22.0, "they were {apart} LU apart");
}

#[test]
fn the_volume_comes_on_top_of_the_levelling() {
    let (half, twice) = (alone(0.1, Some(TARGET), 50), alone(0.1, Some(TARGET), 200));
    let apart = twice.integrated - half.integrated;
    assert!((apart - 12.0).abs() < 0.6, "{half:?} {twice:?}");
}

#[test]
fn four_hosts_at_200_percent_do_not_clip() {
    let mut mixer = AudioMixer::new(None).expect("valid parameters");
    let hosts = [A, B, HostId(3), HostId(4)];
    for host in hosts {
        mixer.add(host);
        mixer.set_volume(host, Volume::try_from(200).expect("a volume"));
    }
    let say = [110.0, 131.0, 173.0, 207.0].map(|pitch| move |frame| voice(pitch, 0.5, frame));
    let voices: Vec<(HostId, &dyn Fn(i64) -> f32)> = hosts
        .into_iter()
        .zip(&say)
        .map(|(host, say)| (host, say as &dyn Fn(i64) -> f32))
        .collect();
    let mixed = mix(&mut mixer, &voices, 0..15);
    let judged = judge(&mixed);
    println!("four at 200 %: {judged:?}");
    assert!(mixed.iter().all(|sample| sample.unsigned_abs() < 29_400));
    // ffmpeg interpolates finer than four times, and finds a little more.
    assert!(judged.true_peak <= -0.7, "{judged:?}");
    assert!(judged.integrated > -14.0, "it is loud all the same: {judged:?}");
}
