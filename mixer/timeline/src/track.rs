//! One track: its RTP clock, its fastest packets, and the slewed line from RTP time to the edge's clock.

use crate::clock::{Accepted, Reported, RtpClock, SenderReport};
use crate::envelope::Envelope;
use crate::time::{EdgeTime, Kind, RtpTicks, RtpTimestamp, Span};

/// The line moves towards where it should be by at most this much a second, as fast as sound can follow.
const SLEW_PER_SECOND: Span = Span::from_millis(5);

/// The same while the host settles: better soon than smoothly.
const SETTLING_SLEW_PER_SECOND: Span = Span::from_millis(100);

/// Packets in doubt that are remembered: half a second of them.
const MAX_PENDING: usize = 256;

/// Beyond this the line jumps.
const SNAP_BEYOND: Span = Span::from_millis(300);

/// A pause counts as this much at most, so that the line never moves by more than a frame between two frames.
const MAX_SLEW_TIME: Span = Span::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Track {
    kind: Kind,
    clock: RtpClock,
    /// `arrival - media time`. It needs no sender report, so a wallclock that steps does not touch it.
    transit: Envelope,
    line: Option<Line>,
    /// How late the packets came of which it is not yet sure that they were late at all.
    pending: Vec<Span>,
    snaps: u64,
}

/// `capture time = media time + base`, as of `moved_at`.
#[derive(Clone, Copy, Debug)]
struct Line {
    base: Span,
    target: Span,
    moved_at: EdgeTime,
}

impl Track {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            clock: RtpClock::new(kind.clock_rate()),
            transit: Envelope::default(),
            line: None,
            pending: Vec::new(),
            snaps: 0,
        }
    }

    /// Takes a packet.
    pub(crate) fn on_packet(&mut self, timestamp: RtpTimestamp, arrival: EdgeTime) -> Accepted {
        let accepted = self.clock.on_packet(timestamp, arrival);
        let ticks = match accepted {
            Accepted::Refused => return accepted,
            Accepted::Continues(ticks) | Accepted::Doubtful(ticks) => ticks,
            Accepted::Restarted(ticks) => {
                self.restart();
                ticks
            }
        };
        let media_time = ticks.media_time(self.kind.clock_rate());
        self.transit
            .observe(arrival, Span(arrival.0.saturating_sub(media_time.0)));
        accepted
    }

    pub(crate) fn on_sender_report(&mut self, report: SenderReport, arrival: EdgeTime) -> Reported {
        self.clock.on_sender_report(report, arrival)
    }

    /// `arrival - media time` of the fastest recent packet.
    pub(crate) fn fastest(&self) -> Option<Span> {
        self.transit.minimum()
    }

    /// Whether packets came of late.
    pub(crate) fn is_live(&self, now: EdgeTime) -> bool {
        self.transit.is_fresh(now)
    }

    /// The sender's wallclock less the media time, at the newest packet.
    pub(crate) fn wallclock_offset(&self) -> Option<Span> {
        self.clock.wallclock_offset(self.clock.newest()?)
    }

    /// Moves the line towards `capture time = media time + target`, faster while the host is `settling`.
    pub(crate) fn steer(&mut self, target: Span, now: EdgeTime, settling: bool) {
        let Some(line) = &mut self.line else {
            self.line = Some(Line {
                base: target,
                target,
                moved_at: now,
            });
            return;
        };
        line.target = target;
        let error = target - line.base;
        if error.abs() > SNAP_BEYOND {
            line.base = target;
            self.snaps += 1;
        } else {
            let rate = if settling {
                SETTLING_SLEW_PER_SECOND
            } else {
                SLEW_PER_SECOND
            };
            let time = (now - line.moved_at).clamp(Span::ZERO, MAX_SLEW_TIME);
            let most = rate.0 / 1000 * (time.0 / 1_000_000);
            line.base += Span(error.0.clamp(-most, most));
        }
        line.moved_at = line.moved_at.max(now);
    }

    /// When the content of `ticks` was captured.
    pub(crate) fn capture_time(&self, ticks: RtpTicks) -> Option<EdgeTime> {
        let line = self.line?;
        Some(EdgeTime(0) + ticks.media_time(self.kind.clock_rate()) + line.base)
    }

    /// Where the line was last steered to.
    pub(crate) fn target(&self) -> Option<Span> {
        self.line.map(|line| line.target)
    }

    pub(crate) fn unwrap(&self, timestamp: RtpTimestamp) -> Option<RtpTicks> {
        self.clock.unwrap(timestamp)
    }

    /// Remembers how late a packet came after its capture.
    pub(crate) fn note_lateness(&mut self, ticks: RtpTicks, arrival: EdgeTime) {
        if let Some(captured) = self.capture_time(ticks)
            && self.pending.len() < MAX_PENDING
        {
            self.pending.push(arrival - captured);
        }
    }

    /// What was remembered.
    pub(crate) fn take_lateness(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.pending)
    }

    /// How far the line still is from where it should be.
    pub(crate) fn error(&self) -> Option<Span> {
        self.line.map(|line| line.target - line.base)
    }

    pub(crate) fn snaps(&self) -> u64 {
        self.snaps
    }

    pub(crate) fn clock(&self) -> &RtpClock {
        &self.clock
    }

    fn restart(&mut self) {
        self.transit.clear();
        self.pending.clear();
        self.line = None;
        self.snaps += 1;
    }
}
