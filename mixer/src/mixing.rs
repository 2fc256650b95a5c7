//! The mixing thread: takes what was decoded, ticks, and hands out tags.

use crate::art::Prepared;
use crate::audio::Pcm;
use crate::clock;
use crate::daemon::Daemon;
use crate::ingest::{HostCounters, Sink};
use crate::offstage::Offstage;
use crate::output::Targets;
use crate::record::{HostTap, MixTap, Recorder};
use crate::room::{Mix, MixError};
use crate::snapshot::Seen;
use crate::stats::Stats;
use crate::video::{DecodedPicture, Task, VideoTask};
use crate::vision::{Mark, VisionCounters};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{
    ForwardStats, FromMixer, MixStats, Settings, TargetId, TargetOptions, TargetUrl, Volume,
};
use lianmai_rtmp::Tag;
use lianmai_timeline::{EdgeTime, Kind, Span};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long targets may take to send what is queued when the mixer ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// What the daemon wants of the mix.
#[derive(Debug)]
pub(crate) enum Command {
    /// What a host is called.
    Name(HostId, String),
    /// A host joins; whether it has video.
    Add(HostId, bool),
    /// A host leaves.
    Remove(HostId),
    /// A host is muted or unmuted.
    Mute(HostId, bool),
    /// A host speaks, or no longer.
    Speaking(HostId, bool),
    /// The picture is to look like this.
    Scene(Box<Prepared>),
    /// Publish there too.
    AddTarget(TargetId, TargetUrl, TargetOptions),
    /// Publish there no longer.
    RemoveTarget(TargetId),
    /// A host is to be so loud.
    Volume(HostId, Volume),
    /// The next picture is wanted for a snapshot.
    CopyPicture,
    /// This is to be drawn over a host's picture.
    Marks(HostId, Vec<Mark>),
}

/// What the mix is fed with.
#[derive(Debug)]
pub(crate) enum Fed {
    /// Decoded sound, captured at.
    Sound(HostId, Pcm, EdgeTime),
    /// A host's encoder started anew, or another one took its place.
    Restarted(HostId, Kind),
    /// A picture was worked on.
    Picture(DecodedPicture),
    /// How long after its capture everything is shown.
    RoomDelay(Span),
    /// What the ingest counted: messages rejected, and of each host.
    Counters(u64, Vec<(HostId, HostCounters)>),
    /// What was counted of each forward.
    Forwards(Vec<ForwardStats>),
}

/// The end of the queue to the mixing thread. The mix ends when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Feed {
    queue: Sender<Fed>,
    dropped: Arc<AtomicU64>,
}

impl Feed {
    /// Over this queue.
    #[must_use]
    pub(crate) fn new(queue: Sender<Fed>) -> Self {
        Self {
            queue,
            dropped: Arc::default(),
        }
    }

    /// Hands something over; false if there was no room for it.
    pub(crate) fn send(&self, fed: Fed) -> bool {
        let Err(TrySendError::Full(_)) = self.queue.try_send(fed) else {
            return true;
        };
        if self.dropped.fetch_add(1, Ordering::Relaxed).is_power_of_two() {
            tracing::warn!("the mix does not keep up: sound or pictures are dropped");
        }
        false
    }
}

/// Where the ingest puts what it made: sound to the mix, coded pictures to their decoders.
pub(crate) struct Feeds {
    /// To the mixing thread.
    pub mix: Feed,
    /// To the decoding thread.
    pub coded: Sender<VideoTask>,
    /// To the recordings.
    pub recorded: HostTap,
    /// Whose pictures nobody sees.
    pub offstage: Offstage,
}

impl Feeds {
    /// A host left: its decoder is not needed any more.
    pub(crate) fn remove(&mut self, host: HostId) {
        self.recorded.gone(host);
        // A decoder that stays because the queue is full costs memory, and goes with the process.
        self.coded.try_send(VideoTask::Remove(host)).ok();
    }
}

impl Sink for Feeds {
    fn sound(&mut self, host: HostId, pcm: Pcm, captured: EdgeTime) {
        self.mix.send(Fed::Sound(host, pcm, captured));
    }

    fn packet(&mut self, host: HostId, packet: &[u8], captured: EdgeTime) {
        self.recorded.sound(host, packet, captured);
    }

    fn picture(&mut self, host: HostId, task: Task) -> bool {
        self.recorded.picture(host, &task);
        // As if there were no room for it: when the host is shown again, it begins with a key frame. Key frames are decoded
        // all the same, for snapshots.
        let is_wanted = task.key || !self.offstage.has(host);
        is_wanted && self.coded.try_send(VideoTask::Decode(host, task)).is_ok()
    }

    fn restarted(&mut self, host: HostId, kind: Kind) {
        if kind == Kind::Video {
            self.recorded.restarted(host);
            // Without this the decoder goes on to its next key frame all the same.
            self.coded.try_send(VideoTask::Restart(host)).ok();
        }
        self.mix.send(Fed::Restarted(host, kind));
    }
}

/// Why the mixing thread ended early.
#[derive(Debug, thiserror::Error)]
pub enum MixingError {
    /// The mix cannot go on.
    #[error("the mix cannot go on: {0}")]
    Mix(#[from] MixError),
}

/// Everything that the mixing thread owns.
pub(crate) struct Mixing {
    mix: Mix,
    outlets: Outlets,
    recorder: Recorder,
    stats: Stats,
    daemon: Daemon,
    offstage: Offstage,
    commands: Receiver<Command>,
    fed: Receiver<Fed>,
    show: Sender<Seen>,
    vision: Option<Arc<VisionCounters>>,
}

struct Outlets {
    targets: Targets,
    recorded: MixTap,
    start: EdgeTime,
}

impl Mixing {
    /// A mix that starts now.
    pub(crate) fn new(
        settings: &Settings,
        daemon: Daemon,
        (recorder, recorded): (Recorder, MixTap),
        offstage: Offstage,
        commands: Receiver<Command>,
        fed: Receiver<Fed>,
        show: Sender<Seen>,
    ) -> Result<Self, MixingError> {
        let start = clock::now();
        let (mut mix, headers) = Mix::new(settings, start)?;
        mix.set_wall_clock(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let mut outlets = Outlets {
            targets: Targets::new(daemon.clone(), settings.rtmps_ca.clone(), settings.coding),
            recorded,
            start,
        };
        headers.into_iter().for_each(|tag| outlets.push(&tag));
        Ok(Self {
            mix,
            outlets,
            recorder,
            stats: Stats::new(start),
            daemon,
            offstage,
            commands,
            fed,
            show,
            vision: None,
        })
    }

    /// Reports of what is counted there too.
    pub(crate) fn with_vision(self, vision: Option<Arc<VisionCounters>>) -> Self {
        Self { vision, ..self }
    }

    /// Mixes until the feed is closed, then says goodbye to the targets.
    pub(crate) fn run(mut self) -> Result<(), MixingError> {
        while self.take_until(self.mix.next_time()) {
            self.tick()?;
            self.tell_shown();
            self.report();
        }
        self.mix.finish(&mut |tag| self.outlets.push(&tag));
        let Outlets {
            targets, recorded, ..
        } = self.outlets;
        drop(recorded);
        targets.stop(GOODBYE);
        self.recorder.stop(GOODBYE);
        Ok(())
    }

    /// Takes commands and what was decoded until `due`; false when there is nothing to come.
    fn take_until(&mut self, due: EdgeTime) -> bool {
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            let left = Duration::from_nanos(u64::try_from((due - clock::now()).0).unwrap_or(0));
            match self.fed.recv_timeout(left) {
                Ok(fed) => self.take(fed),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            if clock::now() >= due {
                return true;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Name(host, name) => self.mix.name(host, name),
            Command::Add(host, shown) => {
                self.mix.add(host, shown);
                self.stats.add(host);
            }
            Command::Remove(host) => {
                self.mix.remove(host);
                self.offstage.set(host, false);
                self.stats.remove(host);
            }
            Command::Mute(host, muted) => self.mix.mute(host, muted),
            Command::Speaking(host, speaking) => self.mix.speaking(host, speaking),
            Command::Scene(prepared) => {
                if let Err(error) = self.mix.set_scene(*prepared) {
                    tracing::error!(%error, "the scene stays as it was");
                }
            }
            Command::AddTarget(id, url, options) => {
                self.outlets.targets.add(id, &url, options);
                self.mix.want_key_frame();
            }
            Command::RemoveTarget(id) => self.outlets.targets.remove(id),
            Command::Volume(host, volume) => self.mix.set_volume(host, volume),
            Command::CopyPicture => self.mix.copy_next(),
            Command::Marks(host, marks) => self.mix.mark(host, marks),
        }
    }

    fn take(&mut self, fed: Fed) {
        match fed {
            Fed::Sound(host, pcm, captured) => self.mix.sound(host, &pcm, captured),
            Fed::Restarted(host, Kind::Audio) => self.mix.sound_restarted(host),
            Fed::Restarted(host, Kind::Video) => self.mix.pictures_restarted(host),
            Fed::RoomDelay(delay) => self.mix.set_room_delay(delay),
            Fed::Counters(rejected, hosts) => self.stats.ingest(rejected, hosts),
            Fed::Forwards(forwards) => self.stats.forwards(forwards),
            Fed::Picture(DecodedPicture {
                host,
                captured,
                frame,
                counters,
                ..
            }) => {
                self.stats
                    .decoder(host, counters.decoded, counters.errors, counters.size);
                if let Some(frame) = frame {
                    self.mix.picture(host, captured, frame);
                }
            }
        }
    }

    fn tick(&mut self) -> Result<(), MixingError> {
        let begun = clock::now();
        if self.outlets.targets.take_key_frame_wanted() | self.outlets.recorded.take_key_frame_wanted() {
            self.mix.want_key_frame();
        }
        let mut emit = |tag: Tag| self.outlets.push(&tag);
        self.mix.sound_ticks(begun, &mut emit)?;
        let begun = clock::now();
        if self.mix.picture_tick(begun, &mut emit)? {
            self.stats.tick(clock::now() - begun);
        }
        if let Some(copy) = self.mix.take_copy() {
            // Whoever waits for it asks again.
            self.show.try_send(Seen::mixed(copy)).ok();
        }
        Ok(())
    }

    fn tell_shown(&mut self) {
        for (host, size) in self.mix.take_shown() {
            self.offstage.set(host, size.is_empty());
            let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
            self.daemon.say(FromMixer::Shown {
                host,
                width: side(size.width),
                height: side(size.height),
            });
        }
    }

    fn report(&mut self) {
        let mix = || {
            let (frames_encoded, frames_skipped) = self.mix.counters();
            let room_delay_ms = self.mix.room_delay().as_millis_f64();
            MixStats {
                frames_encoded,
                frames_skipped,
                room_delay_ms,
                targets: self.outlets.targets.stats(),
                recordings: self.recorder.board().stats(),
                vision: self.vision.as_deref().map(VisionCounters::report),
                frames_left_out: self.mix.left_out(),
                ..MixStats::default()
            }
        };
        if let Some(report) = self
            .stats
            .report(clock::now(), mix, |host| self.mix.voice_stats(host))
        {
            self.daemon.say(FromMixer::Stats(report));
        }
    }
}

impl Outlets {
    fn push(&mut self, tag: &Tag) {
        self.targets.push(tag);
        self.recorded.push(tag, self.start);
    }
}
