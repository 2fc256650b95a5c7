//! NTP timestamps (RFC 3550 §4) and their 32-bit middle form.

use std::time::Duration;

/// A 64-bit NTP timestamp: 32 bits of seconds, 32 bits of fraction (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The time that lies `elapsed` after NTP's zero.
    #[must_use]
    pub fn from_elapsed(elapsed: Duration) -> Self {
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        Self((elapsed.as_secs() << 32) | fraction)
    }

    /// The middle 32 bits, in units of 1/65536 s, as LSR and LRR carry them (RFC 3550 §6.4.1).
    #[must_use]
    pub const fn middle(self) -> u32 {
        ((self.0 >> 16) & 0xffff_ffff) as u32
    }
}

/// A duration in units of 1/65536 s, as DLSR and DLRR carry it; saturates at 18 hours.
pub(crate) fn to_short(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}

/// The duration that a value in units of 1/65536 s stands for.
pub(crate) fn from_short(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::{NtpTime, from_short, to_short};
    use std::time::Duration;

    #[test]
    fn the_middle_of_a_timestamp_counts_in_65536ths_of_a_second() {
        let time = NtpTime::from_elapsed(Duration::from_millis(70_500));
        assert_eq!(time.0, (70 << 32) | (1 << 31));
        assert_eq!(time.middle(), (70 << 16) | (1 << 15));
    }

    #[test]
    fn short_durations_survive_the_round_trip_and_long_ones_saturate() {
        let back = from_short(to_short(Duration::from_millis(5_250)));
        assert_eq!(back, Duration::from_millis(5_250));
        assert_eq!(to_short(Duration::from_secs(1 << 20)), u32::MAX);
    }
}
