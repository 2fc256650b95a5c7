//! When the output has a key frame.

/// Key frames at a steady distance by the clock, and in between when somebody has to start.
#[derive(Clone, Debug)]
pub(super) struct KeyFrames {
    /// Ticks between two.
    every: u64,
    /// Ticks that one asked for keeps from the one before.
    least: u64,
    last: Option<u64>,
    wanted: bool,
}

impl KeyFrames {
    /// One each `seconds`, and at most two a second on demand.
    #[must_use]
    pub(super) fn new(fps: u32, seconds: u32) -> Self {
        let fps = u64::from(fps.max(1));
        Self {
            every: fps * u64::from(seconds.max(1)),
            least: fps.div_ceil(2),
            last: None,
            wanted: false,
        }
    }

    /// Somebody cannot start without one.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether tick `index` has to be a key frame.
    #[must_use]
    pub(super) fn is_due(&self, index: u64) -> bool {
        let Some(last) = self.last else { return true };
        let distance = index.saturating_sub(last);
        distance >= self.every || (self.wanted && distance >= self.least)
    }

    /// Tick `index` became one.
    pub(super) fn made(&mut self, index: u64) {
        self.last = Some(index);
        self.wanted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::KeyFrames;

    fn run(keys: &mut KeyFrames, ticks: impl Iterator<Item = u64>) -> Vec<u64> {
        ticks
            .filter(|tick| {
                let due = keys.is_due(*tick);
                if due {
                    keys.made(*tick);
                }
                due
            })
            .collect()
    }

    #[test]
    fn they_come_by_the_clock_even_if_ticks_are_skipped() {
        let mut keys = KeyFrames::new(30, 2);
        assert_eq!(
            run(&mut keys, (0..200).filter(|tick| tick % 7 != 3)),
            [0, 60, 120, 180]
        );
    }

    #[test]
    fn one_asked_for_comes_at_once_but_not_more_than_twice_a_second() {
        let mut keys = KeyFrames::new(30, 2);
        assert_eq!(run(&mut keys, 0..20), [0]);
        keys.want();
        assert_eq!(run(&mut keys, 20..25), [20]);
        keys.want();
        assert_eq!(run(&mut keys, 25..90), [35]);
    }

    #[test]
    fn one_that_the_encoder_left_out_stays_due() {
        let mut keys = KeyFrames::new(30, 2);
        assert!(keys.is_due(0) && keys.is_due(1));
        keys.made(1);
        assert!(!keys.is_due(2));
    }
}
