//! The video track of one host: packets in, coded pictures out, each when it is time to decode it.

use super::audio::Times;
use super::picture::{CodedPicture, NoPicture};
use super::track::{Heard, Sender};
use super::{h264, vp8};
use crate::video::Task;
use lianmai_compositor::Rotation;
use lianmai_fanout::{RtpPacket, Ssrc, keyframe};
use lianmai_mixer_control::{Codec, VideoSource};
use lianmai_timeline::jitter::{AccessUnit, Packet, VideoJitter};
use lianmai_timeline::{EdgeTime, RtpTimestamp, Span};
use std::collections::VecDeque;

/// Packets that wait for one that is missing, or for the rest of their picture: 2 MB.
const CAPACITY: usize = 2048;

/// Pictures that wait for their time: more than the longest room delay at 60 a second.
const MAX_WAITING: usize = 128;

/// So long before it has to be decoded a picture may be: decoded pictures are large.
const AHEAD: Span = Span::from_millis(60);

/// One host's video.
pub(super) struct VideoTrack {
    source: VideoSource,
    sender: Sender,
    jitter: VideoJitter<Payload>,
    rotation: Rotation,
    waiting: VecDeque<Waiting>,
    /// The newest key frame that begins to arrive.
    newest_key: Option<RtpTimestamp>,
    /// Nothing came before the next picture, or something was lost.
    after_loss: bool,
    retired_lost: u64,
    incomplete: u64,
}

struct Payload {
    bytes: Vec<u8>,
    rotation: Option<Rotation>,
}

struct Waiting {
    timestamp: RtpTimestamp,
    task: Task,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl VideoTrack {
    /// A track that has seen nothing.
    #[must_use]
    pub(super) fn new(source: VideoSource) -> Self {
        Self {
            source,
            sender: Sender::default(),
            jitter: VideoJitter::new(CAPACITY),
            rotation: Rotation::default(),
            waiting: VecDeque::new(),
            newest_key: None,
            after_loss: true,
            retired_lost: 0,
            incomplete: 0,
        }
    }

    /// How its packets come.
    #[must_use]
    pub(super) fn source(&self) -> &VideoSource {
        &self.source
    }

    /// Whether this is the SSRC that the track listens to.
    #[must_use]
    pub(super) fn is_from(&self, ssrc: Ssrc) -> bool {
        self.sender.is(ssrc)
    }

    /// Takes a packet of the track's payload type.
    pub(super) fn push(&mut self, packet: &RtpPacket<'_>) -> Heard {
        let heard = self.sender.hear(packet.header.ssrc);
        match heard {
            Heard::Retired => return heard,
            Heard::Replaced => self.restart(),
            Heard::Same => {}
        }
        let is_key = match self.source.codec {
            Codec::H264 => keyframe::h264(packet.payload()),
            Codec::Vp8 => keyframe::vp8(packet.payload()),
        };
        if is_key {
            self.newest_key = Some(RtpTimestamp(packet.header.timestamp));
        }
        let extension = self
            .source
            .orientation_extension
            .and_then(|id| packet.extension(id));
        self.jitter.push(Packet {
            sequence: packet.header.sequence.0,
            timestamp: RtpTimestamp(packet.header.timestamp),
            marker: packet.header.marker,
            payload: Payload {
                bytes: packet.payload().to_vec(),
                rotation: extension
                    .and_then(<[u8]>::first)
                    .map(|byte| Rotation::from_extension(*byte)),
            },
        });
        heard
    }

    /// Hands to `take` what has to be decoded by `now`, or soon. `take` says whether it had room for it. A picture of which
    /// something is missing when it is due is waited for with `patience`, at most until a key frame is due, which needs none before
    /// it; what comes too late to be shown is decoded all the same, because later ones refer to it.
    pub(super) fn drain(
        &mut self,
        now: EdgeTime,
        patience: Span,
        times: impl Fn(RtpTimestamp) -> Option<Times>,
        mut take: impl FnMut(Task) -> bool,
    ) {
        let deadline = |timestamp| times(timestamp).map(|times| times.deadline);
        let key_due = self.newest_key.and_then(deadline);
        let given_up = |timestamp| {
            let due = deadline(timestamp)?;
            let patient = due + patience;
            Some(match key_due {
                Some(key_due) if key_due >= due => key_due.min(patient),
                Some(_) | None => patient,
            })
        };
        while let Some(unit) = self.jitter.pop(now, given_up) {
            self.enqueue(&unit);
        }
        while let Some(waiting) = self.waiting.front() {
            let Some(Times { captured, deadline }) = times(waiting.timestamp) else {
                break;
            };
            if now < deadline - AHEAD && self.waiting.len() < MAX_WAITING {
                break;
            }
            let Some(Waiting { task, .. }) = self.waiting.pop_front() else {
                break;
            };
            self.hand_out(Task { captured, ..task }, &mut take);
        }
    }

    /// Packets that never came, over all senders of the track.
    #[must_use]
    pub(super) fn lost(&self) -> u64 {
        self.retired_lost + self.jitter.counters().lost
    }

    /// Pictures that were dropped because packets of them were missing or malformed.
    #[must_use]
    pub(super) fn incomplete(&self) -> u64 {
        self.incomplete
    }

    fn enqueue(&mut self, unit: &AccessUnit<Payload>) {
        self.after_loss |= unit.lost > 0;
        if let Some(rotation) = unit
            .packets
            .iter()
            .rev()
            .find_map(|packet| packet.payload.rotation)
        {
            self.rotation = rotation;
        }
        if unit.packets.iter().all(|packet| packet.payload.bytes.is_empty()) {
            return;
        }
        let picture = match self.assemble(unit) {
            Ok(picture) => picture,
            Err(error) => {
                tracing::debug!(%error, "a picture is dropped");
                self.incomplete += 1;
                self.after_loss = true;
                return;
            }
        };
        let CodedPicture { data, key } = picture;
        let after_loss = std::mem::take(&mut self.after_loss);
        let task = Task {
            codec: self.source.codec,
            data,
            key,
            after_loss,
            rotation: self.rotation,
            captured: EdgeTime::default(),
        };
        self.waiting.push_back(Waiting {
            timestamp: unit.timestamp,
            task,
        });
    }

    fn assemble(&self, unit: &AccessUnit<Payload>) -> Result<CodedPicture, NoPicture> {
        match self.source.codec {
            Codec::H264 => h264::assemble(unit),
            Codec::Vp8 => vp8::assemble(unit),
        }
    }

    fn hand_out(&mut self, task: Task, take: &mut impl FnMut(Task) -> bool) {
        if take(task) {
            return;
        }
        // What follows refers to the picture that found no room.
        match self.waiting.front_mut() {
            Some(next) => next.task.after_loss = true,
            None => self.after_loss = true,
        }
    }

    fn restart(&mut self) {
        self.retired_lost = self.lost();
        self.jitter = VideoJitter::new(CAPACITY);
        self.waiting.clear();
        self.newest_key = None;
        self.after_loss = true;
    }
}
