//! One stream of a publisher with all that is kept for it.

use super::SourceCounters;
use super::key_frame::KeyFrameRequests;
use super::nack::NackList;
use super::reception::{Place, Reception};
use super::types::{Carries, RtpArrival, StreamStatistics};
use lianmai_fanout::{SequenceNumber, Ssrc};
use lianmai_webrtc::media::{Kind, Track};
use std::time::Instant;

/// How a stream is asked for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFrameMessage {
    Pli,
    Fir,
}

/// One SSRC.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    pub(super) is_rtx: bool,
    pub(super) heard_at: Instant,
    pub(super) reception: Reception,
    /// Kept for media streams that negotiated NACK.
    pub(super) nacks: Option<NackList>,
    /// Kept for video media streams.
    pub(super) key_frames: Option<KeyFrameRequests>,
    pub(super) message: KeyFrameMessage,
}

impl Stream {
    pub(super) fn new(now: Instant, packet: &RtpArrival, track: Option<&Track>) -> Self {
        let is_rtx = packet.carries != Carries::Media;
        let fallback_rate = if packet.kind == Kind::Audio {
            48_000
        } else {
            90_000
        };
        let clock_rate = track.map_or(fallback_rate, |track| track.codec.clock_rate());
        let feedback = track.map(|track| track.feedback).unwrap_or_default();
        let only_fir = feedback.fir && !feedback.pli;
        Self {
            kind: packet.kind,
            is_rtx,
            heard_at: now,
            reception: Reception::new(now, clock_rate),
            nacks: (feedback.nack && !is_rtx).then(NackList::default),
            key_frames: (packet.kind == Kind::Video && !is_rtx).then(KeyFrameRequests::default),
            message: if only_fir {
                KeyFrameMessage::Fir
            } else {
                KeyFrameMessage::Pli
            },
        }
    }

    /// Counts a packet and notes what it shows to be missing.
    pub(super) fn on_packet(&mut self, now: Instant, packet: &RtpArrival, counters: &mut SourceCounters) {
        self.heard_at = now;
        let place = self
            .reception
            .on_packet(packet.seq, packet.timestamp, packet.arrival, packet.size);
        match place {
            Place::Ahead { missing, seq } => self.note_gap(now, missing, seq, counters),
            Place::Behind(seq) => self.note_recovery(seq, counters),
            Place::Stray => {}
            Place::Began => self.begin_anew(counters),
        }
    }

    /// This packet came on the RTX stream.
    pub(super) fn on_retransmission(&mut self, seq: SequenceNumber, counters: &mut SourceCounters) {
        if let Some(seq) = self.reception.extend(seq) {
            self.note_recovery(seq, counters);
        }
    }

    pub(super) fn on_key_frame(&mut self, seq: SequenceNumber) {
        if let Some(requests) = &mut self.key_frames {
            requests.on_key_frame();
        }
        if let (Some(seq), Some(nacks)) = (self.reception.extend(seq), &mut self.nacks) {
            nacks.on_key_frame(seq);
        }
    }

    pub(super) fn request_key_frame(&mut self, counters: &mut SourceCounters) {
        if let Some(requests) = &mut self.key_frames {
            requests.request();
            counters.key_frames_wanted += 1;
        }
    }

    pub(super) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let nacks = self.nacks.as_ref().and_then(NackList::next_timeout);
        let key_frames = self
            .key_frames
            .as_ref()
            .and_then(|requests| requests.next_timeout(now));
        nacks.into_iter().chain(key_frames).min()
    }

    pub(super) fn statistics(&self, ssrc: Ssrc) -> StreamStatistics {
        StreamStatistics {
            ssrc,
            kind: self.kind,
            is_rtx: self.is_rtx,
            packets: self.reception.packets(),
            bytes: self.reception.bytes(),
            lost: self.reception.lost(),
            fraction_lost: self.reception.fraction_lost(),
            jitter: self.reception.jitter(),
        }
    }

    fn note_gap(&mut self, now: Instant, missing: i64, seq: i64, counters: &mut SourceCounters) {
        let Some(nacks) = &mut self.nacks else {
            return;
        };
        if let Err(too_many) = nacks.on_gap(now, missing, seq) {
            counters.given_up += too_many.0;
            self.request_key_frame(counters);
        }
    }

    fn note_recovery(&mut self, seq: i64, counters: &mut SourceCounters) {
        if self.nacks.as_mut().is_some_and(|nacks| nacks.on_arrival(seq)) {
            counters.recovered += 1;
        }
    }

    /// Its first packets may be anywhere in a frame; when it began anew, nothing old will come any more.
    fn begin_anew(&mut self, counters: &mut SourceCounters) {
        if let Some(nacks) = &mut self.nacks {
            nacks.clear();
        }
        if self.reception.packets() > 1 {
            self.request_key_frame(counters);
        }
    }
}
