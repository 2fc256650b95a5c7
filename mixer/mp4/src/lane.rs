//! The samples of one track on their way into fragments.

use bytes::Bytes;

/// One picture or one frame of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it is decoded, in the track's unit.
    pub(crate) time: u64,
    /// Until the next one, in the track's unit.
    pub(crate) duration: u32,
    /// How much later it is shown, in the track's unit.
    pub(crate) offset: i32,
    /// Whether it needs none before it.
    pub(crate) key: bool,
    /// Its bytes.
    pub(crate) data: Bytes,
}

/// A track. A sample is settled when the next one says how long it lasts.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Units of time a second.
    pub(crate) rate: u32,
    /// How long the last sample lasts.
    usual: u32,
    pending: Option<Sample>,
    settled: Vec<Sample>,
    bytes: usize,
}

impl Lane {
    pub(crate) const fn new(rate: u32, usual: u32) -> Self {
        Self {
            rate,
            usual,
            pending: None,
            settled: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next sample; its duration is not known yet. One that is not later than the last one is put right behind it.
    pub(crate) fn push(&mut self, mut sample: Sample) {
        if let Some(mut last) = self.pending.take() {
            sample.time = sample.time.max(last.time + 1);
            last.duration = u32::try_from(sample.time - last.time).unwrap_or(u32::MAX);
            // So that times and durations say the same even after a gap of half a day.
            sample.time = last.time + u64::from(last.duration);
            self.usual = last.duration;
            self.settle(last);
        }
        self.pending = Some(sample);
    }

    /// There is no next sample: the last one is as long as the one before it.
    pub(crate) fn end(&mut self) {
        if let Some(mut last) = self.pending.take() {
            last.duration = self.usual;
            self.settle(last);
        }
    }

    /// The settled samples.
    pub(crate) fn take(&mut self) -> Vec<Sample> {
        self.bytes = 0;
        std::mem::take(&mut self.settled)
    }

    /// How long the settled samples are, in the track's unit.
    pub(crate) fn length(&self) -> u64 {
        let ends = self.settled.first().zip(self.settled.last());
        ends.map_or(0, |(first, last)| {
            last.time + u64::from(last.duration) - first.time
        })
    }

    /// How many bytes they have.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn settle(&mut self, sample: Sample) {
        self.bytes += sample.data.len();
        self.settled.push(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::{Lane, Sample};
    use bytes::Bytes;

    fn sample(time: u64) -> Sample {
        Sample {
            time,
            duration: 0,
            offset: 0,
            key: true,
            data: Bytes::from_static(b"x"),
        }
    }

    fn times(samples: &[Sample]) -> Vec<(u64, u32)> {
        samples
            .iter()
            .map(|sample| (sample.time, sample.duration))
            .collect()
    }

    #[test]
    fn a_sample_lasts_until_the_next_and_the_last_as_long_as_the_one_before() {
        let mut lane = Lane::new(90_000, 3000);
        [10, 30, 60].into_iter().for_each(|time| lane.push(sample(time)));
        assert_eq!((lane.length(), lane.bytes()), (50, 2));
        assert_eq!(times(&lane.take()), [(10, 20), (30, 30)]);
        lane.end();
        assert_eq!(times(&lane.take()), [(60, 30)]);
    }

    #[test]
    fn time_never_goes_back_and_durations_always_add_up() {
        let mut lane = Lane::new(90_000, 3000);
        let far = 1 << 40;
        [10, 5, 10, far, far + 7]
            .into_iter()
            .for_each(|time| lane.push(sample(time)));
        lane.end();
        let samples = times(&lane.take());
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[0].1 > 0 && pair[0].0 + u64::from(pair[0].1) == pair[1].0),
            "{samples:?}"
        );
    }
}
