//! All voices into one.

use super::limiter::{limit, to_i16};
use super::voice::Voice;
use super::{BLOCK, CHANNELS, Pcm};
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};
use std::collections::BTreeMap;

/// Mixes blocks of the sound of all hosts.
pub(crate) struct AudioMixer {
    voices: BTreeMap<HostId, Voice>,
    sum: Vec<f32>,
    voice: Vec<f32>,
    pcm: Vec<i16>,
}

impl Default for AudioMixer {
    fn default() -> Self {
        let (sum, voice) = (vec![0.0; BLOCK * CHANNELS], vec![0.0; BLOCK * CHANNELS]);
        Self {
            voices: BTreeMap::new(),
            sum,
            voice,
            pcm: vec![0; BLOCK * CHANNELS],
        }
    }
}

impl AudioMixer {
    /// Adds a host. One that is there already stays as it is.
    pub(crate) fn add(&mut self, host: HostId) {
        self.voices.entry(host).or_default();
    }

    /// Drops a host and its sound.
    pub(crate) fn remove(&mut self, host: HostId) {
        self.voices.remove(&host);
    }

    /// Takes a host's sound out of the mix, or brings it back.
    pub(crate) fn mute(&mut self, host: HostId, muted: bool) {
        self.with(host, |voice| voice.mute(muted));
    }

    /// The host's encoder started anew: nothing of its old sound is played.
    pub(crate) fn restart(&mut self, host: HostId) {
        self.with(host, Voice::restart);
    }

    /// Takes decoded sound of a host, captured at `captured`.
    pub(crate) fn write(&mut self, host: HostId, pcm: &Pcm, captured: EdgeTime) {
        self.with(host, |voice| voice.write(pcm, captured));
    }

    /// How far a host's sound is from where it belongs; positive is early.
    #[must_use]
    pub(crate) fn error(&self, host: HostId) -> Span {
        self.voices.get(&host).map_or(Span::ZERO, Voice::error)
    }

    /// The block of all sound that was captured from `from` on, interleaved.
    pub(crate) fn mix(&mut self, from: EdgeTime) -> &[i16] {
        self.sum.fill(0.0);
        for (host, voice) in &mut self.voices {
            match voice.render(from, &mut self.voice) {
                Ok(true) => add(&mut self.sum, &self.voice),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(host = host.0, %error, "a host's sound is dropped");
                    voice.restart();
                }
            }
        }
        limit(&mut self.sum);
        to_i16(&self.sum, &mut self.pcm);
        &self.pcm
    }

    fn with(&mut self, host: HostId, act: impl FnOnce(&mut Voice)) {
        if let Some(voice) = self.voices.get_mut(&host) {
            act(voice);
        }
    }
}

fn add(sum: &mut [f32], voice: &[f32]) {
    for (sum, sample) in sum.iter_mut().zip(voice) {
        *sum += sample;
    }
}

#[cfg(test)]
mod tests {
    use super::AudioMixer;
    use crate::audio::{BLOCK, CHANNELS, Pcm};
    use lianmai_mixer_control::media::HostId;
    use lianmai_timeline::{EdgeTime, Span};

    const A: HostId = HostId(1);
    const B: HostId = HostId(2);

    fn at(frames: i64) -> EdgeTime {
        EdgeTime(1_000_000_000) + Span::from_ticks(frames, 48_000)
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
        assert!(AudioMixer::default().mix(at(0)).iter().all(|sample| *sample == 0));
    }

    #[test]
    fn two_hosts_add_up() {
        let mut mixer = AudioMixer::default();
        constant(&mut mixer, A, 0.25);
        constant(&mut mixer, B, 0.375);
        assert!((settled(&mut mixer) - 0.625).abs() < 1e-3);
    }

    #[test]
    fn loud_hosts_are_limited_and_not_clipped() {
        let mut mixer = AudioMixer::default();
        constant(&mut mixer, A, 0.6);
        constant(&mut mixer, B, 0.6);
        let level = settled(&mut mixer);
        assert!(level > 0.9 && level < 1.0, "{level}");
    }

    #[test]
    fn a_muted_and_a_removed_host_are_not_heard() {
        let mut mixer = AudioMixer::default();
        constant(&mut mixer, A, 0.25);
        constant(&mut mixer, B, 0.5);
        mixer.mute(B, true);
        assert!((settled(&mut mixer) - 0.25).abs() < 1e-3);
        mixer.remove(A);
        assert!(mixer.mix(at(40_000)).iter().all(|sample| *sample == 0));
    }

    #[test]
    fn sound_of_a_host_that_is_not_in_the_mix_is_dropped() {
        let mut mixer = AudioMixer::default();
        mixer.write(
            A,
            &Pcm {
                position: 0,
                samples: vec![0.5; 9_600],
            },
            at(0),
        );
        assert!(mixer.mix(at(0)).iter().all(|sample| *sample == 0));
    }
}
