//! The threads of a mixer and the queues between them.
//!
//! ```text
//!  sockets ─► this thread: ingest, Opus ─┬─ coded pictures ─► decoding thread ─ pictures ─┐
//!                                        └─ sound, control ───────────────────────────────┴─► mixing thread ─► targets
//!             this thread: which pictures become snapshots ─► snapshot thread
//! ```
//!
//! All queues are bounded. Who finds one full drops and counts; nobody waits.

use crate::art::{Loader, Sources};
use crate::clock;
use crate::daemon::Daemon;
use crate::forward::Forwards;
use crate::ingest::Ingest;
use crate::link::{Link, LinkError, Received};
use crate::mixing::{Command, Fed, Feed, Feeds, Mixing, MixingError};
use crate::offstage::Offstage;
use crate::record::Recorder;
use crate::snapshot::{Seen, Snapshots};
use crate::video::{Decoded, FilterBoard, VideoTask, Worker};
use crate::vision::{self, Eye};
use crossbeam_channel::{Sender, bounded};
use lianmai_mixer_control::{Codec, FromMixer, Settings, ToMixer, VERSION, VISION_SOCKET};
use lianmai_timeline::{EdgeTime, Span};
use std::path::Path;
use std::thread::{self, JoinHandle};

/// Coded pictures that wait for their decoder: a second of four hosts.
const CODED: usize = 128;

/// Sounds and pictures that wait for the mix: more than a second of nine hosts.
const FEED: usize = 1024;

/// Control messages that wait for the mix.
const COMMANDS: usize = 256;

/// Datagrams that are taken before time is looked at again.
const BATCH: usize = 64;

/// Lateness is looked at this often even if nothing comes, in milliseconds.
const STEP_MS: u16 = 5;

const COUNTERS_EVERY: Span = Span::from_millis(250);

/// How long the daemon may take to say what the mix is.
const CONFIGURE_WITHIN: Span = Span::from_secs(10);

/// Why a mixer ended that was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The daemon cannot be reached or understood.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The daemon did not begin with `configure`.
    #[error("the daemon's first message has to be `configure`, it is {0:?}")]
    NotConfigured(Box<ToMixer>),
    /// The daemon said nothing.
    #[error("the daemon has not configured the mix within 10 s")]
    Silent,
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// The mix failed.
    #[error(transparent)]
    Mixing(#[from] MixingError),
    /// A bug.
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

/// Mixes until the daemon or a signal ends it.
pub fn run(socket_directory: &Path) -> Result<(), EngineError> {
    let mut link = Link::connect(socket_directory)?;
    let daemon = Daemon::spawn(link.writer()?)?;
    daemon.say(FromMixer::Hello {
        version: VERSION,
        pid: std::process::id(),
    });
    let Some(settings) = configured(&mut link)? else {
        return Ok(());
    };
    Engine::start(link, socket_directory, &settings, &daemon)?.run()
}

/// Waits for the first message; `None` if the mixer is to end before it came.
fn configured(link: &mut Link) -> Result<Option<Settings>, EngineError> {
    let deadline = clock::now() + CONFIGURE_WITHIN;
    while clock::now() < deadline {
        if link.is_asked_to_end() {
            return Ok(None);
        }
        match link.control()? {
            Received::Some(ToMixer::Configure(settings)) => return Ok(Some(settings)),
            Received::Some(ToMixer::Shutdown) | Received::End => return Ok(None),
            Received::Some(other) => return Err(EngineError::NotConfigured(Box::new(other))),
            Received::Nothing => link.wait(100)?,
        }
    }
    Err(EngineError::Silent)
}

struct Engine {
    link: Link,
    ingest: Ingest,
    feeds: Feeds,
    commands: Sender<Command>,
    scenes: Loader,
    snapshots: Snapshots,
    forwards: Forwards,
    daemon: Daemon,
    decoding: JoinHandle<()>,
    mixing: JoinHandle<Result<(), MixingError>>,
    room_delay: Span,
    counters_due: EdgeTime,
    filters: FilterBoard,
    eye: Option<Eye>,
}

impl Engine {
    fn start(
        link: Link,
        directory: &Path,
        settings: &Settings,
        daemon: &Daemon,
    ) -> Result<Self, EngineError> {
        let (feed, fed) = bounded(FEED);
        let (commands, commanded) = bounded(COMMANDS);
        let (coded, tasks) = bounded::<VideoTask>(CODED);
        let (recorder, recorded, recorded_mix) = Recorder::start(settings, daemon)?;
        let feeds = Feeds {
            mix: Feed::new(feed),
            coded,
            recorded,
            offstage: Offstage::default(),
        };
        let offstage = feeds.offstage.clone();
        let eye = eye(settings, directory, commands.clone());
        let counters = eye.as_ref().map(|eye| eye.counters().clone());
        let recording = (recorder, recorded_mix);
        let (snapshots, show) = Snapshots::spawn(directory, daemon.clone())?;
        let mixing = Mixing::new(
            settings,
            daemon.clone(),
            recording,
            offstage,
            commanded,
            fed,
            show.clone(),
        )?
        .with_vision(counters);
        let (decoded, asking) = (feeds.mix.clone(), daemon.clone());
        let say = move |said| match said {
            Decoded::Picture(picture) => {
                let seen = Seen::decoded(&picture);
                seen.and_then(|seen| show.try_send(seen).err());
                decoded.send(Fed::Picture(picture));
            }
            Decoded::KeyFrameNeeded(host) => asking.say(FromMixer::KeyFrameNeeded { host }),
        };
        let filters = FilterBoard::default();
        let (chains, watching) = (filters.clone(), eye.clone());
        // Made there: libvpx's decoders stay on the thread that makes them.
        let decoding = spawn("decoding", move || Worker::new(chains, watching).run(&tasks, say))?;
        let scenes = scenes(settings, commands.clone())?;
        let mixing = spawn("mixing", move || mixing.run())?;
        let (ingest, room_delay) = (Ingest::default(), Span::ZERO);
        Ok(Self {
            link,
            ingest,
            feeds,
            commands,
            scenes,
            snapshots,
            forwards: Forwards::default(),
            daemon: daemon.clone(),
            decoding,
            mixing,
            room_delay,
            counters_due: clock::now(),
            filters,
            eye,
        })
    }

    fn run(mut self) -> Result<(), EngineError> {
        let ended = self.ingest();
        let Self {
            feeds,
            commands,
            decoding,
            mixing,
            ..
        } = self;
        drop((feeds, commands));
        decoding.join().map_err(|_| EngineError::Panicked("decoding"))?;
        mixing.join().map_err(|_| EngineError::Panicked("mixing"))??;
        ended
    }

    fn ingest(&mut self) -> Result<(), EngineError> {
        loop {
            self.link.wait(STEP_MS)?;
            if self.link.is_asked_to_end() {
                tracing::info!("asked to end by a signal");
                return Ok(());
            }
            if self.mixing.is_finished() || self.decoding.is_finished() {
                return Ok(());
            }
            if !self.take_control()? || !self.take_media()? {
                return Ok(());
            }
            self.tell_the_mix();
            self.look_after_others();
        }
    }

    /// Snapshots and forwards.
    fn look_after_others(&mut self) {
        let now = clock::now();
        let commands = &self.commands;
        self.snapshots.handle_timeout(now, || {
            // If there is no room for it, the snapshot is asked for again or given up.
            commands.try_send(Command::CopyPicture).ok();
        });
        for host in self.forwards.handle_timeout(now) {
            self.daemon.say(FromMixer::KeyFrameNeeded { host });
        }
    }

    /// False when the mixer is to end.
    fn take_control(&mut self) -> Result<bool, EngineError> {
        loop {
            match self.link.control()? {
                Received::Nothing => return Ok(true),
                Received::Some(ToMixer::Shutdown) => return Ok(false),
                Received::End => {
                    tracing::info!("the daemon closed the control socket");
                    return Ok(false);
                }
                Received::Some(message) => self.obey(message),
            }
        }
    }

    fn obey(&mut self, message: ToMixer) {
        tracing::debug!(?message, "the daemon says");
        let command = match message {
            ToMixer::AddHost {
                host,
                name,
                audio,
                video,
            } => {
                tracing::info!(host = host.0, name, ?audio, ?video, "a host joins");
                let is_h264 = video.as_ref().is_some_and(|video| video.codec == Codec::H264);
                self.feeds.recorded.joined(host, &name, audio.is_some(), is_h264);
                if let Some(eye) = &self.eye {
                    eye.add(host, &name);
                }
                // Before `Add`, so that it is called by its name when it is first shown.
                self.forwards
                    .add_host(clock::now(), host, &name, audio.as_ref(), video.as_ref());
                self.tell(Command::Name(host, name));
                let shown = video.is_some();
                self.snapshots.add(clock::now(), host, shown);
                self.ingest.add_host(host, audio, video, &mut self.feeds);
                Command::Add(host, shown)
            }
            ToMixer::RemoveHost { host } => {
                tracing::info!(host = host.0, "a host leaves");
                self.ingest.remove_host(host);
                self.forwards.remove_host(host);
                self.snapshots.remove(host);
                self.feeds.remove(host);
                self.filters.remove(host);
                if let Some(eye) = &self.eye {
                    eye.remove(host);
                }
                Command::Remove(host)
            }
            ToMixer::Mute { host, audio } => Command::Mute(host, audio),
            ToMixer::Speaking { host, speaking } => Command::Speaking(host, speaking),
            ToMixer::Scene(scene) => return self.scenes.load(scene),
            ToMixer::AddTarget { id, url, options } => Command::AddTarget(id, url, options),
            ToMixer::RemoveTarget { id } => Command::RemoveTarget(id),
            ToMixer::Volume { host, volume } => Command::Volume(host, volume),
            ToMixer::Record(record) => return self.feeds.recorded.record(record),
            ToMixer::Snapshots(settings) => return self.snapshots.configure(clock::now(), settings),
            ToMixer::TakeSnapshot { request, host } => {
                return self.snapshots.take(clock::now(), host, request);
            }
            ToMixer::AddForward(forward) => return self.forwards.add(clock::now(), forward),
            ToMixer::RemoveForward { id } => return self.forwards.remove(id),
            ToMixer::Configure(_) => {
                return tracing::warn!("the mix is configured already: `configure` is ignored");
            }
            ToMixer::Shutdown => return,
            ToMixer::Filter { host, filters } => return self.filters.set(host, filters),
        };
        self.tell(command);
    }

    fn tell(&self, command: Command) {
        // The mix takes commands at every tick; if 256 wait, it hangs, and the daemon restarts this process.
        if self.commands.try_send(command).is_err() {
            tracing::error!("the mix does not take commands: one is lost");
        }
    }

    /// False when the mixer is to end.
    fn take_media(&mut self) -> Result<bool, EngineError> {
        for _ in 0..BATCH {
            match self.link.media()? {
                Received::Nothing => break,
                Received::Some(datagram) => {
                    self.forwards.handle_input(datagram);
                    self.ingest.handle_input(clock::now(), datagram, &mut self.feeds);
                }
                Received::End => {
                    tracing::info!("the daemon closed the media socket");
                    return Ok(false);
                }
            }
        }
        self.ingest.handle_timeout(clock::now(), &mut self.feeds);
        Ok(true)
    }

    fn tell_the_mix(&mut self) {
        let now = clock::now();
        let room_delay = self.ingest.room_delay(now);
        if room_delay != self.room_delay && self.feeds.mix.send(Fed::RoomDelay(room_delay)) {
            self.room_delay = room_delay;
        }
        if now >= self.counters_due {
            self.counters_due = now + COUNTERS_EVERY;
            self.feeds.mix.send(Fed::Counters(
                self.ingest.rejected(),
                self.ingest.counters().collect(),
            ));
            self.feeds.mix.send(Fed::Forwards(self.forwards.stats()));
        }
    }
}

/// What a vision program looks through, if there is to be one. A mix without it goes on all the same.
fn eye(settings: &Settings, directory: &Path, commands: Sender<Command>) -> Option<Eye> {
    if !settings.vision {
        return None;
    }
    let show = move |host, marks| {
        // What is lost here is said anew with the next picture.
        commands.try_send(Command::Marks(host, marks)).ok();
    };
    vision::open(&directory.join(VISION_SOCKET), show)
        .inspect_err(|error| tracing::error!(%error, "no vision program can be heard"))
        .ok()
}

/// What reads scenes and hands them to the mix.
fn scenes(settings: &Settings, commands: Sender<Command>) -> std::io::Result<Loader> {
    let sources = Sources {
        images: settings.images.clone(),
        font: settings.font.clone(),
        writes: settings.vision,
    };
    Loader::spawn(sources, move |prepared| {
        // As for every command: if 256 wait, the mix hangs.
        if commands.try_send(Command::Scene(Box::new(prepared))).is_err() {
            tracing::error!("the mix does not take commands: a scene is lost");
        }
    })
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
