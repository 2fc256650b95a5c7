//! The mix of a room: ticks in, tags out.

use super::interleave::Interleaver;
use super::keys::KeyFrames;
use super::sei::LayoutSei;
use super::stage::Stage;
use crate::art::Prepared;
use crate::audio::{AudioMixer, BLOCK, Pcm, SAMPLE_RATE, VoiceStats};
use crate::encode::{AudioEncoder, AudioEncoderError, CodedSound, VideoEncoder, VideoEncoderError};
use crate::vision::Mark;
use lianmai_compositor::{Frame, FrameError, Size};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::Scene;
use lianmai_mixer_control::{Canvas, SeiKind, Settings, VideoCodec, Volume};
use lianmai_rtmp::Tag;
use lianmai_rtmp::flv::{AudioMetadata, Metadata};
use lianmai_timeline::{EdgeTime, Span, Tick, Ticker};
use std::sync::Arc;
use std::time::Duration;

/// A block of sound is mixed when all of it lies in the past.
const BLOCK_TIME: Span = Span::from_ticks(BLOCK as i64, SAMPLE_RATE as i64);

/// Bounds of what a mix can be.
const SIDES: std::ops::RangeInclusive<u32> = 64..=3840;
const RATES: std::ops::RangeInclusive<u32> = 1..=60;

/// Why the mix cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MixError {
    /// The daemon asked for a picture that cannot be made.
    #[error(
        "a canvas of {0:?}: sides must be even and from 64 to 3840, the rate from 1 to 60 frames a second"
    )]
    Canvas(Canvas),
    /// The compositor refused its canvas.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// There is no picture.
    #[error(transparent)]
    Video(#[from] VideoEncoderError),
    /// There is no sound.
    #[error(transparent)]
    Audio(#[from] AudioEncoderError),
    /// Sound cannot be measured.
    #[error("the loudness meter: {0}")]
    Loudness(#[from] ebur128::Error),
}

/// One room's output. Pictures and blocks of sound come at their ticks, whatever the hosts do.
pub(crate) struct Mix {
    fps: u32,
    frames: Ticker,
    blocks: Ticker,
    stage: Stage,
    sei: LayoutSei,
    /// What turns times of the mix into those of the world: start of the one, and what it was in the other.
    wall_clock: (EdgeTime, Duration),
    sounds: AudioMixer,
    room_delay: Span,
    video: VideoEncoder,
    audio: Option<AudioEncoder>,
    keys: KeyFrames,
    interleaver: Interleaver,
    encoded: u64,
    copying: Copying,
}

/// A copy of a picture for whoever wants one.
enum Copying {
    No,
    Next,
    Done(Frame),
}

impl Mix {
    /// A mix whose first tick is at `start`, and the tags that go before all others.
    pub(crate) fn new(settings: &Settings, start: EdgeTime) -> Result<(Self, Vec<Tag>), MixError> {
        let canvas = check(settings.canvas)?;
        let size = Size::new(canvas.width as usize, canvas.height as usize);
        let (video, audio) = (VideoEncoder::new(settings)?, AudioEncoder::new(settings)?);
        let mut headers = vec![metadata(settings, &video, audio.as_ref()).tag(0)];
        headers.extend(audio.iter().map(AudioEncoder::header));
        let mix = Self {
            fps: canvas.fps,
            frames: Ticker::frames(start, canvas.fps, 1),
            blocks: Ticker::audio_blocks(start, SAMPLE_RATE, BLOCK as u32),
            stage: Stage::new(size)?,
            sei: LayoutSei::new(sei(settings), size, Scene::default().background.0),
            wall_clock: (start, Duration::ZERO),
            sounds: AudioMixer::new(settings.loudness)?,
            room_delay: lianmai_timeline::room::MIN_DELAY,
            video,
            audio,
            keys: KeyFrames::new(canvas.fps, settings.gop_seconds),
            interleaver: Interleaver::default(),
            encoded: 0,
            copying: Copying::No,
        };
        Ok((mix, headers))
    }

    /// Says what time it is in the world at the mix's start, since 1970.
    pub(crate) fn set_wall_clock(&mut self, at_start: Duration) {
        self.wall_clock.1 = at_start;
        self.stage.set_wall_clock(self.wall_clock.0, at_start);
    }

    /// What a host is called.
    pub(crate) fn name(&mut self, host: HostId, name: String) {
        self.stage.name(host, name.clone());
        self.sei.name(host, name);
    }

    /// What the picture looks like from the next tick on.
    pub(crate) fn set_scene(&mut self, prepared: Prepared) -> Result<(), FrameError> {
        self.sei.set_background(prepared.scene.background.0);
        self.stage.set_scene(prepared)
    }

    /// A host speaks, or no longer.
    pub(crate) fn speaking(&mut self, host: HostId, speaking: bool) {
        self.stage.speaking(host, speaking);
    }

    /// A host joins, or its tracks changed.
    pub(crate) fn add(&mut self, host: HostId, video: bool) {
        self.stage.add(host, video);
        self.sounds.add(host);
    }

    /// A host leaves.
    pub(crate) fn remove(&mut self, host: HostId) {
        self.stage.remove(host);
        self.sei.forget(host);
        self.sounds.remove(host);
    }

    /// Takes a host's sound out of the mix, or brings it back.
    pub(crate) fn mute(&mut self, host: HostId, muted: bool) {
        self.sei.mute(host, muted);
        self.sounds.mute(host, muted);
    }

    /// How loud a host is to be.
    pub(crate) fn set_volume(&mut self, host: HostId, volume: Volume) {
        self.sei.set_volume(host, volume);
        self.sounds.set_volume(host, volume);
    }

    /// This is to be drawn over a host's picture for a while.
    pub(crate) fn mark(&mut self, host: HostId, marks: Vec<Mark>) {
        self.stage.mark(host, marks);
    }

    /// Decoded sound of a host.
    pub(crate) fn sound(&mut self, host: HostId, pcm: &Pcm, captured: EdgeTime) {
        self.sounds.write(host, pcm, captured);
    }

    /// A decoded picture of a host.
    pub(crate) fn picture(&mut self, host: HostId, captured: EdgeTime, frame: Arc<Frame>) {
        self.stage.show(host, captured, frame);
    }

    /// The host's audio encoder started anew.
    pub(crate) fn sound_restarted(&mut self, host: HostId) {
        self.sounds.restart(host);
    }

    /// The host's video encoder started anew.
    pub(crate) fn pictures_restarted(&mut self, host: HostId) {
        self.stage.restart(host);
    }

    /// How long after its capture everything is shown from now on.
    pub(crate) fn set_room_delay(&mut self, delay: Span) {
        self.room_delay = delay;
    }

    /// Hosts that are shown at another size since this was asked last; zero is not at all.
    pub(crate) fn take_shown(&mut self) -> Vec<(HostId, Size)> {
        self.stage.take_shown()
    }

    /// A target has to start: it needs a key frame.
    pub(crate) fn want_key_frame(&mut self) {
        self.keys.want();
    }

    /// The next picture is wanted beside the stream.
    pub(crate) fn copy_next(&mut self) {
        self.copying = Copying::Next;
    }

    /// The picture that was wanted, once.
    pub(crate) fn take_copy(&mut self) -> Option<Frame> {
        match std::mem::replace(&mut self.copying, Copying::No) {
            Copying::Done(frame) => Some(frame),
            other => {
                self.copying = other;
                None
            }
        }
    }

    /// When the next tick is due.
    #[must_use]
    pub(crate) fn next_time(&self) -> EdgeTime {
        let picture = self.frames.next_time();
        if self.audio.is_none() {
            return picture;
        }
        picture.min(self.blocks.next_time() + BLOCK_TIME)
    }

    /// Makes the picture that is due by `now`, if one is; true if it did.
    pub(crate) fn picture_tick(
        &mut self,
        now: EdgeTime,
        emit: &mut impl FnMut(Tag),
    ) -> Result<bool, MixError> {
        let Some(tick) = self.frames.poll(now) else {
            return Ok(false);
        };
        let time_ms = self.picture_ms(tick.index);
        let key = self.keys.is_due(tick.index);
        let canvas = self.stage.compose(tick.time - self.room_delay);
        if matches!(self.copying, Copying::Next) {
            self.copying = Copying::Done(Frame::copy_of(&canvas.view())?);
        }
        let taken = self.video.push(canvas, time_ms, key)?;
        if taken && self.audio.is_some() {
            self.interleaver.expect(time_ms);
        }
        if taken && key {
            self.keys.made(tick.index);
        }
        self.take_pictures(tick.time, emit)?;
        Ok(true)
    }

    /// Makes all blocks of sound that are due by `now`.
    pub(crate) fn sound_ticks(&mut self, now: EdgeTime, emit: &mut impl FnMut(Tag)) -> Result<(), MixError> {
        while let Some(tick) = self.blocks.poll(now - BLOCK_TIME) {
            self.sound_tick(tick, emit)?;
        }
        Ok(())
    }

    /// Lets go of what waits for its order.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(Tag)) {
        self.interleaver.flush(emit);
    }

    /// Pictures encoded, and ticks that came too late to be.
    #[must_use]
    pub(crate) fn counters(&self) -> (u64, u64) {
        (self.encoded, self.frames.skipped())
    }

    /// Pictures that the encoder left out.
    #[must_use]
    pub(crate) fn left_out(&self) -> u64 {
        self.video.left_out()
    }

    /// How long after its capture everything is shown.
    #[must_use]
    pub(crate) fn room_delay(&self) -> Span {
        self.room_delay
    }

    /// What is known of a host's sound.
    #[must_use]
    pub(crate) fn voice_stats(&self, host: HostId) -> VoiceStats {
        self.sounds.stats(host)
    }

    /// Hands on what is coded by now.
    fn take_pictures(&mut self, now: EdgeTime, emit: &mut impl FnMut(Tag)) -> Result<(), MixError> {
        while let Some(picture) = self.video.poll()? {
            let unix_ms = self.unix_ms(now);
            let sei = self.sei.poll(picture.key, unix_ms, || self.stage.regions());
            self.encoded += 1;
            for tag in picture.into_tags(sei.as_deref()) {
                if self.audio.is_some() {
                    self.interleaver.picture(tag, emit);
                } else {
                    emit(tag);
                }
            }
        }
        Ok(())
    }

    fn sound_tick(&mut self, tick: Tick, emit: &mut impl FnMut(Tag)) -> Result<(), MixError> {
        let Some(encoder) = &mut self.audio else {
            return Ok(());
        };
        let pcm = self.sounds.mix(tick.time - self.room_delay);
        encoder.encode(tick.index, pcm, |CodedSound { tag, next_ms }| {
            self.interleaver.sound(tag, next_ms, emit);
        })?;
        Ok(())
    }

    fn unix_ms(&self, time: EdgeTime) -> u64 {
        let (start, at_start) = self.wall_clock;
        let since = u64::try_from((time - start).0 / 1_000_000).unwrap_or_default();
        u64::try_from(at_start.as_millis()).unwrap_or_default() + since
    }

    /// Sound leaves a decoder later than it went into the encoder, by a number of samples that the encoder names. So
    /// that both still meet, pictures are stamped later by as much.
    fn picture_ms(&self, index: u64) -> u32 {
        let priming = self
            .audio
            .as_ref()
            .map_or(0, |encoder| u64::from(encoder.delay()));
        let rate = u64::from(SAMPLE_RATE);
        wrap((index * 1000 * rate + priming * 1000 * u64::from(self.fps)) / (u64::from(self.fps) * rate))
    }
}

/// RTMP time wraps at 32 bits, after 49 days.
fn wrap(millis: u64) -> u32 {
    (millis & u64::from(u32::MAX)) as u32
}

fn check(canvas: Canvas) -> Result<Canvas, MixError> {
    let Canvas { width, height, fps } = canvas;
    let even = width % 2 == 0 && height % 2 == 0;
    if !even || !SIDES.contains(&width) || !SIDES.contains(&height) || !RATES.contains(&fps) {
        return Err(MixError::Canvas(canvas));
    }
    Ok(canvas)
}

/// The layout goes into H.264 alone: AV1 has no SEI.
fn sei(settings: &Settings) -> SeiKind {
    match settings.coding.video {
        VideoCodec::H264 => settings.sei,
        VideoCodec::Av1 => SeiKind::Off,
    }
}

fn metadata(settings: &Settings, video: &VideoEncoder, audio: Option<&AudioEncoder>) -> Metadata {
    Metadata {
        title: settings.room.clone(),
        width: settings.canvas.width,
        height: settings.canvas.height,
        video_codec: video.codec(),
        frame_rate: f64::from(settings.canvas.fps),
        video_bitrate: settings.video_bitrate,
        key_frame_seconds: settings.gop_seconds,
        audio: audio.map(|encoder| AudioMetadata {
            codec: encoder.codec(),
            bitrate: settings.audio_bitrate,
            sample_rate: SAMPLE_RATE,
            channels: 2,
        }),
        encoder: concat!("lianmai ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

#[cfg(test)]
mod tests;
