//! What keeps the rate where the encoder's own control cannot.

/// How much may wait, in milliseconds of the rate. The encoder stays below a second of it unless pictures are too hard even when they
/// are as coarse as can be.
const MOST_MS: u64 = 1_500;

/// A leaky bucket: what was coded flows out at the rate, and while too much is in it, pictures are left out.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bits a second.
    rate: u64,
    /// Bits that wait, in thousandths.
    waiting: u64,
    last_ms: u64,
}

impl Bucket {
    /// One that lets `rate` bits flow out in a second.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate: u64::from(rate),
            waiting: 0,
            last_ms: 0,
        }
    }

    /// Whether there is too much in it at this time.
    pub(super) fn is_over(&mut self, now_ms: u64) -> bool {
        let passed = now_ms.saturating_sub(self.last_ms);
        self.waiting = self.waiting.saturating_sub(passed.saturating_mul(self.rate));
        self.last_ms = now_ms;
        self.waiting > MOST_MS * self.rate
    }

    /// A picture was coded.
    pub(super) fn fill(&mut self, bytes: usize) {
        self.waiting = self.waiting.saturating_add(bytes as u64 * 8_000);
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;

    #[test]
    fn a_second_and_a_half_may_wait_and_what_is_more_has_to_flow_out_first() {
        let mut bucket = Bucket::new(80_000);
        bucket.fill(15_000);
        assert!(!bucket.is_over(0));
        bucket.fill(1_000);
        assert!(bucket.is_over(0) && bucket.is_over(99));
        assert!(!bucket.is_over(100));
    }

    #[test]
    fn time_without_pictures_saves_nothing_up() {
        let mut bucket = Bucket::new(80_000);
        assert!(!bucket.is_over(60_000));
        bucket.fill(16_000);
        assert!(bucket.is_over(60_000));
    }

    #[test]
    fn time_that_wraps_does_no_harm() {
        let mut bucket = Bucket::new(80_000);
        assert!(!bucket.is_over(u64::from(u32::MAX)));
        bucket.fill(16_000);
        assert!(bucket.is_over(3) && !bucket.is_over(103));
    }
}
