//! Brings hosts to one loudness (ITU-R BS.1770-4, EBU R 128): a quiet one and a loud one end up alike.
//!
//! Loudness is measured as the recommendation says, over the host's last half minute of sound instead of over a whole
//! programme. The gain moves slowly, within bounds, and only while there is sound, so that a pause stays as quiet as it
//! is.

use super::{CHANNELS, SAMPLE_RATE};
use ebur128::{EbuR128, Mode};
use std::collections::VecDeque;

/// Loudness of a gating block, 400 ms, is taken this often, in blocks of the mix: every 107 ms. The recommendation has
/// 100 ms.
const EVERY: u32 = 5;

/// Gating blocks that are looked back on: half a minute of sound, however long the pauses in between.
const WINDOW: usize = 280;

/// Gating blocks before the gain moves at all: a second of sound.
const FIRST: u64 = 10;

/// Gating blocks during which it moves fast: a newcomer's first eight seconds of sound.
const SETTLING: u64 = 75;

/// How far the gain moves with each gating block then, in dB: 6 dB a second.
const SETTLING_STEP: f64 = 0.64;

/// And later: 1 dB a second.
const STEP: f64 = 0.107;

/// The most that a host is raised, in dB: what is around a quiet voice is raised with it.
const MAX_BOOST: f64 = 15.0;

/// The most that a host is lowered, in dB.
const MAX_CUT: f64 = 20.0;

/// Blocks this much quieter than the rest are pauses and do not count, in LU (BS.1770-4, annex 1).
const RELATIVE_GATE: f64 = 10.0;

/// One host's loudness, and the gain that it needs.
pub(super) struct Leveller {
    target: f64,
    meter: EbuR128,
    /// Blocks of the mix until the next gating block.
    due: u32,
    /// Energies of the gating blocks that were loud enough.
    sound: VecDeque<f64>,
    /// Gating blocks with sound so far.
    heard: u64,
    loudness: Option<f64>,
    gain_db: f64,
    /// How far the gain moves with each block of the mix until the next gating block.
    moving_db: f64,
}

impl Leveller {
    /// To a target in LUFS.
    pub(super) fn new(target: f64) -> Result<Self, ebur128::Error> {
        Ok(Self {
            target,
            meter: EbuR128::new(CHANNELS as u32, SAMPLE_RATE, Mode::M)?,
            due: EVERY,
            sound: VecDeque::with_capacity(WINDOW),
            heard: 0,
            loudness: None,
            gain_db: 0.0,
            moving_db: 0.0,
        })
    }

    /// Takes a block of the host's sound, before any gain.
    pub(super) fn hear(&mut self, block: &[f32]) -> Result<(), ebur128::Error> {
        self.meter.add_frames_f32(block)?;
        self.gain_db += self.moving_db;
        self.due -= 1;
        if self.due == 0 {
            self.due = EVERY;
            let loudness = self.meter.loudness_momentary()?;
            self.moving_db = self.take(loudness) / f64::from(EVERY);
        }
        Ok(())
    }

    /// What the host's samples are to be multiplied with.
    #[must_use]
    pub(super) fn gain(&self) -> f32 {
        10_f64.powf(self.gain_db / 20.0) as f32
    }

    /// How loud the host is, in LUFS; `None` before it was heard.
    #[must_use]
    pub(super) const fn loudness(&self) -> Option<f64> {
        self.loudness
    }

    /// The gain in dB.
    #[must_use]
    pub(super) const fn gain_db(&self) -> f64 {
        self.gain_db
    }

    /// Takes the loudness of a gating block, and says how far the gain is to move until the next.
    fn take(&mut self, loudness: f64) -> f64 {
        if loudness < self.absolute_gate() {
            return 0.0;
        }
        if self.sound.len() == WINDOW {
            self.sound.pop_front();
        }
        self.sound.push_back(energy(loudness));
        let measured = gated(&self.sound);
        self.loudness = Some(measured);
        if loudness < measured - RELATIVE_GATE {
            return 0.0;
        }
        self.heard += 1;
        if self.heard < FIRST {
            return 0.0;
        }
        let step = if self.heard < SETTLING {
            SETTLING_STEP
        } else {
            STEP
        };
        let wanted = (self.target - measured).clamp(-MAX_CUT, MAX_BOOST);
        (wanted - self.gain_db).clamp(-step, step)
    }

    /// The recommendation's is -70 LUFS, for finished programmes. A live microphone is louder than that while nobody
    /// speaks, so what counts here begins at the pauses of the quietest host that can be raised to the target.
    fn absolute_gate(&self) -> f64 {
        self.target - MAX_BOOST - RELATIVE_GATE
    }
}

/// The loudness of gating blocks without those that are pauses among the others.
fn gated(energies: &VecDeque<f64>) -> f64 {
    let gate = mean(energies.iter().copied()) * 10_f64.powf(-RELATIVE_GATE / 10.0);
    loudness(mean(energies.iter().copied().filter(|energy| *energy >= gate)))
}

fn mean(energies: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = energies.fold((0.0, 0.0), |(sum, count), energy| (sum + energy, count + 1.0));
    sum / f64::max(count, 1.0)
}

/// BS.1770-4, annex 1, formula 2, and back.
fn loudness(energy: f64) -> f64 {
    10.0 * energy.log10() - 0.691
}

fn energy(loudness: f64) -> f64 {
    10_f64.powf((loudness + 0.691) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::{FIRST, Leveller, MAX_BOOST, MAX_CUT};
    use crate::audio::{BLOCK, CHANNELS};
    use std::f64::consts::TAU;

    const TARGET: f64 = -18.0;

    /// Lets it hear a tone of this loudness: both channels of a 1 kHz sine of full scale are 0 LUFS.
    fn play(leveller: &mut Leveller, lufs: f32, seconds: f32) -> Vec<f64> {
        let amplitude = 10_f32.powf(lufs / 20.0);
        (0..(seconds * 48_000.0 / BLOCK as f32) as usize)
            .map(|block| {
                let at = |sample| (block * BLOCK + sample / CHANNELS) as f64 / 48_000.0;
                let tone = |sample| amplitude * (TAU * 1000.0 * at(sample)).sin() as f32;
                let sound: Vec<f32> = (0..BLOCK * CHANNELS).map(tone).collect();
                leveller.hear(&sound).expect("sizes fit");
                leveller.gain_db
            })
            .collect()
    }

    fn leveller() -> Leveller {
        Leveller::new(TARGET).expect("valid parameters")
    }

    #[test]
    fn a_quiet_and_a_loud_host_end_up_alike() {
        for lufs in [-31.0_f32, -24.0, -18.0, -12.0, -3.0] {
            let mut leveller = leveller();
            let gain = play(&mut leveller, lufs, 12.0).pop().expect("blocks");
            let ends = f64::from(lufs) + gain;
            assert!((ends - TARGET).abs() < 0.3, "{lufs} LUFS ends at {ends}");
        }
    }

    #[test]
    fn the_gain_is_bounded() {
        let (mut whisper, mut shout) = (leveller(), leveller());
        let raised = play(&mut whisper, -40.0, 30.0).pop().expect("blocks");
        assert!((raised - MAX_BOOST).abs() < 1e-9, "{raised}");
        let lowered = play(&mut shout, 10.0, 30.0).pop().expect("blocks");
        assert!((lowered + MAX_CUT).abs() < 1e-9, "{lowered}");
    }

    #[test]
    fn a_newcomer_is_levelled_in_seconds_and_later_changes_are_slow() {
        let mut leveller = leveller();
        let gains = play(&mut leveller, -30.0, 10.0);
        let soon = gains[(4.0 * 48_000.0 / BLOCK as f32) as usize];
        assert!(soon > 11.0, "{soon} dB after 4 s");
        let before = leveller.gain_db;
        let gains = play(&mut leveller, -10.0, 5.0);
        let moved = before - gains.last().expect("blocks");
        assert!((4.0..=5.5).contains(&moved), "{moved} dB in 5 s");
        assert!(gains.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.11));
    }

    #[test]
    fn pauses_noise_and_silence_do_not_move_it() {
        let mut leveller = leveller();
        play(&mut leveller, -26.0, 15.0);
        let settled = leveller.gain_db;
        for pause in [-200.0, -70.0, -50.0, -44.0] {
            let gains = play(&mut leveller, pause, 120.0);
            // Its first 400 ms still hold the voice from before.
            let moved = gains.last().expect("blocks") - settled;
            assert!(moved.abs() < 0.3, "{moved} dB in two minutes at {pause} LUFS");
        }
    }

    #[test]
    fn pauses_between_words_do_not_count() {
        let mut leveller = leveller();
        for _ in 0..30 {
            play(&mut leveller, -24.0, 1.0);
            play(&mut leveller, -41.0, 1.0);
        }
        // Gating blocks that are half word, half pause count; they are 3 dB lower.
        assert!((5.0..=7.5).contains(&leveller.gain_db), "{}", leveller.gain_db);
    }

    #[test]
    fn one_cough_moves_nothing() {
        let mut leveller = leveller();
        play(&mut leveller, -5.0, (FIRST - 4) as f32 * 0.107 - 0.4);
        assert!(leveller.gain_db.abs() < 1e-9);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut leveller = leveller();
        play(&mut leveller, -20.0, 90.0);
        assert_eq!(leveller.sound.len(), super::WINDOW);
    }
}
