//! One track of a publisher as it arrives: which packets are new, and the last of them for those who ask again.

use crate::history::History;
use crate::metrics::DropReason;
use crate::replay::{Own, ReplayWindow};
use crate::rtx;
use crate::snapshot::TrackStats;
use bytes::Bytes;
use lianmai_fanout::{RtpHeader, RtpPacket, SequenceNumber, Ssrc, keyframe};
use lianmai_feedback::{Carries, RtpArrival};
use lianmai_webrtc::media::{Codec, Track};
use std::time::{Duration, Instant};

/// One track as it arrives.
pub(crate) struct Incoming {
    pub(crate) track: Track,
    /// The SSRC that it was last heard under.
    pub(crate) media: Option<Ssrc>,
    seen: ReplayWindow<Own<16>>,
    history: History,
    packets: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Media,
    Retransmission,
}

impl Incoming {
    pub(crate) fn new(track: Track) -> Self {
        Self {
            track,
            media: None,
            seen: ReplayWindow::default(),
            history: History::default(),
            packets: 0,
            bytes: 0,
        }
    }

    /// A media SSRC spoke for the first time.
    pub(crate) fn begin(&mut self, ssrc: Ssrc) {
        self.media = Some(ssrc);
        self.seen = ReplayWindow::default();
        self.history = History::default();
    }

    /// Whether the track has the packet's payload type in this role.
    pub(crate) fn speaks(&self, role: Role, packet: &RtpPacket<'_>) -> bool {
        let payload_type = match role {
            Role::Media => Some(self.track.payload_type),
            Role::Retransmission => self.track.rtx_payload_type,
        };
        payload_type == Some(packet.header.payload_type)
    }

    /// A packet of the near past.
    pub(crate) fn recall(&self, sequence: SequenceNumber) -> Option<Bytes> {
        self.history.get(sequence).cloned()
    }

    /// How unlikely it is that this is the track of the packet.
    pub(crate) fn doubt(&self, role: Role, packet: &RtpPacket<'_>) -> u8 {
        let announced = match role {
            Role::Media => self.track.ssrc,
            Role::Retransmission => self.track.rtx_ssrc,
        };
        if announced == Some(packet.header.ssrc) {
            return 0;
        }
        match self.extension(self.track.extensions.mid, packet) {
            Some(mid) if mid == self.track.mid.as_bytes() => 1,
            None if announced.is_none() => 2,
            None => 3,
            Some(_) => 4,
        }
    }

    /// What a packet of the RTX stream repeats, and what it was.
    pub(crate) fn unwrap(&self, packet: &RtpPacket<'_>) -> (Carries, Result<Bytes, DropReason>) {
        let original = self.media.zip(rtx::original_sequence(packet));
        let Some((ssrc, sequence)) = original else {
            return (Carries::Probe, Err(DropReason::RtxProbe));
        };
        let bytes = rtx::unwrap(packet, self.track.payload_type, ssrc).ok_or(DropReason::Malformed);
        (Carries::Retransmission(ssrc, sequence), bytes)
    }

    /// Counts and keeps a packet that is new.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        packet: &Bytes,
        header: &RtpHeader,
    ) -> Result<(), DropReason> {
        if self.media != Some(header.ssrc) {
            self.begin(header.ssrc);
        }
        let index = self.seen.index_of(header.sequence).ok_or(DropReason::Duplicate)?;
        if !self.seen.claim(index) {
            return Err(DropReason::Duplicate);
        }
        self.packets += 1;
        self.bytes += packet.len() as u64;
        self.history.insert(now, header.sequence, packet.clone());
        Ok(())
    }

    pub(crate) fn describe(&self, packet: &RtpPacket<'_>, arrival: Instant, carries: Carries) -> RtpArrival {
        let ids = &self.track.extensions;
        let transport = self
            .extension(ids.transport_cc, packet)
            .and_then(<[u8]>::first_chunk::<2>);
        // RFC 6464 §3: the top bit is voice activity, the rest the level.
        let level = self.extension(ids.audio_level, packet).and_then(<[u8]>::first);
        RtpArrival {
            ssrc: packet.header.ssrc,
            kind: self.track.kind,
            seq: packet.header.sequence,
            timestamp: packet.header.timestamp,
            arrival,
            transport_seq: transport.map(|bytes| u16::from_be_bytes(*bytes)),
            size: packet.bytes().len(),
            audio_level: level.map(|level| level & 0x7f),
            carries,
        }
    }

    fn extension<'a>(&self, id: Option<u8>, packet: &RtpPacket<'a>) -> Option<&'a [u8]> {
        packet.extension(id?)
    }

    pub(crate) fn starts_key_frame(&self, packet: &[u8]) -> bool {
        let payload = RtpPacket::parse(packet).map_or(&[] as &[u8], |packet| packet.payload());
        match self.track.codec {
            Codec::H264 => keyframe::h264(payload),
            Codec::Vp8 => keyframe::vp8(payload),
            Codec::Opus => false,
        }
    }

    pub(crate) fn stats(&self, feedback: &lianmai_feedback::Source) -> TrackStats {
        let received = feedback
            .statistics()
            .find(|stream| Some(stream.ssrc) == self.media);
        TrackStats {
            kind: self.track.kind,
            codec: self.track.codec,
            ssrc: self.media,
            packets: self.packets,
            bytes: self.bytes,
            lost: received.map_or(0, |stream| u64::try_from(stream.lost).unwrap_or(0)),
            jitter: received.map_or(Duration::ZERO, |stream| stream.jitter),
            kernel: None,
        }
    }
}
