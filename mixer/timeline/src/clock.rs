//! One track's RTP clock: unwrapping, restarts, and its relation to the sender's wallclock.

use crate::reports::ReportHistory;
use crate::time::{EdgeTime, NtpTime, RtpTicks, RtpTimestamp, Span};

/// A packet further than this from where its clock should be is not of the same clock.
const MAX_JUMP: Span = Span::from_secs(5);

/// So many packets in a row that agree on another clock make it the track's clock.
const JUMP_CONFIRMED_BY: u32 = 3;

/// A clock that stood still for at least this long while nothing was sent is noticed.
const MIN_STANDSTILL: Span = Span::from_millis(300);

/// What was late because of the network catches up within this time; a clock that stood still never does.
const STANDSTILL_CONFIRMED_AFTER: Span = Span::from_millis(500);

/// The two clocks of a sender report (RFC 3550 §6.4.1), which name the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The sender's wallclock.
    pub ntp: NtpTime,
    /// The track's RTP clock.
    pub rtp: RtpTimestamp,
}

/// What a packet did to its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The packet belongs to the clock as known.
    Continues(RtpTicks),
    /// The same, but it came so late that the clock may have stood still; the next packets will tell.
    Doubtful(RtpTicks),
    /// The clock restarted: what was derived from it before no longer holds.
    Restarted(RtpTicks),
    /// The packet is so far off that it is not believed yet.
    Refused,
}

/// What became of a sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It is one of those that the track's wallclock is taken from.
    Taken,
    /// The same, and it confirmed that the wallclock was stepped.
    Stepped,
    /// It came before the first packet and waits for it.
    Waits,
    /// It contradicts the packets by seconds.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    ticks: RtpTicks,
    arrival: EdgeTime,
}

/// The clock of one track.
#[derive(Clone, Debug)]
pub struct RtpClock {
    rate: i64,
    last: Option<Seen>,
    /// Packets that would fit another clock: the newest of them, and how many.
    elsewhere: Option<(Seen, u32)>,
    /// The last packet before a pause in which the clock seems to have stood still, and when the pause ended.
    standstill: Option<(Seen, EdgeTime)>,
    reports: ReportHistory,
    /// The newest report from before the first packet, which cannot be unwrapped yet.
    early_report: Option<SenderReport>,
    restarts: u64,
    reports_refused: u64,
}

impl RtpClock {
    /// A clock of `rate` ticks a second.
    #[must_use]
    pub fn new(rate: i64) -> Self {
        Self {
            rate,
            last: None,
            elsewhere: None,
            standstill: None,
            reports: ReportHistory::default(),
            early_report: None,
            restarts: 0,
            reports_refused: 0,
        }
    }

    /// Takes a packet's timestamp.
    pub fn on_packet(&mut self, timestamp: RtpTimestamp, arrival: EdgeTime) -> Accepted {
        let Some(last) = self.last else {
            return self.start(timestamp, arrival);
        };
        let expected = self.expected(last, arrival);
        let ticks = timestamp.unwrap_near(expected);
        if self.between(expected, ticks).abs() > MAX_JUMP {
            return self.jumped(timestamp, arrival);
        }
        self.elsewhere = None;
        self.watch_for_standstill(last, ticks, arrival);
        if self.stood_still(ticks, arrival) {
            return self.restart(ticks, arrival);
        }
        if ticks >= last.ticks {
            self.last = Some(Seen { ticks, arrival });
        }
        match self.standstill {
            Some(_) => Accepted::Doubtful(ticks),
            None => Accepted::Continues(ticks),
        }
    }

    /// Takes a sender report.
    pub fn on_sender_report(&mut self, report: SenderReport, arrival: EdgeTime) -> Reported {
        let Some(last) = self.last else {
            self.early_report = Some(report);
            return Reported::Waits;
        };
        let expected = self.expected(last, arrival);
        let ticks = report.rtp.unwrap_near(expected);
        if self.between(expected, ticks).abs() > MAX_JUMP {
            self.reports_refused += 1;
            return Reported::Refused;
        }
        let stepped = self.reports.add(ticks.media_time(self.rate), report.ntp);
        if stepped {
            Reported::Stepped
        } else {
            Reported::Taken
        }
    }

    /// The timestamp on the unwrapped clock; `None` before the first packet.
    #[must_use]
    pub fn unwrap(&self, timestamp: RtpTimestamp) -> Option<RtpTicks> {
        self.last.map(|last| timestamp.unwrap_near(last.ticks))
    }

    /// What has to be added to the media time of `ticks` to get the sender's wallclock, by the sender reports.
    #[must_use]
    pub fn wallclock_offset(&self, ticks: RtpTicks) -> Option<Span> {
        self.reports.offset_at(ticks.media_time(self.rate))
    }

    /// The newest packet's time on the unwrapped clock.
    #[must_use]
    pub fn newest(&self) -> Option<RtpTicks> {
        self.last.map(|last| last.ticks)
    }

    /// How often the clock restarted.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Sender reports that contradicted the packets.
    #[must_use]
    pub fn reports_refused(&self) -> u64 {
        self.reports_refused
    }

    /// Where the clock should be at `arrival`. A clock runs on while nothing is sent, so after a pause of any
    /// length this is a better base for unwrapping than the last timestamp.
    fn expected(&self, last: Seen, arrival: EdgeTime) -> RtpTicks {
        RtpTicks(
            last.ticks
                .0
                .saturating_add((arrival - last.arrival).to_ticks(self.rate)),
        )
    }

    fn between(&self, from: RtpTicks, to: RtpTicks) -> Span {
        Span::from_ticks(to.0.saturating_sub(from.0), self.rate)
    }

    fn start(&mut self, timestamp: RtpTimestamp, arrival: EdgeTime) -> Accepted {
        let ticks = RtpTicks(i64::from(timestamp.0));
        self.last = Some(Seen { ticks, arrival });
        if let Some(report) = self.early_report.take() {
            self.on_sender_report(report, arrival);
        }
        Accepted::Continues(ticks)
    }

    /// A packet far off. The first of them are not believed; a series that agrees is the clock's restart.
    fn jumped(&mut self, timestamp: RtpTimestamp, arrival: EdgeTime) -> Accepted {
        let (ticks, count) = match self.elsewhere {
            Some((seen, count)) => {
                let expected = self.expected(seen, arrival);
                let ticks = timestamp.unwrap_near(expected);
                let agrees = self.between(expected, ticks).abs() <= MAX_JUMP;
                (ticks, if agrees { count + 1 } else { 1 })
            }
            None => (RtpTicks(i64::from(timestamp.0)), 1),
        };
        if count >= JUMP_CONFIRMED_BY {
            return self.restart(RtpTicks(i64::from(timestamp.0)), arrival);
        }
        self.elsewhere = Some((Seen { ticks, arrival }, count));
        Accepted::Refused
    }

    /// Some senders stop their RTP clock while they are muted. Then the first packet after the pause has hardly
    /// advanced, as if it had been on its way for all the time.
    fn watch_for_standstill(&mut self, last: Seen, ticks: RtpTicks, arrival: EdgeTime) {
        let pause = arrival - last.arrival;
        let advanced = self.between(last.ticks, ticks);
        if self.standstill.is_none() && pause >= MIN_STANDSTILL && advanced <= pause / 5 {
            self.standstill = Some((last, arrival));
        }
    }

    /// Whether the clock still lags behind by the pause, though the network had the time to catch up.
    fn stood_still(&mut self, ticks: RtpTicks, arrival: EdgeTime) -> bool {
        let Some((before, resumed)) = self.standstill else {
            return false;
        };
        let lag = (arrival - before.arrival) - self.between(before.ticks, ticks);
        let pause = resumed - before.arrival;
        if lag < pause / 2 {
            self.standstill = None;
            return false;
        }
        arrival - resumed >= STANDSTILL_CONFIRMED_AFTER
    }

    fn restart(&mut self, ticks: RtpTicks, arrival: EdgeTime) -> Accepted {
        self.restarts += 1;
        self.last = Some(Seen { ticks, arrival });
        self.elsewhere = None;
        self.standstill = None;
        self.reports.clear();
        Accepted::Restarted(ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::{Accepted, Reported, RtpClock, SenderReport};
    use crate::time::{EdgeTime, NtpTime, RtpTicks, RtpTimestamp, Span};

    const FRAME: i64 = 33_333_333;

    fn frame(clock: &mut RtpClock, number: i64, base: u32) -> Accepted {
        let timestamp = RtpTimestamp(base.wrapping_add(number as u32 * 3000));
        clock.on_packet(timestamp, EdgeTime(number * FRAME))
    }

    #[test]
    fn one_packet_of_another_clock_is_refused_and_three_are_a_restart() {
        let mut clock = RtpClock::new(90_000);
        frame(&mut clock, 0, 0);
        assert_eq!(frame(&mut clock, 1, 3_000_000_000), Accepted::Refused);
        assert_eq!(frame(&mut clock, 2, 0), Accepted::Continues(RtpTicks(6000)));
        assert_eq!(frame(&mut clock, 3, 3_000_000_000), Accepted::Refused);
        assert_eq!(frame(&mut clock, 4, 3_000_000_000), Accepted::Refused);
        assert_eq!(
            frame(&mut clock, 5, 3_000_000_000),
            Accepted::Restarted(RtpTicks(3_000_015_000))
        );
        assert_eq!(clock.restarts(), 1);
    }

    #[test]
    fn a_stall_of_the_network_is_not_taken_for_a_clock_that_stands_still() {
        let mut clock = RtpClock::new(90_000);
        // Frames 100 to 129 are held up for up to a second and then arrive together.
        for number in 0..300 {
            let held = if (100..130).contains(&number) { 130 } else { number };
            let accepted = clock.on_packet(RtpTimestamp(number as u32 * 3000), EdgeTime(held * FRAME));
            let in_doubt = matches!(accepted, Accepted::Doubtful(_));
            let goes_on = matches!(accepted, Accepted::Continues(_));
            assert!(
                goes_on || (in_doubt && (100..116).contains(&number)),
                "frame {number}: {accepted:?}"
            );
        }
    }

    #[test]
    fn a_clock_that_stood_still_is_in_doubt_and_then_restarts() {
        let mut clock = RtpClock::new(90_000);
        frame(&mut clock, 0, 0);
        let stood = 90 * 3000u32; // three seconds
        for number in 91..106 {
            let accepted = frame(&mut clock, number, 0u32.wrapping_sub(stood));
            assert!(
                matches!(accepted, Accepted::Doubtful(_)),
                "frame {number}: {accepted:?}"
            );
        }
        assert!(matches!(
            frame(&mut clock, 107, 0u32.wrapping_sub(stood)),
            Accepted::Restarted(_)
        ));
    }

    #[test]
    fn a_report_before_the_first_packet_waits_for_it() {
        let mut clock = RtpClock::new(90_000);
        let report = SenderReport {
            ntp: NtpTime(5_000_000_000),
            rtp: RtpTimestamp(90_000),
        };
        assert_eq!(clock.on_sender_report(report, EdgeTime(0)), Reported::Waits);
        clock.on_packet(RtpTimestamp(93_000), EdgeTime(FRAME));
        assert_eq!(clock.wallclock_offset(RtpTicks(93_000)), Some(Span::from_secs(4)));
    }

    #[test]
    fn a_report_of_another_clock_is_refused() {
        let mut clock = RtpClock::new(90_000);
        frame(&mut clock, 0, 0);
        let report = SenderReport {
            ntp: NtpTime(0),
            rtp: RtpTimestamp(1 << 31),
        };
        assert_eq!(clock.on_sender_report(report, EdgeTime(1)), Reported::Refused);
        assert_eq!(
            (clock.reports_refused(), clock.wallclock_offset(RtpTicks(0))),
            (1, None)
        );
    }
}
