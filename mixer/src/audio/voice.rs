//! The sound of one host on its way into the mix.

use super::fader::Fader;
use super::leveller::Leveller;
use super::resampler::{self, Resampler};
use super::ring::{FADE, Ring, fade};
use super::{BLOCK, CHANNELS, Pcm, SAMPLE_RATE, VoiceStats};
use lianmai_mixer_control::Volume;
use lianmai_timeline::{AudioSlew, Correction, EdgeTime, Span};

/// Below this peak a block counts as quiet and may be moved without being heard (-50 dB).
const QUIET: f32 = 0.003;

/// No decoder means samples beyond this.
const LOUDEST: f32 = 4.0;

/// Why a voice cannot go on; none of these happens with the sizes in here.
#[derive(Debug, thiserror::Error)]
pub(super) enum VoiceError {
    /// It could not be resampled.
    #[error(transparent)]
    Resampler(#[from] resampler::Error),
    /// Its loudness could not be measured.
    #[error("its loudness cannot be measured: {0}")]
    Loudness(#[from] ebur128::Error),
}

/// One host's sound: placed by capture time, slewed, levelled, faded softly to its volume.
#[derive(Default)]
pub(super) struct Voice {
    ring: Ring,
    anchor: Option<Anchor>,
    resampler: Option<Resampler>,
    slew: AudioSlew,
    leveller: Option<Leveller>,
    volume: Volume,
    muted: bool,
    fader: Fader,
    error: Span,
}

/// Says which position was captured when.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    position: i64,
    captured: EdgeTime,
}

impl Anchor {
    fn position_at(self, captured: EdgeTime) -> i64 {
        self.position
            .saturating_add((captured - self.captured).to_ticks(i64::from(SAMPLE_RATE)))
    }

    fn captured_at(self, position: i64) -> EdgeTime {
        self.captured + Span::from_ticks(position.saturating_sub(self.position), i64::from(SAMPLE_RATE))
    }
}

impl Voice {
    /// One that is levelled to a loudness in LUFS, if one is given.
    pub(super) fn new(loudness: Option<f64>) -> Result<Self, VoiceError> {
        Ok(Self {
            leveller: loudness.map(Leveller::new).transpose()?,
            ..Self::default()
        })
    }

    /// Takes decoded sound whose first frame was captured at `captured`.
    pub(super) fn write(&mut self, pcm: &Pcm, captured: EdgeTime) {
        self.ring.write(pcm.position, &pcm.samples);
        self.anchor = Some(Anchor {
            position: pcm.position,
            captured,
        });
    }

    /// Forgets all sound, as when the host's encoder started anew.
    pub(super) fn restart(&mut self) {
        self.ring = Ring::default();
        self.anchor = None;
        self.pause();
    }

    /// Takes the host out of the mix, or brings it back.
    pub(super) fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// How loud it is to be, beside its levelling.
    pub(super) fn set_volume(&mut self, volume: Volume) {
        self.volume = volume;
    }

    /// What is known of it.
    #[must_use]
    pub(super) fn stats(&self) -> VoiceStats {
        VoiceStats {
            error: self.error,
            loudness: self.leveller.as_ref().and_then(Leveller::loudness),
            gain_db: self.leveller.as_ref().map_or(0.0, Leveller::gain_db),
        }
    }

    /// Writes the block whose first frame was captured at `from`; false if it is silence.
    pub(super) fn render(&mut self, from: EdgeTime, out: &mut [f32]) -> Result<bool, VoiceError> {
        let Some(anchor) = self.anchor else {
            return Ok(false);
        };
        let wanted = anchor.position_at(from);
        if !self.ring.has_from(wanted) {
            self.pause();
            return Ok(false);
        }
        let ratio = self.place(anchor, from, wanted, out)?;
        let Some(resampler) = &mut self.resampler else {
            return Ok(false);
        };
        let starved = self.ring.end() - resampler.position();
        resampler.read(&self.ring, ratio, out)?;
        soften_end(out, starved);
        tame(out);
        // The filter still reaches back over what it has already been fed.
        self.ring.forget(resampler.position() - BLOCK as i64);
        if let Some(leveller) = &mut self.leveller {
            leveller.hear(out)?;
        }
        let gain = self.gain();
        self.fader.apply(gain, out);
        Ok(true)
    }

    fn pause(&mut self) {
        self.resampler = None;
        self.slew.restart();
    }

    /// Brings the read position to where it belongs, and says at which ratio to go on.
    fn place(
        &mut self,
        anchor: Anchor,
        from: EdgeTime,
        wanted: i64,
        scratch: &mut [f32],
    ) -> Result<f64, resampler::Error> {
        let resampler = match &mut self.resampler {
            Some(resampler) => resampler,
            none => {
                self.slew.decide(Span::ZERO, true);
                none.insert(Resampler::new(&self.ring, wanted)?)
            }
        };
        self.error = anchor.captured_at(resampler.position()) - from;
        self.ring.read(resampler.position(), scratch);
        let quiet = scratch.iter().all(|sample| sample.abs() < QUIET);
        match self.slew.decide(self.error, quiet) {
            Correction::Keep => Ok(1.0),
            Correction::Stretch { ratio } => Ok(ratio),
            Correction::Snap { .. } => {
                resampler.seek(&self.ring, wanted)?;
                Ok(1.0)
            }
        }
    }

    fn gain(&self) -> f32 {
        if self.muted {
            return 0.0;
        }
        self.volume.gain() * self.leveller.as_ref().map_or(1.0, Leveller::gain)
    }
}

/// What a broken decoder makes must not reach what remembers: the loudness meter and the limiter.
fn tame(samples: &mut [f32]) {
    for sample in samples {
        *sample = if sample.is_nan() {
            0.0
        } else {
            sample.clamp(-LOUDEST, LOUDEST)
        };
    }
}

/// Fades out sound that ends within the block, so that running dry does not click. Behind its end the filter rings.
fn soften_end(out: &mut [f32], frames: i64) {
    let Ok(end) = usize::try_from(frames) else { return };
    if end >= out.len() / CHANNELS || end < FADE {
        return;
    }
    let (sound, rest) = out.split_at_mut(end * CHANNELS);
    fade(sound.iter_mut().rev());
    rest.fill(0.0);
}

#[cfg(test)]
mod tests {
    use super::{Voice, Volume};
    use crate::audio::fader::Fader;
    use crate::audio::{BLOCK, CHANNELS, Pcm};
    use lianmai_timeline::{EdgeTime, Span};
    use std::f32::consts::TAU;

    const START: EdgeTime = EdgeTime(5_000_000_000);

    fn tone(position: i64) -> f32 {
        0.5 * (TAU * 440.0 * position as f32 / 48_000.0).sin()
    }

    fn pcm(position: i64, frames: usize) -> Pcm {
        let samples = (0..frames * CHANNELS)
            .map(|i| tone(position + (i / CHANNELS) as i64))
            .collect();
        Pcm { position, samples }
    }

    fn at(frames: i64) -> EdgeTime {
        START + Span::from_ticks(frames, 48_000)
    }

    fn left(voice: &mut Voice, from: EdgeTime) -> Vec<f32> {
        let mut out = vec![0.0; BLOCK * CHANNELS];
        if !voice.render(from, &mut out).expect("sizes fit") {
            out.fill(0.0);
        }
        out.into_iter().step_by(CHANNELS).collect()
    }

    /// A voice with two seconds of sound that was captured from `START + offset` frames on, its gain settled.
    fn speaking(offset: i64) -> Voice {
        let mut voice = Voice {
            fader: Fader::at(1.0),
            ..Voice::default()
        };
        for packet in 0..100 {
            voice.write(&pcm(packet * 960, 960), at(offset + packet * 960));
        }
        voice
    }

    #[test]
    fn sound_is_placed_by_the_time_of_its_capture() {
        let mut voice = speaking(0);
        let block = left(&mut voice, at(4_800));
        for (index, sample) in block.iter().enumerate() {
            assert!(
                (sample - tone(4_800 + index as i64)).abs() < 2e-3,
                "frame {index}"
            );
        }
    }

    #[test]
    fn before_its_capture_time_there_is_silence_to_the_sample() {
        let mut voice = speaking(500);
        let block = left(&mut voice, at(0));
        assert!(block[..400].iter().all(|sample| sample.abs() < 1e-3));
        assert!((block[600] - tone(100)).abs() < 2e-3);
    }

    #[test]
    fn a_drifting_sender_is_followed_within_the_dead_band() {
        let mut voice = Voice {
            fader: Fader::at(1.0),
            ..Voice::default()
        };
        // 500 ppm fast: its 960 frames last less than 20 ms. Both sides run for 60 s.
        let mut written = 0;
        for block in 0..2_812i64 {
            while written * 959_520 / 1_000_000 * 1000 / 1000 < block * BLOCK as i64 + 9_600 {
                let captured = START + Span((written as f64 * 1e9 / 48_000.0 / 1.0005) as i64);
                voice.write(&pcm(written, 960), captured);
                written += 960;
            }
            left(&mut voice, at(block * BLOCK as i64));
            let error = voice.stats().error.as_millis_f64().abs();
            assert!(error < 6.0, "block {block}: {error} ms");
        }
    }

    #[test]
    fn muting_ramps_down_and_stays_silent_and_comes_back() {
        let mut voice = speaking(0);
        left(&mut voice, at(0));
        voice.mute(true);
        let fading = left(&mut voice, at(BLOCK as i64));
        assert!(
            fading.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.04),
            "no click"
        );
        assert!(fading[500..].iter().all(|sample| *sample == 0.0));
        assert!(
            left(&mut voice, at(2 * BLOCK as i64))
                .iter()
                .all(|sample| *sample == 0.0)
        );
        voice.mute(false);
        left(&mut voice, at(3 * BLOCK as i64));
        let back = left(&mut voice, at(4 * BLOCK as i64));
        assert!((back[7] - tone(4 * BLOCK as i64 + 7)).abs() < 2e-3);
    }

    #[test]
    fn the_volume_changes_without_a_click() {
        let mut voice = speaking(0);
        let mut last = left(&mut voice, at(0))[BLOCK - 1];
        for (block, percent) in (1..).zip([200, 0, 150, 50]) {
            voice.set_volume(Volume::try_from(percent).expect("a volume"));
            let sound = left(&mut voice, at(block * BLOCK as i64));
            for sample in &sound {
                assert!((sample - last).abs() < 0.07, "a click on the way to {percent} %");
                last = *sample;
            }
            let wanted = tone(block * BLOCK as i64 + 900) * f32::from(percent) / 100.0;
            assert!((sound[900] - wanted).abs() < 4e-3, "{percent} %");
        }
    }

    #[test]
    fn a_mute_keeps_the_volume() {
        let mut voice = speaking(0);
        voice.set_volume(Volume::try_from(50).expect("a volume"));
        voice.mute(true);
        left(&mut voice, at(0));
        assert!(
            left(&mut voice, at(BLOCK as i64))
                .iter()
                .all(|sample| *sample == 0.0)
        );
        voice.mute(false);
        left(&mut voice, at(2 * BLOCK as i64));
        let back = left(&mut voice, at(3 * BLOCK as i64));
        assert!((back[7] - tone(3 * BLOCK as i64 + 7) / 2.0).abs() < 2e-3);
    }

    #[test]
    fn what_a_broken_decoder_makes_is_gone_with_it() {
        let mut voice = speaking(0);
        let broken = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30];
        let samples = (0..960 * CHANNELS).map(|sample| broken[sample % 4]).collect();
        voice.write(
            &Pcm {
                position: 960,
                samples,
            },
            at(960),
        );
        voice.write(&pcm(1_920, 9_600), at(1_920));
        for block in 0..2 {
            let sound = left(&mut voice, at(block * BLOCK as i64));
            assert!(sound.iter().all(|sample| sample.abs() <= 4.0));
        }
        let sound = left(&mut voice, at(2 * BLOCK as i64));
        assert!((sound[300] - tone(2 * BLOCK as i64 + 300)).abs() < 2e-3);
    }

    #[test]
    fn a_stalled_host_is_silent_and_is_placed_anew_when_it_returns() {
        let mut voice = speaking(0);
        let mut block = 0;
        while left(&mut voice, at(block * BLOCK as i64))
            .iter()
            .any(|sample| *sample != 0.0)
        {
            block += 1;
            assert!(block < 120, "the sound never ends");
        }
        // Its clock went on by 10 s, but the packets come 40 ms later than the old anchor says.
        let position = 96_000 + 480_000;
        for packet in 0..10 {
            voice.write(
                &pcm(position + packet * 960, 960),
                at(position + packet * 960 + 1_920),
            );
        }
        let sound = left(&mut voice, at(position + 1_920 + 960));
        assert!((sound[300] - tone(position + 960 + 300)).abs() < 2e-3);
        assert!(voice.stats().error.as_millis_f64().abs() < 0.1);
    }

    #[test]
    fn running_dry_within_a_block_does_not_click() {
        let mut voice = Voice {
            fader: Fader::at(1.0),
            ..Voice::default()
        };
        voice.write(&pcm(0, 1_500), at(0));
        left(&mut voice, at(0));
        let last = left(&mut voice, at(BLOCK as i64));
        assert!(last.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.04));
        assert!(last[600..].iter().all(|sample| sample.abs() < 1e-3));
    }
}
