//! The audio track of one host: packets in, placed sound out.

use super::track::{Heard, Sender};
use crate::audio::opus::OpusTrack;
use crate::audio::{Pcm, SAMPLE_RATE};
use lianmai_fanout::{RtpPacket, Ssrc};
use lianmai_mixer_control::AudioSource;
use lianmai_timeline::jitter::{AudioItem, AudioJitter, Packet};
use lianmai_timeline::{EdgeTime, RtpTicks, RtpTimestamp, Span};

/// Packets that wait for one that is missing: more than two seconds at 20 ms each.
const CAPACITY: usize = 128;

/// One host's Opus.
pub(super) struct AudioTrack {
    source: AudioSource,
    sender: Sender,
    jitter: AudioJitter<Vec<u8>>,
    decoder: OpusTrack,
    newest: RtpTicks,
    /// Packets given up since the last one that was decoded.
    missing: u32,
    retired: Totals,
}

/// What is counted over all senders of the track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Packets that never came.
    pub lost: u64,
    /// Stereo frames that were made up.
    pub concealed: u64,
    /// Packets that were no Opus.
    pub errors: u64,
}

/// What a track gives.
pub(super) enum Taken<'a> {
    /// A packet as it came.
    Packet(&'a [u8]),
    /// What it sounds like.
    Sound(Pcm),
}

/// When the sound at a timestamp was captured, and by when it has to be decoded.
pub(super) struct Times {
    /// The instant of capture.
    pub captured: EdgeTime,
    /// The latest instant to decode it.
    pub deadline: EdgeTime,
}

impl AudioTrack {
    /// A track that has heard nothing.
    pub(super) fn new(source: AudioSource) -> Result<Self, opus::Error> {
        Ok(Self {
            source,
            sender: Sender::default(),
            jitter: AudioJitter::new(CAPACITY),
            decoder: OpusTrack::new()?,
            newest: RtpTicks(0),
            missing: 0,
            retired: Totals::default(),
        })
    }

    /// Where its packets come from.
    #[must_use]
    pub(super) fn source(&self) -> &AudioSource {
        &self.source
    }

    /// Whether this is the SSRC that the track listens to.
    #[must_use]
    pub(super) fn is_from(&self, ssrc: Ssrc) -> bool {
        self.sender.is(ssrc)
    }

    /// Takes a packet of the track's payload type.
    pub(super) fn push(&mut self, packet: &RtpPacket<'_>) -> Result<Heard, opus::Error> {
        let heard = self.sender.hear(packet.header.ssrc);
        match heard {
            Heard::Retired => return Ok(heard),
            Heard::Replaced => self.restart()?,
            Heard::Same => {}
        }
        self.jitter.push(Packet {
            sequence: packet.header.sequence.0,
            timestamp: RtpTimestamp(packet.header.timestamp),
            marker: packet.header.marker,
            payload: packet.payload().to_vec(),
        });
        Ok(heard)
    }

    /// Hands what is next by `now` to `take`, packet and sound, each with the instant of its capture.
    pub(super) fn drain(
        &mut self,
        now: EdgeTime,
        times: impl Fn(RtpTimestamp) -> Option<Times>,
        mut take: impl FnMut(Taken<'_>, EdgeTime),
    ) {
        let deadline = |timestamp| times(timestamp).map(|times| times.deadline);
        while let Some(item) = self.jitter.pop(now, deadline) {
            let AudioItem::Packet(packet) = item else {
                self.missing = self.missing.saturating_add(1);
                continue;
            };
            let Some(Times { captured, .. }) = times(packet.timestamp) else {
                continue;
            };
            let ticks = packet.timestamp.unwrap_near(self.newest);
            self.newest = ticks;
            let lost = std::mem::take(&mut self.missing);
            take(Taken::Packet(&packet.payload), captured);
            self.decoder.decode(ticks.0, &packet.payload, lost, |pcm| {
                let captured = captured + Span::from_ticks(pcm.position - ticks.0, i64::from(SAMPLE_RATE));
                take(Taken::Sound(pcm), captured);
            });
        }
    }

    /// What was counted so far.
    #[must_use]
    pub(super) fn totals(&self) -> Totals {
        Totals {
            lost: self.retired.lost + self.jitter.counters().lost,
            concealed: self.retired.concealed + self.decoder.concealed(),
            errors: self.retired.errors + self.decoder.errors(),
        }
    }

    fn restart(&mut self) -> Result<(), opus::Error> {
        self.retired = self.totals();
        self.jitter = AudioJitter::new(CAPACITY);
        self.decoder = OpusTrack::new()?;
        self.missing = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
