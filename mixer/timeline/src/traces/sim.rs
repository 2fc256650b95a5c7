//! Hosts whose packets come from formulas, so that the true capture time of each is known.

use crate::{EdgeTime, Kind, NtpTime, RtpTicks, RtpTimestamp, SenderReport, Span, Timeline};
use std::collections::BTreeMap;

pub(super) const AUDIO_PERIOD: Span = Span::from_millis(20);
pub(super) const VIDEO_PERIOD: Span = Span(33_333_333);

/// The edge's clock at the start of every trace: it does not begin at zero.
const START: EdgeTime = EdgeTime(777_000_000_123);

pub(super) fn at(seconds: i64) -> EdgeTime {
    START + Span::from_secs(seconds)
}

pub(super) fn millis(millis: i64) -> Span {
    Span::from_millis(millis)
}

/// One sending host.
#[derive(Clone)]
pub(super) struct SimHost {
    /// Its wallclock less the edge's clock.
    pub(super) wallclock: Span,
    /// The wallclock is set by this much at this time.
    pub(super) step: Option<(EdgeTime, Span)>,
    /// All of its clocks run this much too fast.
    pub(super) drift_ppm: i64,
    /// One way to the edge; the round trip is twice that.
    pub(super) delay: Span,
    /// Up to this much more, packet by packet.
    pub(super) jitter: Span,
    /// Packets that do not arrive.
    pub(super) loss_percent: u64,
    /// Whether pictures' lost packets are sent once more when they are asked for, each time with the same loss.
    pub(super) is_mended: bool,
    /// From when on the edge measures the round trip.
    pub(super) round_trip_from: EdgeTime,
    pub(super) tracks: Vec<SimTrack>,
}

/// One of its tracks.
#[derive(Clone)]
pub(super) struct SimTrack {
    pub(super) kind: Kind,
    pub(super) from: EdgeTime,
    pub(super) period: Span,
    /// Silence of 8 s after every 2 s of talk, with one packet every 400 ms.
    pub(super) has_dtx: bool,
    pub(super) rtp_base: u32,
    /// Nothing is sent in between; the RTP clock stands still, or runs on.
    pub(super) mute: Option<(EdgeTime, EdgeTime, bool)>,
    pub(super) reports_every: Option<Span>,
    /// What is wrong with the RTP time of a report, by its number.
    pub(super) report_error: fn(u64) -> Span,
    /// How long reports are on their way in addition.
    pub(super) report_delay: Span,
    /// From capture to the first packet on the wire.
    pub(super) encode: Span,
}

impl SimHost {
    pub(super) fn good() -> Self {
        Self {
            wallclock: Span::from_secs(3_900_000_000),
            step: None,
            drift_ppm: 0,
            delay: millis(20),
            jitter: millis(2),
            loss_percent: 0,
            is_mended: false,
            round_trip_from: at(0),
            tracks: vec![SimTrack::audio(), SimTrack::video()],
        }
    }

    pub(super) fn track(&mut self, kind: Kind) -> &mut SimTrack {
        self.tracks
            .iter_mut()
            .find(|track| track.kind == kind)
            .expect("both tracks are there")
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The time on the host's crystal since the start.
    fn elapsed(&self, time: EdgeTime) -> Span {
        let since = time - START;
        since + Span(since.0 / 1_000_000 * self.drift_ppm)
    }

    fn ntp(&self, time: EdgeTime) -> NtpTime {
        let stepped = self
            .step
            .filter(|(from, _)| time >= *from)
            .map_or(Span::ZERO, |(_, by)| by);
        NtpTime((self.elapsed(time) + self.wallclock + stepped).0)
    }

    fn rtp(&self, track: &SimTrack, time: EdgeTime) -> RtpTimestamp {
        let stood = match track.mute {
            Some((from, to, true)) => (self.elapsed(time.min(to)) - self.elapsed(from)).max(Span::ZERO),
            Some((_, _, false)) | None => Span::ZERO,
        };
        let ticks = (self.elapsed(time) - stood).to_ticks(track.kind.clock_rate());
        RtpTicks(i64::from(track.rtp_base) + ticks).wrap()
    }
}

impl SimTrack {
    fn audio() -> Self {
        Self {
            kind: Kind::Audio,
            from: at(0),
            period: AUDIO_PERIOD,
            has_dtx: false,
            rtp_base: 0x1234_5678,
            mute: None,
            reports_every: Some(Span::from_secs(5)),
            report_error: |_| Span::ZERO,
            report_delay: Span::ZERO,
            encode: millis(2),
        }
    }

    fn video() -> Self {
        Self {
            kind: Kind::Video,
            period: VIDEO_PERIOD,
            rtp_base: 0x9abc_def0,
            reports_every: Some(Span::from_secs(1)),
            encode: millis(8),
            ..Self::audio()
        }
    }

    fn sends(&self, time: EdgeTime) -> bool {
        let muted = self.mute.is_some_and(|(from, to, _)| from <= time && time < to);
        let phase = (time - START).0.rem_euclid(10_000_000_000);
        let silent = self.has_dtx && phase >= 2_000_000_000 && phase % 400_000_000 >= self.period.0;
        time >= self.from && !muted && !silent
    }
}

enum What {
    Packet {
        captured: EdgeTime,
        timestamp: RtpTimestamp,
        is_repair: bool,
    },
    Report(SenderReport),
    RoundTrip(Span),
}

struct Event {
    arrival: EdgeTime,
    host: usize,
    kind: Kind,
    what: What,
}

/// What was measured at one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) arrival: EdgeTime,
    pub(super) captured: EdgeTime,
    pub(super) shown: EdgeTime,
    pub(super) room_delay: Span,
    pub(super) host_delay: Span,
}

pub(super) struct Outcome {
    pub(super) timeline: Timeline<usize>,
    samples: BTreeMap<(usize, Kind), Vec<Sample>>,
}

impl Outcome {
    pub(super) fn samples(&self, host: usize, kind: Kind) -> &[Sample] {
        &self.samples[&(host, kind)]
    }

    /// The least and the greatest error of the presentation time from `from` on.
    pub(super) fn errors(&self, host: usize, kind: Kind, from: EdgeTime) -> (Span, Span) {
        let errors = || {
            self.samples(host, kind)
                .iter()
                .filter(|sample| sample.captured >= from)
                .map(|sample| sample.shown - sample.captured)
        };
        (
            errors().min().expect("packets after that time"),
            errors().max().expect("packets after that time"),
        )
    }

    /// How far apart two tracks show what was captured at the same time, at most, from `from` on.
    pub(super) fn skew(&self, a: (usize, Kind), b: (usize, Kind), from: EdgeTime) -> Span {
        let (a, b) = (self.errors(a.0, a.1, from), self.errors(b.0, b.1, from));
        (a.1 - b.0).max(b.1 - a.0)
    }

    pub(super) fn lip_sync(&self, host: usize, from: EdgeTime) -> Span {
        self.skew((host, Kind::Audio), (host, Kind::Video), from)
    }
}

/// Plays `hosts` for `seconds`.
pub(super) fn play(hosts: &[SimHost], seconds: i64) -> Outcome {
    let mut events = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        add_round_trips(&mut events, index, host, seconds);
        for track in &host.tracks {
            add_packets(&mut events, index, host, track, seconds);
            add_reports(&mut events, index, host, track, seconds);
        }
    }
    events.sort_by_key(|event| event.arrival);
    let mut outcome = Outcome {
        timeline: Timeline::new(),
        samples: BTreeMap::new(),
    };
    for host in 0..hosts.len() {
        outcome.timeline.add_host(host);
    }
    for event in events {
        outcome.take(&event);
    }
    outcome
}

impl Outcome {
    fn take(&mut self, event: &Event) {
        let Event {
            arrival, host, kind, ..
        } = *event;
        match event.what {
            What::RoundTrip(round_trip) => self.timeline.set_round_trip(host, round_trip, arrival),
            What::Report(report) => self.timeline.on_sender_report(host, kind, report, arrival),
            What::Packet {
                captured,
                timestamp,
                is_repair,
            } => {
                match is_repair {
                    true => self.timeline.on_repair(host, kind, timestamp, arrival),
                    false => self.timeline.on_packet(host, kind, timestamp, arrival),
                }
                let room_delay = self.timeline.room_delay(arrival);
                let host_delay = self.timeline.host_delay(host, arrival);
                if let Some(shown) = self.timeline.presentation_time(host, kind, timestamp) {
                    let sample = Sample {
                        arrival,
                        captured,
                        shown,
                        room_delay,
                        host_delay,
                    };
                    self.samples.entry((host, kind)).or_default().push(sample);
                }
            }
        }
    }
}

fn add_packets(events: &mut Vec<Event>, index: usize, host: &SimHost, track: &SimTrack, seconds: i64) {
    let mut random = Random(index as u64 * 2 + u64::from(track.kind == Kind::Video) + 99);
    let mut captured = START;
    while captured < at(seconds) {
        let (jitter, lost) = (
            random.below(host.jitter.0 as u64 + 1),
            random.below(100) < host.loss_percent,
        );
        let by_itself = captured + track.encode + host.delay + Span(jitter as i64);
        let arrival = match lost {
            false => Some(by_itself),
            true => mended(host, track, by_itself),
        };
        if let Some(arrival) = arrival.filter(|_| track.sends(captured)) {
            let what = What::Packet {
                captured,
                timestamp: host.rtp(track, captured),
                is_repair: lost,
            };
            events.push(Event {
                arrival,
                host: index,
                kind: track.kind,
                what,
            });
        }
        captured = captured + track.period;
    }
}

/// When a lost packet comes after all: the next one shows that it is missing, then requests go out a round trip apart.
fn mended(host: &SimHost, track: &SimTrack, by_itself: EdgeTime) -> Option<EdgeTime> {
    if !host.is_mended || track.kind != Kind::Video {
        return None;
    }
    let mut random = Random(by_itself.0 as u64);
    let mut arrival = by_itself + track.period + millis(10);
    loop {
        arrival = arrival + host.delay * 2 + Span(random.below(2 * host.jitter.0 as u64 + 1) as i64);
        if random.below(100) >= host.loss_percent {
            return Some(arrival);
        }
    }
}

fn add_reports(events: &mut Vec<Event>, index: usize, host: &SimHost, track: &SimTrack, seconds: i64) {
    let Some(every) = track.reports_every else {
        return;
    };
    let mut sent = track.from + every;
    for number in 0.. {
        if sent >= at(seconds) {
            return;
        }
        // The packet that carries it is as late as any; what is in it is exact, but for its error.
        let rtp = host.rtp(track, sent + (track.report_error)(number));
        let what = What::Report(SenderReport {
            ntp: host.ntp(sent),
            rtp,
        });
        let arrival = sent + host.delay + track.report_delay;
        events.push(Event {
            arrival,
            host: index,
            kind: track.kind,
            what,
        });
        sent = sent + every;
    }
}

fn add_round_trips(events: &mut Vec<Event>, index: usize, host: &SimHost, seconds: i64) {
    let mut random = Random(index as u64 + 5);
    for second in (0..seconds).filter(|second| at(*second) >= host.round_trip_from) {
        let queued = Span(random.below(host.jitter.0 as u64 + 1) as i64);
        let what = What::RoundTrip(host.delay * 2 + queued);
        events.push(Event {
            arrival: at(second),
            host: index,
            kind: Kind::Audio,
            what,
        });
    }
}

/// Numbers that look random and are the same every time (Steele et al., SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
