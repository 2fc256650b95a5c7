//! One published stream: its tracks, what arrived of each, and who hears about it.

use crate::clock::Stamp;
use crate::incoming::{Incoming, Role};
use crate::metrics::DropReason;
use crate::shown::Shown;
use crate::snapshot::SourceStats;
use crate::srtp::Opened;
use crate::tap::Tap;
use bytes::Bytes;
use lianmai_fanout::{RtpHeader, RtpPacket, SequenceNumber, Ssrc};
use lianmai_feedback::{Carries, SourceConfig, Weakest};
use lianmai_webrtc::EndpointId;
use lianmai_webrtc::media::{Kind, Track};
use rustc_hash::FxHashMap;
use std::time::{Duration, Instant};

/// Our canonical name in RTCP (RFC 3550 §6.5.1).
pub(crate) const CNAME: &str = "lianmai";

/// SSRCs at most, those of earlier keys included.
const MAX_SSRCS: usize = 64;

/// A publisher finds its rate in its first seconds, and co-hosts come and go: until it has had no leg for so long, it is not asked
/// for less.
const ALONE_AFTER: Duration = Duration::from_secs(10);

/// A published stream.
pub(crate) struct Source {
    tracks: Vec<Incoming>,
    /// SSRCs that authentic packets came with.
    streams: FxHashMap<Ssrc, Stream>,
    pub(crate) feedback: lianmai_feedback::Source,
    pub(crate) weakest: Weakest,
    pub(crate) tap: Option<Tap>,
    /// How the mixer shows it, once that was said.
    pub(crate) shown: Option<Shown>,
    allowed: Option<u64>,
    /// When it last had a leg, or was there first.
    watched_at: Instant,
    told: Told,
}

/// What was passed on of the feedback machine's state.
#[derive(Default)]
struct Told {
    round_trip: Option<Duration>,
    key_frames_requested: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    track: usize,
    role: Role,
}

/// A packet of the stream that its legs have not had yet.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// Index into the publisher's tracks.
    pub(crate) track: usize,
    /// In the clear, as the publisher sent it first.
    pub(crate) packet: Bytes,
    pub(crate) header: RtpHeader,
    /// It had been lost, and came as a retransmission.
    pub(crate) is_repair: bool,
}

impl Source {
    pub(crate) fn new(now: Instant, endpoint: EndpointId, tracks: Vec<Track>) -> Self {
        let config = SourceConfig {
            ours: own_ssrc(endpoint),
            cname: CNAME.to_owned(),
            reduced_size: false,
            tracks: tracks.clone(),
        };
        Self {
            tracks: tracks.into_iter().map(Incoming::new).collect(),
            streams: FxHashMap::default(),
            feedback: lianmai_feedback::Source::new(now, config),
            weakest: Weakest::default(),
            tap: None,
            shown: None,
            allowed: None,
            watched_at: now,
            told: Told::default(),
        }
    }

    pub(crate) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().map(|incoming| &incoming.track)
    }

    /// An earlier process heard this SSRC on this track.
    pub(crate) fn resume(&mut self, ssrc: Ssrc, track: usize) {
        if let Some(incoming) = self.tracks.get_mut(track) {
            incoming.begin(ssrc);
            let role = Role::Media;
            self.streams.insert(ssrc, Stream { track, role });
        }
    }

    pub(crate) fn has_video(&self) -> bool {
        self.tracks().any(|track| track.kind == Kind::Video)
    }

    /// The track of a media SSRC.
    pub(crate) fn track_of(&self, ssrc: Ssrc) -> Option<usize> {
        self.streams
            .get(&ssrc)
            .filter(|stream| stream.role == Role::Media)
            .map(|stream| stream.track)
    }

    /// The media SSRC of each track that sent something.
    pub(crate) fn media_ssrcs(&self) -> impl Iterator<Item = (usize, Ssrc)> {
        self.tracks
            .iter()
            .enumerate()
            .filter_map(|(track, incoming)| Some((track, incoming.media?)))
    }

    /// A packet of the near past.
    pub(crate) fn recall(&self, ssrc: Ssrc, sequence: SequenceNumber) -> Option<Accepted> {
        let track = self.track_of(ssrc)?;
        let incoming = self
            .tracks
            .get(track)
            .filter(|incoming| incoming.media == Some(ssrc))?;
        let packet = incoming.recall(sequence)?;
        let header = RtpHeader::parse(&packet).ok()?;
        Some(Accepted {
            track,
            packet,
            header,
            is_repair: false,
        })
    }

    /// Takes a packet of the publisher: whose it is, what it repeats, and whether it is new.
    pub(crate) fn accept(
        &mut self,
        now: Stamp,
        arrival: Stamp,
        opened: &Opened,
    ) -> Result<Accepted, DropReason> {
        let packet = RtpPacket::parse(opened.bytes()).map_err(|_| DropReason::Malformed)?;
        let stream = self.stream_of(&packet).ok_or(DropReason::UnknownPayloadType)?;
        let incoming = self
            .tracks
            .get_mut(stream.track)
            .ok_or(DropReason::UnknownPayloadType)?;
        let (carries, original) = match stream.role {
            Role::Media => (Carries::Media, Ok(opened.bytes().clone())),
            Role::Retransmission => incoming.unwrap(&packet),
        };
        self.feedback
            .on_rtp(now.at, &incoming.describe(&packet, arrival.at, carries));
        let packet = original?;
        let header = RtpHeader::parse(&packet).map_err(|_| DropReason::Malformed)?;
        incoming.admit(now.at, &packet, &header)?;
        if incoming.starts_key_frame(&packet) {
            self.feedback.on_key_frame(now.at, header.ssrc, header.sequence);
        }
        Ok(Accepted {
            track: stream.track,
            packet,
            header,
            is_repair: stream.role == Role::Retransmission,
        })
    }

    fn stream_of(&mut self, packet: &RtpPacket<'_>) -> Option<Stream> {
        if let Some(stream) = self.streams.get(&packet.header.ssrc).copied() {
            return self.speaks(stream, packet).then_some(stream);
        }
        let stream = self.learn(packet).filter(|_| self.streams.len() < MAX_SSRCS)?;
        self.streams.insert(packet.header.ssrc, stream);
        if let (Role::Media, Some(incoming)) = (stream.role, self.tracks.get_mut(stream.track)) {
            incoming.begin(packet.header.ssrc);
        }
        Some(stream)
    }

    /// Of the tracks with this payload type: the one whose SSRC was announced, else the one of its mid (RFC 9143 §9.2),
    /// else the first without an announced SSRC, else the first.
    fn learn(&self, packet: &RtpPacket<'_>) -> Option<Stream> {
        let tracks = 0..self.tracks.len();
        let roles = [Role::Media, Role::Retransmission];
        let candidates = tracks.flat_map(|track| roles.map(|role| Stream { track, role }));
        candidates
            .filter(|&stream| self.speaks(stream, packet))
            .min_by_key(|stream| {
                let incoming = self.tracks.get(stream.track);
                incoming.map_or(u8::MAX, |incoming| incoming.doubt(stream.role, packet))
            })
    }

    fn speaks(&self, stream: Stream, packet: &RtpPacket<'_>) -> bool {
        let incoming = self.tracks.get(stream.track);
        incoming.is_some_and(|incoming| incoming.speaks(stream.role, packet))
    }

    /// The round trip, if it is another than the last one that this gave.
    pub(crate) fn new_round_trip(&mut self) -> Option<Duration> {
        let least = self.feedback.round_trip()?.least;
        (self.told.round_trip.replace(least) != Some(least)).then_some(least)
    }

    /// Key frames that were requested since this was asked last.
    pub(crate) fn new_key_frame_requests(&mut self) -> u64 {
        let total = self.feedback.counters().key_frames_requested;
        let before = std::mem::replace(&mut self.told.key_frames_requested, total);
        total.saturating_sub(before)
    }

    /// Tells the publisher what it may send: what its weakest leg can take, and if it has had no leg for a while, what the mixer
    /// shows of it. Legs see all of it.
    pub(crate) fn allow(&mut self, now: Instant, is_watched: bool) {
        if is_watched {
            self.watched_at = now;
        }
        let is_alone = now.saturating_duration_since(self.watched_at) >= ALONE_AFTER;
        let seen = self.shown.filter(|_| is_alone).map(Shown::worth);
        self.allowed = self.weakest.allowed().into_iter().chain(seen).min();
        self.feedback.set_allowed_bitrate(now, self.allowed);
    }

    pub(crate) fn stats(&self) -> SourceStats {
        SourceStats {
            tracks: self
                .tracks
                .iter()
                .map(|incoming| incoming.stats(&self.feedback))
                .collect(),
            allowed_bitrate: self.allowed,
            round_trip: self.feedback.round_trip().map(|round_trip| round_trip.smoothed),
            tapped: self.tap.is_some(),
        }
    }
}

/// Under what we speak RTCP to this endpoint.
pub(crate) const fn own_ssrc(endpoint: EndpointId) -> Ssrc {
    Ssrc(0x4c4d_0000 | (endpoint.0 & 0xffff) as u32)
}
