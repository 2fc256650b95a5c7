//! The tracks of one host.

use super::audio::{AudioTrack, Taken, Times};
use super::reports::sender_reports;
use super::track::Heard;
use super::video::VideoTrack;
use super::{Rejected, Sink};
use lianmai_fanout::RtpPacket;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{AudioSource, VideoSource};
use lianmai_timeline::room::DECODE_MARGIN;
use lianmai_timeline::{EdgeTime, Kind, RtpTimestamp, Span, Timeline};

/// A picture that misses something when it is due is waited for a little: a new start costs at least a round trip, and a key frame.
const PATIENCE: Span = Span::from_millis(100);

/// The same where lost packets come again: as long as one more request may take.
const REPAIR_PATIENCE: Span = Span::from_millis(1000);

/// One host's tracks. Either may be missing.
#[derive(Default)]
pub(super) struct Host {
    audio: Option<AudioTrack>,
    video: Option<VideoTrack>,
}

/// How a packet came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    /// When.
    pub arrival: EdgeTime,
    /// It had been lost, and was asked for.
    pub is_repair: bool,
}

/// What the ingest counts of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostCounters {
    /// RTP packets that never came.
    pub packets_lost: u64,
    /// Stereo frames of sound that were made up.
    pub concealed_frames: u64,
    /// Pictures that could not be put together.
    pub pictures_incomplete: u64,
    /// Network delay above the fastest seen.
    pub jitter: Span,
}

impl Host {
    /// Replaces the tracks that changed, and says which did.
    pub(super) fn set_tracks(&mut self, audio: Option<AudioSource>, video: Option<VideoSource>) -> Vec<Kind> {
        let mut changed = Vec::new();
        if self.audio.as_ref().map(AudioTrack::source) != audio.as_ref() {
            self.audio = audio.and_then(|source| {
                let failed = |error| tracing::error!(%error, "a host without sound: no Opus decoder");
                AudioTrack::new(source).map_err(failed).ok()
            });
            changed.push(Kind::Audio);
        }
        if self.video.as_ref().map(VideoTrack::source) != video.as_ref() {
            self.video = video.map(VideoTrack::new);
            changed.push(Kind::Video);
        }
        changed
    }

    pub(super) fn rtp(
        &mut self,
        id: HostId,
        came: Came,
        body: &[u8],
        timeline: &mut Timeline<HostId>,
        sink: &mut impl Sink,
    ) -> Result<(), Rejected> {
        let packet = RtpPacket::parse(body)?;
        let payload_type = packet.header.payload_type.0;
        let (kind, heard) = match (&mut self.audio, &mut self.video) {
            (Some(audio), _) if audio.source().payload_type == payload_type => {
                (Kind::Audio, audio.push(&packet)?)
            }
            (_, Some(video)) if video.source().payload_type == payload_type => {
                (Kind::Video, video.push(&packet))
            }
            _ => return Err(Rejected::PayloadType(payload_type)),
        };
        match heard {
            Heard::Same => {}
            Heard::Retired => return Ok(()),
            Heard::Replaced => {
                timeline.reset_track(id, kind);
                sink.restarted(id, kind);
            }
        }
        let timestamp = RtpTimestamp(packet.header.timestamp);
        match came.is_repair {
            true => timeline.on_repair(id, kind, timestamp, came.arrival),
            false => timeline.on_packet(id, kind, timestamp, came.arrival),
        }
        Ok(())
    }

    pub(super) fn rtcp(
        &mut self,
        id: HostId,
        arrival: EdgeTime,
        body: &[u8],
        timeline: &mut Timeline<HostId>,
    ) {
        for (ssrc, report) in sender_reports(body) {
            let is_audio = self.audio.as_ref().is_some_and(|track| track.is_from(ssrc));
            let is_video = self.video.as_ref().is_some_and(|track| track.is_from(ssrc));
            match (is_audio, is_video) {
                (true, _) => timeline.on_sender_report(id, Kind::Audio, report, arrival),
                (_, true) => timeline.on_sender_report(id, Kind::Video, report, arrival),
                (false, false) => {}
            }
        }
    }

    /// Hands over what is due. `delay` is the host's, `room` the room's: a host that is too far away is shown later
    /// by the difference, as if all of it had been captured later.
    pub(super) fn drain(
        &mut self,
        id: HostId,
        now: EdgeTime,
        timeline: &Timeline<HostId>,
        room: Span,
        delay: Span,
        sink: &mut impl Sink,
    ) {
        let times = |kind, timestamp| {
            let captured = timeline.presentation_time(id, kind, timestamp)?;
            Some(Times {
                captured: captured + (delay - room),
                deadline: captured + delay - DECODE_MARGIN,
            })
        };
        if let Some(audio) = &mut self.audio {
            audio.drain(
                now,
                |timestamp| times(Kind::Audio, timestamp),
                |taken, captured| match taken {
                    Taken::Packet(packet) => sink.packet(id, packet, captured),
                    Taken::Sound(pcm) => sink.sound(id, pcm, captured),
                },
            );
        }
        if let Some(video) = &mut self.video {
            let patience = match timeline.is_mended(id) {
                true => REPAIR_PATIENCE,
                false => PATIENCE,
            };
            video.drain(
                now,
                patience,
                |timestamp| times(Kind::Video, timestamp),
                |task| sink.picture(id, task),
            );
        }
    }

    pub(super) fn counters(&self) -> HostCounters {
        let audio = self.audio.as_ref().map(AudioTrack::totals).unwrap_or_default();
        let video = self.video.as_ref();
        HostCounters {
            packets_lost: audio.lost + video.map_or(0, VideoTrack::lost),
            concealed_frames: audio.concealed,
            pictures_incomplete: video.map_or(0, VideoTrack::incomplete),
            jitter: Span::ZERO,
        }
    }
}
