//! One publisher: what arrives from it, and the RTCP that goes back.

mod arrivals;
mod key_frame;
mod limit;
mod nack;
mod reception;
mod send;
mod stream;
#[cfg(test)]
mod tests;
mod types;

use crate::ntp::NtpTime;
use crate::round_trip::{RoundTrip, RoundTripMeter};
use crate::voice::VoiceLevel;
use crate::wire::{Incoming, SenderReport};
use arrivals::Arrivals;
use lianmai_fanout::{SequenceNumber, Ssrc};
use lianmai_webrtc::media::Kind;
use limit::Limit;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use stream::Stream;
pub use types::{Carries, Output, RtpArrival, SourceConfig, SourceCounters, StreamStatistics};

/// Audio, video, an RTX stream for each, and as many that replace them. The longest silent one makes room.
const MAX_STREAMS: usize = 8;
/// The first report goes early, so that the round trip is known soon.
const FIRST_REPORT: Duration = Duration::from_millis(200);
/// Datagrams that wait for `poll_output`.
const MAX_OUTPUTS: usize = 64;

/// The RTCP machine of a publisher.
///
/// After every input, take all of [`Source::poll_output`] and ask for [`Source::next_timeout`] again.
#[derive(Debug)]
pub struct Source {
    config: SourceConfig,
    epoch: Instant,
    streams: BTreeMap<Ssrc, Stream>,
    arrivals: Arrivals,
    limit: Limit,
    round_trip: RoundTripMeter,
    voice: VoiceLevel,
    publisher_cname: Option<Vec<u8>>,
    last_media: Ssrc,
    key_frames_wanted: bool,
    report_at: Option<Instant>,
    /// State of the generator that spreads the reports.
    dither: u32,
    outputs: VecDeque<Output>,
    counters: SourceCounters,
    now: Instant,
}

impl Source {
    /// A publisher that has sent nothing yet.
    #[must_use]
    pub fn new(now: Instant, config: SourceConfig) -> Self {
        Self {
            epoch: now,
            streams: BTreeMap::new(),
            arrivals: Arrivals::new(now),
            limit: Limit::default(),
            round_trip: RoundTripMeter::default(),
            voice: VoiceLevel::default(),
            publisher_cname: None,
            last_media: Ssrc(0),
            key_frames_wanted: false,
            report_at: None,
            dither: config.ours.0 | 1,
            outputs: VecDeque::new(),
            counters: SourceCounters::default(),
            now,
            config,
        }
    }

    /// A packet arrived and was authentic.
    pub fn on_rtp(&mut self, now: Instant, packet: &RtpArrival) {
        self.now = now;
        if let Some(seq) = packet.transport_seq {
            self.arrivals.on_packet(now, seq, packet.arrival);
            self.last_media = packet.ssrc;
        }
        if !self.streams.contains_key(&packet.ssrc) {
            self.open_stream(now, packet);
        }
        if let Some(stream) = self.streams.get_mut(&packet.ssrc) {
            stream.on_packet(now, packet, &mut self.counters);
        }
        if let Carries::Retransmission(ssrc, seq) = packet.carries
            && let Some(stream) = self.streams.get_mut(&ssrc)
        {
            stream.on_retransmission(seq, &mut self.counters);
        }
        if let Some(level) = packet.audio_level {
            self.voice.on_level(now, level);
            self.report_voice(now);
        }
        self.send_transport_feedback(now);
    }

    /// The first packet of a key frame arrived: pending requests are answered, older losses break nothing any more.
    pub fn on_key_frame(&mut self, now: Instant, ssrc: Ssrc, seq: SequenceNumber) {
        self.now = now;
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.on_key_frame(seq);
        }
    }

    /// Anything that the publisher said: dispatches to the calls below, ignores the rest.
    pub fn on_rtcp(&mut self, now: Instant, incoming: &Incoming) {
        self.now = now;
        match incoming {
            Incoming::SenderReport(report) => self.on_sender_report(now, report),
            Incoming::Dlrr { ssrc, last_rr, delay } => self.on_xr_dlrr(now, *ssrc, *last_rr, *delay),
            Incoming::Cname { cname, .. } => self.publisher_cname = Some(cname.clone()),
            Incoming::Bye { ssrcs } => self.streams.retain(|ssrc, _| !ssrcs.contains(ssrc)),
            Incoming::ReceiverReport { .. }
            | Incoming::Nack { .. }
            | Incoming::Pli { .. }
            | Incoming::Fir { .. }
            | Incoming::TransportFeedback(_)
            | Incoming::Remb { .. }
            | Incoming::Rrtr { .. }
            | Incoming::Unknown { .. } => {}
        }
    }

    /// A sender report of the publisher.
    pub fn on_sender_report(&mut self, now: Instant, report: &SenderReport) {
        if let Some(stream) = self.streams.get_mut(&report.ssrc) {
            stream.reception.on_sender_report(now, report);
        }
    }

    /// The publisher answered a reference time of ours (RFC 3611 §4.5).
    pub fn on_xr_dlrr(&mut self, now: Instant, ssrc: Ssrc, last_rr: u32, delay: u32) {
        if ssrc == self.config.ours {
            self.round_trip
                .on_echo(now, self.ntp(now).middle(), last_rr, delay);
            self.tell_streams_the_round_trip();
        }
    }

    /// Somebody needs a key frame of this stream.
    pub fn request_key_frame(&mut self, now: Instant, ssrc: Ssrc) {
        self.now = now;
        if let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.request_key_frame(&mut self.counters);
        }
        self.send_messages(now);
    }

    /// Somebody needs a key frame of every video stream; remembered until the first one shows up.
    pub fn request_key_frames(&mut self, now: Instant) {
        self.now = now;
        self.key_frames_wanted = !self.streams.values().any(|stream| stream.key_frames.is_some());
        for stream in self.streams.values_mut() {
            stream.request_key_frame(&mut self.counters);
        }
        self.send_messages(now);
    }

    /// Bits per second that the weakest leg can take; `None` lifts the limit.
    pub fn set_allowed_bitrate(&mut self, now: Instant, allowed: Option<u64>) {
        self.now = now;
        if self.config.tracks.iter().any(|track| track.feedback.remb) {
            self.limit.set(now, allowed);
            self.send_messages(now);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.send_report(now);
        self.send_nacks(now);
        self.send_messages(now);
        self.send_transport_feedback(now);
        self.report_voice(now);
    }

    /// When to call [`Source::handle_timeout`] next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let streams = self
            .streams
            .values()
            .filter_map(|stream| stream.next_timeout(self.now));
        let others = [
            self.report_at,
            self.arrivals.next_timeout(),
            self.limit.next_timeout().filter(|_| self.has_video()),
            self.voice.next_timeout(),
        ];
        streams.chain(others.into_iter().flatten()).min()
    }

    /// What to do next; call it after every other call until it is `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The round trip to the publisher, once it has answered.
    #[must_use]
    pub const fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip.get()
    }

    /// The canonical name that the publisher gave its streams.
    #[must_use]
    pub fn publisher_cname(&self) -> Option<&[u8]> {
        self.publisher_cname.as_deref()
    }

    /// Totals.
    #[must_use]
    pub const fn counters(&self) -> SourceCounters {
        self.counters
    }

    /// Every stream that is being received.
    pub fn statistics(&self) -> impl Iterator<Item = StreamStatistics> {
        self.streams.iter().map(|(ssrc, stream)| stream.statistics(*ssrc))
    }

    fn has_video(&self) -> bool {
        self.streams.values().any(|stream| stream.kind == Kind::Video)
    }

    fn open_stream(&mut self, now: Instant, packet: &RtpArrival) {
        if self.streams.len() >= MAX_STREAMS {
            let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.heard_at);
            if let Some(ssrc) = oldest.map(|(ssrc, _)| *ssrc) {
                self.streams.remove(&ssrc);
                self.counters.streams_evicted += 1;
            }
        }
        self.report_at.get_or_insert(now + FIRST_REPORT);
        let track = self.config.tracks.iter().find(|track| track.kind == packet.kind);
        let mut stream = Stream::new(now, packet, track);
        if self.key_frames_wanted && stream.key_frames.is_some() {
            self.key_frames_wanted = false;
            stream.request_key_frame(&mut self.counters);
        }
        self.streams.insert(packet.ssrc, stream);
        self.tell_streams_the_round_trip();
    }

    fn tell_streams_the_round_trip(&mut self) {
        let Some(RoundTrip { smoothed, .. }) = self.round_trip.get() else {
            return;
        };
        let streams = self.streams.values_mut();
        for requests in streams.filter_map(|stream| stream.key_frames.as_mut()) {
            requests.set_round_trip(smoothed);
        }
    }

    /// Our clock in reports: only its differences matter, so it counts from just before the source began.
    fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime::from_elapsed(now.saturating_duration_since(self.epoch) + Duration::from_secs(1))
    }

    fn push(&mut self, output: Output) {
        if self.outputs.len() >= MAX_OUTPUTS {
            self.outputs.pop_front();
            self.counters.outputs_dropped += 1;
        }
        self.outputs.push_back(output);
    }
}
