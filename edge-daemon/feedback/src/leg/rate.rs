//! Bits per second over the last half second, in constant memory.

/// A bucket holds this much time; twenty make the window.
const BUCKET_US: i64 = 25_000;
const BUCKETS: usize = 20;

/// Counts bytes by time.
#[derive(Clone, Debug, Default)]
pub(super) struct RateMeter {
    bytes: [u64; BUCKETS],
    /// Number of the newest bucket since time zero, and of the first one ever.
    newest: Option<(i64, i64)>,
    /// The latest time counted.
    latest_us: i64,
}

impl RateMeter {
    /// Counts bytes at a time in microseconds; what is older than the window is left out.
    pub(super) fn add(&mut self, at_us: i64, bytes: usize) {
        let bucket = at_us.div_euclid(BUCKET_US);
        let (newest, first) = *self.newest.get_or_insert((bucket, bucket));
        if bucket <= newest - BUCKETS as i64 {
            return;
        }
        if bucket - newest >= 2 * BUCKETS as i64 {
            // After a long pause the rate begins anew; a quiet second is not a slow path.
            *self = Self {
                newest: Some((bucket, bucket)),
                ..Self::default()
            };
        } else {
            for skipped in newest + 1..=bucket {
                self.bytes[slot(skipped)] = 0;
            }
            self.newest = Some((newest.max(bucket), first));
        }
        self.latest_us = self.latest_us.max(at_us);
        self.bytes[slot(bucket)] += bytes as u64;
    }

    /// Bits per second, once the window has been filled.
    pub(super) fn get(&self) -> Option<u64> {
        let (newest, first) = self.newest?;
        if newest - first < BUCKETS as i64 {
            return None;
        }
        let span_us = (BUCKETS as i64 - 1) * BUCKET_US + self.latest_us.rem_euclid(BUCKET_US) + 1;
        Some(self.bytes.iter().sum::<u64>() * 8 * 1_000_000 / span_us.unsigned_abs())
    }
}

const fn slot(bucket: i64) -> usize {
    bucket.rem_euclid(BUCKETS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::RateMeter;

    #[test]
    fn a_steady_stream_is_measured_within_a_few_percent() {
        let mut meter = RateMeter::default();
        for packet in 0..200 {
            meter.add(packet * 10_000, 1_250);
        }
        let rate = meter.get().unwrap();
        assert!((950_000..=1_050_000).contains(&rate), "{rate}");
    }

    #[test]
    fn nothing_is_known_before_the_window_is_full_or_right_after_a_pause() {
        let mut meter = RateMeter::default();
        for packet in 0..40 {
            meter.add(packet * 10_000, 1_250);
        }
        assert_eq!(meter.get(), None);
        for packet in 40..100 {
            meter.add(packet * 10_000, 1_250);
        }
        assert!(meter.get().is_some());
        meter.add(10_000_000, 1_250);
        assert_eq!(meter.get(), None);
    }

    #[test]
    fn times_that_jump_both_ways_do_no_harm() {
        let mut meter = RateMeter::default();
        for at in [5_000_000, -5_000_000, i64::from(i32::MAX), 0, 4_990_000] {
            meter.add(at, 1_000);
        }
        assert_eq!(meter.get(), None);
    }
}
