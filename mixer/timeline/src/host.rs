//! One host: two tracks and the wallclock that they share.

use crate::clock::{Accepted, Reported, SenderReport};
use crate::time::{EdgeTime, Kind, RtpTimestamp, Span};
use crate::track::Track;
use crate::wallclock::HostClock;
use std::collections::BTreeMap;

/// How long tracks move fast: after the first packet and the first sender report of each, and after the first
/// round trip.
const SETTLING: Span = Span::from_secs(5);

/// When one track has seen the wallclock step, the other will within three of its reports.
const STEP_PATIENCE: Span = Span::from_secs(25);

/// One host of a room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    clock: HostClock,
    tracks: BTreeMap<Kind, Track>,
    settling_until: Option<EdgeTime>,
    step: Option<Step>,
}

/// The wallclock was stepped, and only one track's reports tell yet.
#[derive(Clone, Copy, Debug)]
struct Step {
    seen_by: Kind,
    expires: EdgeTime,
}

/// What is known of one track's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackStats {
    /// Where the track should be less where it is: what is still being slewed away.
    pub error: Span,
    /// Whether sender reports place the track in its host's time.
    pub has_reports: bool,
    /// Sender reports that contradicted the packets.
    pub reports_refused: u64,
    /// How often the track's RTP clock restarted.
    pub restarts: u64,
    /// How often the track was moved at once instead of slewed.
    pub snaps: u64,
}

impl Host {
    /// Takes a packet; says how late it and those before it came after their capture, as far as that is known.
    pub(crate) fn on_packet(&mut self, kind: Kind, timestamp: RtpTimestamp, arrival: EdgeTime) -> Vec<Span> {
        if !self.tracks.contains_key(&kind) {
            self.settle(arrival);
        }
        let track = self.tracks.entry(kind).or_insert_with(|| Track::new(kind));
        let accepted = track.on_packet(timestamp, arrival);
        self.steer(arrival);
        let Some(track) = self.tracks.get_mut(&kind) else {
            return Vec::new();
        };
        match accepted {
            Accepted::Refused => Vec::new(),
            Accepted::Doubtful(ticks) => {
                track.note_lateness(ticks, arrival);
                Vec::new()
            }
            Accepted::Continues(ticks) | Accepted::Restarted(ticks) => {
                track.note_lateness(ticks, arrival);
                track.take_lateness()
            }
        }
    }

    pub(crate) fn on_sender_report(&mut self, kind: Kind, report: SenderReport, arrival: EdgeTime) {
        let track = self.tracks.entry(kind).or_insert_with(|| Track::new(kind));
        let is_first = track.wallclock_offset().is_none();
        match track.on_sender_report(report, arrival) {
            Reported::Taken if is_first => self.settle(arrival),
            Reported::Stepped => self.stepped(kind, arrival),
            Reported::Taken | Reported::Waits | Reported::Refused => {}
        }
    }

    pub(crate) fn set_round_trip(&mut self, round_trip: Span, now: EdgeTime) {
        if self.clock.round_trip().is_none() {
            self.settle(now);
        }
        self.clock.set_round_trip(round_trip, now);
    }

    pub(crate) fn reset_track(&mut self, kind: Kind) {
        self.tracks.remove(&kind);
    }

    pub(crate) fn capture_time(&self, kind: Kind, timestamp: RtpTimestamp) -> Option<EdgeTime> {
        let track = self.tracks.get(&kind)?;
        track.capture_time(track.unwrap(timestamp)?)
    }

    pub(crate) fn clock(&self) -> &HostClock {
        &self.clock
    }

    pub(crate) fn track_stats(&self, kind: Kind) -> Option<TrackStats> {
        let track = self.tracks.get(&kind)?;
        Some(TrackStats {
            error: track.error()?,
            has_reports: track.wallclock_offset().is_some(),
            reports_refused: track.clock().reports_refused(),
            restarts: track.clock().restarts(),
            snaps: track.snaps(),
        })
    }

    fn settle(&mut self, now: EdgeTime) {
        self.settling_until = Some(now + SETTLING);
    }

    /// A step changes what both tracks' reports say, but not at the same moment. In between, the tracks stay where
    /// they are.
    fn stepped(&mut self, kind: Kind, now: EdgeTime) {
        let other_has_reports = self
            .tracks
            .iter()
            .any(|(other, track)| *other != kind && track.wallclock_offset().is_some());
        self.step = match self.step {
            Some(step) if step.seen_by != kind => None,
            Some(_) | None => other_has_reports.then_some(Step {
                seen_by: kind,
                expires: now + STEP_PATIENCE,
            }),
        };
    }

    /// Moves the lines of all tracks towards where they should be.
    fn steer(&mut self, now: EdgeTime) {
        self.step = self.step.filter(|step| now < step.expires);
        let settling = self.settling_until.is_some_and(|until| now < until);
        let offset = self.wallclock_offset(now);
        let one_way = self.clock.one_way();
        for track in self.tracks.values_mut() {
            let held = self.step.and_then(|_| track.target());
            let by_reports = offset
                .zip(track.wallclock_offset())
                .map(|(host, track)| host + track);
            let by_arrival = track.fastest().map(|fastest| fastest - one_way);
            if let Some(target) = held.or(by_reports).or(by_arrival) {
                track.steer(target, now, settling);
            }
        }
    }

    /// The edge's clock less the host's wallclock.
    fn wallclock_offset(&mut self, now: EdgeTime) -> Option<Span> {
        if self.step.is_some() {
            return None;
        }
        let of_track = |track: &Track| Some(track.fastest()? - track.wallclock_offset()?);
        let live = self
            .tracks
            .values()
            .filter(|track| track.is_live(now))
            .filter_map(of_track);
        self.clock.offset(live)
    }
}
