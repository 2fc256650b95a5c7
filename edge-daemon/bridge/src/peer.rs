//! The WebRTC side: one PeerConnection that offers a stream of Opus and H.264. Without I/O.

use crate::pictures::Picture;
use crate::sound::Sound;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcError};

/// Sender reports tell the others how sound and pictures belong together: soon, and often enough.
const REPORTS: Duration = Duration::from_secs(1);

/// Loud enough to count as speech where nobody detects it.
const VOICE: i8 = -50;

pub(crate) struct Peer {
    rtc: Rtc,
    local: SocketAddr,
    audio: Track,
    video: Track,
    pending: Option<SdpPendingOffer>,
    pub(crate) connected: bool,
    pub(crate) key_frames_asked: u64,
}

struct Track {
    mid: Mid,
    /// As it was settled.
    pt: Option<Pt>,
}

/// What the peer wants done next.
pub(crate) enum Wish {
    /// This datagram is due.
    Send(Vec<u8>),
    /// Nothing until then.
    Wait(Instant),
}

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// Of the protocols.
    #[error("WebRTC: {0}")]
    Rtc(#[from] RtcError),
    /// The answer is no answer to our offer.
    #[error("the answer cannot be used: {0}")]
    Answer(String),
    /// It takes a codec out that we have.
    #[error("the answer refuses {0}")]
    Refused(Codec),
    /// The edge closed it, or went silent.
    #[error("the edge closed the connection")]
    Closed,
}

impl Peer {
    /// A peer at `local`, and its offer.
    pub(crate) fn offer(local: SocketAddr, now: Instant) -> Result<(Self, String), PeerError> {
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_h264(true)
            .set_rtcp_report_interval_audio(REPORTS)
            .set_rtcp_report_interval_video(REPORTS)
            .build(now);
        let candidate =
            Candidate::host(local, "udp").map_err(|error| PeerError::Answer(error.to_string()))?;
        rtc.add_local_candidate(candidate);
        let mut change = rtc.sdp_api();
        let mut track = |kind| Track {
            mid: change.add_media(kind, Direction::SendOnly, Some("cohost".to_owned()), None, None),
            pt: None,
        };
        let (audio, video) = (track(MediaKind::Audio), track(MediaKind::Video));
        let (offer, pending) = change
            .apply()
            .ok_or_else(|| PeerError::Answer("nothing was offered".to_owned()))?;
        let peer = Self {
            rtc,
            local,
            audio,
            video,
            pending: Some(pending),
            connected: false,
            key_frames_asked: 0,
        };
        Ok((peer, offer.to_sdp_string()))
    }

    /// Takes the answer of an edge that listens at `remote`, whatever addresses it tells others.
    pub(crate) fn accept(&mut self, answer: &str, remote: SocketAddr) -> Result<(), PeerError> {
        let unusable = |error: &dyn std::fmt::Display| PeerError::Answer(error.to_string());
        let lines = answer.lines().filter(|line| !line.starts_with("a=candidate:"));
        let answer: String = lines.map(|line| format!("{line}\r\n")).collect();
        let answer = SdpAnswer::from_sdp_string(&answer).map_err(|error| unusable(&error))?;
        if let Some(pending) = self.pending.take() {
            self.rtc.sdp_api().accept_answer(pending, answer)?;
        }
        let candidate = Candidate::host(remote, "udp").map_err(|error| unusable(&error))?;
        self.rtc.add_remote_candidate(candidate);
        self.audio.settle(&mut self.rtc, Codec::Opus)?;
        self.video.settle(&mut self.rtc, Codec::H264)
    }

    /// A datagram from `remote`. What is none of ours is dropped.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), PeerError> {
        let Ok(contents) = bytes.try_into() else {
            return Ok(());
        };
        let receive = Receive {
            proto: Protocol::Udp,
            source: remote,
            destination: self.local,
            contents,
        };
        Ok(self.rtc.handle_input(Input::Receive(now, receive))?)
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), PeerError> {
        Ok(self.rtc.handle_input(Input::Timeout(now))?)
    }

    /// What is to be done. It has to be asked until it wants to wait, after everything else in here.
    pub(crate) fn poll(&mut self) -> Result<Wish, PeerError> {
        loop {
            if !self.rtc.is_alive() {
                return Err(PeerError::Closed);
            }
            match self.rtc.poll_output()? {
                Output::Transmit(datagram) => return Ok(Wish::Send(datagram.contents.into())),
                Output::Timeout(at) => return Ok(Wish::Wait(at)),
                Output::Event(event) => self.hear(&event)?,
            }
        }
    }

    fn hear(&mut self, event: &Event) -> Result<(), PeerError> {
        match event {
            Event::Connected => self.connected = true,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                return Err(PeerError::Closed);
            }
            Event::KeyframeRequest(_) => self.key_frames_asked += 1,
            _ => {}
        }
        Ok(())
    }

    /// Sends a picture that was made at `made`.
    pub(crate) fn show(&mut self, made: Instant, picture: Picture) -> Result<(), PeerError> {
        let at = u64::try_from(picture.at_ms)
            .unwrap_or_default()
            .saturating_mul(90);
        let time = MediaTime::new(at, Frequency::NINETY_KHZ);
        if let Some((writer, pt)) = self.video.writer(&mut self.rtc) {
            writer.write(pt, made, time, picture.annexb)?;
        }
        Ok(())
    }

    /// Sends a packet of sound that was made at `made`.
    pub(crate) fn play(&mut self, made: Instant, sound: Sound) -> Result<(), PeerError> {
        let position = u64::try_from(sound.position).unwrap_or_default();
        let time = MediaTime::new(position, Frequency::FORTY_EIGHT_KHZ);
        if let Some((writer, pt)) = self.audio.writer(&mut self.rtc) {
            writer
                .audio_level(sound.level, sound.level > VOICE)
                .write(pt, made, time, sound.opus)?;
        }
        Ok(())
    }
}

impl Track {
    fn settle(&mut self, rtc: &mut Rtc, codec: Codec) -> Result<(), PeerError> {
        let writer = rtc.writer(self.mid);
        self.pt = writer.and_then(|writer| {
            let mut params = writer.payload_params();
            params
                .find(|params| params.spec().codec == codec)
                .map(PayloadParams::pt)
        });
        self.pt.map(drop).ok_or(PeerError::Refused(codec))
    }

    fn writer<'a>(&self, rtc: &'a mut Rtc) -> Option<(str0m::media::Writer<'a>, Pt)> {
        Some((rtc.writer(self.mid)?, self.pt?))
    }
}
