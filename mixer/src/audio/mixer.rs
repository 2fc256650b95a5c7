//! All voices into one.

use super::limiter::{LOOK_AHEAD, Limiter, to_i16};
use super::voice::Voice;
use super::{BLOCK, CHANNELS, Pcm, SAMPLE_RATE, VoiceStats};
use lianmai_mixer_control::Volume;
use lianmai_mixer_control::media::HostId;
use lianmai_timeline::{EdgeTime, Span};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What the limiter has in hand when a block leaves it.
const AHEAD: Span = Span::from_ticks(LOOK_AHEAD as i64, SAMPLE_RATE as i64);

/// Mixes blocks of the sound of all hosts.
pub(crate) struct AudioMixer {
    /// What hosts are levelled to, in LUFS.
    loudness: Option<f64>,
    voices: BTreeMap<HostId, Voice>,
    limiter: Limiter,
    sum: Vec<f32>,
    voice: Vec<f32>,
    pcm: Vec<i16>,
}

impl AudioMixer {
    /// Without hosts. They are levelled to a loudness in LUFS, if one is given.
    pub(crate) fn new(loudness: Option<f64>) -> Result<Self, ebur128::Error> {
        let (sum, voice) = (vec![0.0; BLOCK * CHANNELS], vec![0.0; BLOCK * CHANNELS]);
        Ok(Self {
            loudness,
            voices: BTreeMap::new(),
            limiter: Limiter::new()?,
            sum,
            voice,
            pcm: vec![0; BLOCK * CHANNELS],
        })
    }

    /// Adds a host. One that is there already stays as it is.
    pub(crate) fn add(&mut self, host: HostId) {
        let Entry::Vacant(seat) = self.voices.entry(host) else {
            return;
        };
        match Voice::new(self.loudness) {
            Ok(voice) => {
                seat.insert(voice);
            }
            Err(error) => tracing::error!(host = host.0, %error, "a host without sound"),
        }
    }

    /// Drops a host and its sound.
    pub(crate) fn remove(&mut self, host: HostId) {
        self.voices.remove(&host);
    }

    /// Takes a host's sound out of the mix, or brings it back.
    pub(crate) fn mute(&mut self, host: HostId, muted: bool) {
        self.with(host, |voice| voice.mute(muted));
    }

    /// How loud a host is to be.
    pub(crate) fn set_volume(&mut self, host: HostId, volume: Volume) {
        self.with(host, |voice| voice.set_volume(volume));
    }

    /// The host's encoder started anew: nothing of its old sound is played.
    pub(crate) fn restart(&mut self, host: HostId) {
        self.with(host, Voice::restart);
    }

    /// Takes decoded sound of a host, captured at `captured`.
    pub(crate) fn write(&mut self, host: HostId, pcm: &Pcm, captured: EdgeTime) {
        self.with(host, |voice| voice.write(pcm, captured));
    }

    /// What is known of a host's sound.
    #[must_use]
    pub(crate) fn stats(&self, host: HostId) -> VoiceStats {
        self.voices.get(&host).map(Voice::stats).unwrap_or_default()
    }

    /// The block of all sound that was captured from `from` on, interleaved.
    pub(crate) fn mix(&mut self, from: EdgeTime) -> &[i16] {
        self.sum.fill(0.0);
        for (host, voice) in &mut self.voices {
            match voice.render(from + AHEAD, &mut self.voice) {
                Ok(true) => add(&mut self.sum, &self.voice),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(host = host.0, %error, "a host's sound is dropped");
                    voice.restart();
                }
            }
        }
        if let Err(error) = self.limiter.process(&mut self.sum) {
            tracing::error!(%error, "the limiter refused a block: it is silence");
            self.sum.fill(0.0);
        }
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
mod tests;
