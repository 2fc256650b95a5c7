//! Instants and spans, each clock with its own type.

use std::ops::{Add, AddAssign, Neg, Sub};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An instant of the edge's `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeTime(pub i64);

/// An instant of a host's wallclock, in nanoseconds since 1900. Two hosts' wallclocks need not agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub i64);

/// A signed length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

/// The timestamp of an RTP packet as on the wire (RFC 3550 §5.1): it wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RtpTimestamp(pub u32);

/// An RTP timestamp that no longer wraps, in ticks of its track's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RtpTicks(pub i64);

/// Which of a host's two tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Opus.
    Audio,
    /// H.264 or VP8.
    Video,
}

impl Kind {
    /// Ticks per second of the track's RTP clock.
    #[must_use]
    pub const fn clock_rate(self) -> i64 {
        match self {
            // RFC 7587 §4.1: the RTP clock of Opus is always 48 kHz.
            Self::Audio => 48_000,
            // RFC 6184 §8.2.1 and RFC 7741 §6.1: 90 kHz.
            Self::Video => 90_000,
        }
    }
}

impl NtpTime {
    /// From the 64-bit NTP timestamp of a sender report (RFC 3550 §4): seconds, then a binary fraction.
    #[must_use]
    pub const fn from_wire(timestamp: u64) -> Self {
        let seconds = (timestamp >> 32) as i64;
        let fraction = (timestamp & 0xffff_ffff) as i64;
        Self(seconds * NANOS_PER_SECOND + ((fraction * NANOS_PER_SECOND) >> 32))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000_000)
    }

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * NANOS_PER_SECOND)
    }

    /// From samples or ticks at `rate` per second, rounded down.
    #[must_use]
    pub const fn from_ticks(ticks: i64, rate: i64) -> Self {
        let nanos = ticks as i128 * NANOS_PER_SECOND as i128;
        Self(nanos.div_euclid(rate as i128) as i64)
    }

    /// How many samples or ticks at `rate` per second, to the nearest.
    #[must_use]
    pub const fn to_ticks(self, rate: i64) -> i64 {
        let scaled = self.0 as i128 * rate as i128 + NANOS_PER_SECOND as i128 / 2;
        scaled.div_euclid(NANOS_PER_SECOND as i128) as i64
    }

    /// In milliseconds, for people.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// In seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl std::ops::Div<i64> for Span {
    type Output = Self;
    fn div(self, divisor: i64) -> Self {
        Self(self.0 / divisor)
    }
}

impl std::ops::Mul<i64> for Span {
    type Output = Self;
    fn mul(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add<Span> for EdgeTime {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for EdgeTime {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for EdgeTime {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Sub for NtpTime {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl RtpTimestamp {
    /// The unwrapped timestamp that is nearest to `reference`.
    #[must_use]
    pub const fn unwrap_near(self, reference: RtpTicks) -> RtpTicks {
        let ahead = self.0.wrapping_sub(reference.0 as u32) as i32;
        RtpTicks(reference.0.saturating_add(ahead as i64))
    }
}

impl RtpTicks {
    /// Back to what stands in packets.
    #[must_use]
    pub const fn wrap(self) -> RtpTimestamp {
        RtpTimestamp(self.0 as u32)
    }

    /// The media time since tick zero.
    #[must_use]
    pub const fn media_time(self, rate: i64) -> Span {
        Span::from_ticks(self.0, rate)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, NtpTime, RtpTicks, RtpTimestamp, Span};

    #[test]
    fn the_ntp_fraction_is_binary() {
        assert_eq!(NtpTime::from_wire((5 << 32) | (1 << 31)), NtpTime(5_500_000_000));
        assert_eq!(NtpTime::from_wire(u64::MAX).0, 4_294_967_295_999_999_999);
    }

    #[test]
    fn a_timestamp_unwraps_to_the_nearest_in_both_directions() {
        let reference = RtpTicks((1 << 32) + 10);
        assert_eq!(RtpTimestamp(20).unwrap_near(reference), RtpTicks((1 << 32) + 20));
        assert_eq!(
            RtpTimestamp(u32::MAX).unwrap_near(reference),
            RtpTicks((1 << 32) - 1)
        );
        assert_eq!(RtpTicks(-1).wrap(), RtpTimestamp(u32::MAX));
    }

    #[test]
    fn ticks_and_spans_agree() {
        let rate = Kind::Video.clock_rate();
        for ticks in [-90_001, -1, 0, 1, 3003, 90_000] {
            assert_eq!(Span::from_ticks(ticks, rate).to_ticks(rate), ticks);
        }
    }
}
