//! Decoded sound of one host, placed by the position that its sender gave it.

use super::CHANNELS;
use std::collections::VecDeque;

/// The longest stretch that is kept: what is older than this before the newest sample is forgotten.
const CAPACITY: usize = 3 * super::SAMPLE_RATE as usize;

/// How long sound fades at the edge of a gap, so that it does not click: 2.5 ms.
pub(super) const FADE: usize = 120;

/// Stereo frames with a position each, on the sender's 48 kHz clock. Gaps read as silence.
#[derive(Debug, Default)]
pub(super) struct Ring {
    samples: VecDeque<f32>,
    start: i64,
}

impl Ring {
    /// The position after the newest frame.
    #[must_use]
    pub(super) fn end(&self) -> i64 {
        self.start.saturating_add((self.samples.len() / CHANNELS) as i64)
    }

    /// Whether any frame from `position` on is there.
    #[must_use]
    pub(super) fn has_from(&self, position: i64) -> bool {
        self.end() > position
    }

    /// Puts frames at their position. What lies before the ring is dropped, what overlaps is replaced.
    pub(super) fn write(&mut self, position: i64, samples: &[f32]) {
        let frames = (samples.len() / CHANNELS) as i64;
        let ahead = position.saturating_sub(self.end());
        if self.samples.is_empty() || ahead.unsigned_abs() > CAPACITY as u64 {
            self.samples.clear();
            self.start = position;
        } else if ahead > 0 {
            self.open_gap(ahead as usize);
            self.append(samples, true);
            return;
        }
        if position.saturating_add(frames) <= self.start {
            return;
        }
        let old = self.start.saturating_sub(position).max(0) as usize;
        let place = position.saturating_sub(self.start).max(0) as usize;
        self.samples.truncate(place * CHANNELS);
        self.append(&samples[old * CHANNELS..], false);
    }

    /// Fills `out` with the frames from `position` on; returns how many of its frames came before the end.
    pub(super) fn read(&self, position: i64, out: &mut [f32]) -> usize {
        out.fill(0.0);
        let frames = (out.len() / CHANNELS) as i64;
        let from = position.clamp(self.start, self.end());
        let to = position.saturating_add(frames).clamp(from, self.end());
        let source = self
            .samples
            .range(index(from - self.start)..index(to - self.start));
        for (out, sample) in out
            .iter_mut()
            .skip(index(from.saturating_sub(position)))
            .zip(source)
        {
            *out = *sample;
        }
        self.end().saturating_sub(position).clamp(0, frames) as usize
    }

    /// Forgets everything before `position`.
    pub(super) fn forget(&mut self, position: i64) {
        let old = position
            .saturating_sub(self.start)
            .clamp(0, self.end() - self.start);
        self.samples.drain(..index(old));
        self.start += old;
    }

    fn append(&mut self, samples: &[f32], fade_in: bool) {
        let fresh = self.samples.len();
        self.samples.extend(samples);
        if fade_in {
            fade(self.samples.iter_mut().skip(fresh));
        }
        let surplus = (self.samples.len() / CHANNELS).saturating_sub(CAPACITY);
        self.samples.drain(..surplus * CHANNELS);
        self.start += surplus as i64;
    }

    fn open_gap(&mut self, frames: usize) {
        fade(self.samples.iter_mut().rev());
        self.samples.resize(self.samples.len() + frames * CHANNELS, 0.0);
    }
}

fn index(frames: i64) -> usize {
    frames.max(0) as usize * CHANNELS
}

/// Raises the first [`FADE`] frames from silence to what they are.
pub(super) fn fade<'a>(samples: impl Iterator<Item = &'a mut f32>) {
    for (index, sample) in samples.take(FADE * CHANNELS).enumerate() {
        *sample *= (index / CHANNELS) as f32 / FADE as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, CHANNELS, FADE, Ring};

    fn level(frames: usize, value: f32) -> Vec<f32> {
        vec![value; frames * CHANNELS]
    }

    fn read(ring: &Ring, position: i64, frames: usize) -> Vec<f32> {
        let mut out = level(frames, 9.0);
        ring.read(position, &mut out);
        out.into_iter().step_by(CHANNELS).collect()
    }

    #[test]
    fn contiguous_packets_read_back_bit_for_bit() {
        let mut ring = Ring::default();
        ring.write(1000, &level(960, 0.25));
        ring.write(1960, &level(960, 0.5));
        assert_eq!(read(&ring, 1000, 960), vec![0.25; 960]);
        assert_eq!(read(&ring, 1960, 960), vec![0.5; 960]);
    }

    #[test]
    fn a_dtx_gap_is_silence_of_the_right_length_with_soft_edges() {
        let mut ring = Ring::default();
        ring.write(0, &level(960, 0.5));
        ring.write(960 + 19_200, &level(960, 0.5));
        let sound = read(&ring, 0, 960 + 19_200 + 960);
        assert_eq!(sound[960 - FADE - 1], 0.5);
        assert!(sound[900..960].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(sound[960..960 + 19_200].iter().all(|sample| *sample == 0.0));
        assert!(
            sound[20_160..20_160 + FADE]
                .windows(2)
                .all(|pair| pair[1] > pair[0])
        );
        assert_eq!(sound[20_160 + FADE], 0.5);
    }

    #[test]
    fn reading_outside_is_silence() {
        let mut ring = Ring::default();
        ring.write(100, &level(10, 0.5));
        assert_eq!(
            read(&ring, 95, 20),
            [vec![0.0; 5], vec![0.5; 10], vec![0.0; 5]].concat()
        );
        assert_eq!(read(&ring, 500, 3), vec![0.0; 3]);
        assert_eq!(read(&ring, -500, 3), vec![0.0; 3]);
    }

    #[test]
    fn an_overlap_takes_the_newer_sound_and_the_past_is_dropped() {
        let mut ring = Ring::default();
        ring.write(0, &level(20, 0.25));
        ring.write(10, &level(20, 0.5));
        assert_eq!(read(&ring, 0, 30), [vec![0.25; 10], vec![0.5; 20]].concat());
        ring.forget(15);
        ring.write(5, &level(5, 0.75));
        assert_eq!(read(&ring, 0, 30), [vec![0.0; 15], vec![0.5; 15]].concat());
    }

    #[test]
    fn memory_is_bounded_and_far_jumps_restart() {
        let mut ring = Ring::default();
        for packet in 0..400 {
            ring.write(packet * 960, &level(960, 0.5));
        }
        assert_eq!(ring.samples.len(), CAPACITY * CHANNELS);
        for jump in [i64::MAX - 5000, i64::MIN, 0] {
            ring.write(jump, &level(960, 0.25));
            assert_eq!(ring.samples.len(), 960 * CHANNELS);
            assert_eq!(read(&ring, jump, 2), vec![0.25; 2]);
        }
    }
}
