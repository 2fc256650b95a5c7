//! The sound of several hosts under a clock moved by hand.

use super::AudioMixer;
use crate::audio::{BLOCK, CHANNELS, Pcm};
use lianmai_mixer_control::Volume;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};

const A: HostId = HostId(1);
const B: HostId = HostId(2);

fn at(frames: i64) -> EdgeTime {
    EdgeTime(1_000_000_000) + Span::from_ticks(frames, 48_000)
}

fn mixer() -> AudioMixer {
    AudioMixer::new(None).expect("valid parameters")
}

fn constant(mixer: &mut AudioMixer, host: HostId, level: f32) {
    mixer.add(host);
    mixer.write(
        host,
        &Pcm {
            position: 0,
            samples: vec![level; 48_000 * CHANNELS],
        },
        at(0),
    );
}

/// The level in the middle of the third block, when ramps and filters have settled.
fn settled(mixer: &mut AudioMixer) -> f32 {
    let levels: Vec<f32> = (0..3)
        .map(|block| f32::from(mixer.mix(at(4_800 + block * BLOCK as i64))[BLOCK]) / f32::from(i16::MAX))
        .collect();
    levels[2]
}

#[test]
fn an_empty_room_is_silent() {
    assert!(mixer().mix(at(0)).iter().all(|sample| *sample == 0));
}

#[test]
fn two_hosts_add_up_each_at_its_volume() {
    let mut mixer = mixer();
    constant(&mut mixer, A, 0.25);
    constant(&mut mixer, B, 0.375);
    assert!((settled(&mut mixer) - 0.625).abs() < 1e-3);
    mixer.set_volume(A, Volume::try_from(200).expect("a volume"));
    mixer.set_volume(B, Volume::try_from(40).expect("a volume"));
    assert!((settled(&mut mixer) - 0.65).abs() < 1e-3);
}

#[test]
fn loud_hosts_are_limited_and_not_clipped() {
    let mut mixer = mixer();
    constant(&mut mixer, A, 0.6);
    constant(&mut mixer, B, 0.6);
    let level = settled(&mut mixer);
    assert!(level > 0.85 && level < 0.9, "{level}");
}

#[test]
fn a_muted_and_a_removed_host_are_not_heard() {
    let mut mixer = mixer();
    constant(&mut mixer, A, 0.25);
    constant(&mut mixer, B, 0.5);
    mixer.mute(B, true);
    assert!((settled(&mut mixer) - 0.25).abs() < 1e-3);
    mixer.remove(A);
    mixer.mix(at(40_000));
    assert!(mixer.mix(at(41_024)).iter().all(|sample| *sample == 0));
}

#[test]
fn sound_of_a_host_that_is_not_in_the_mix_is_dropped() {
    let mut mixer = mixer();
    mixer.write(
        A,
        &Pcm {
            position: 0,
            samples: vec![0.5; 9_600],
        },
        at(0),
    );
    mixer.mix(at(0));
    assert!(mixer.mix(at(1_024)).iter().all(|sample| *sample == 0));
}

mod drift;
mod loudness;
