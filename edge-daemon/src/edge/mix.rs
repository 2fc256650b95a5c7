//! Which rooms have a mixer, and who is in its mix.

use super::Metrics;
use super::filters::{AllFilters, FilterError, SavedFilters};
use super::forwards::{self, ForwardError, Forwards, RoomForwards};
use super::idle::Idle;
use super::recordings::{RecordError, Recordings};
use super::scenes::Scenes;
use super::targets::{RoomTargets, TargetError, Targets, Template};
use crate::handle::{NewForward, NewTarget};
use crate::mixers::{Host, Mixer, MixerSpec, SnapshotReply, TargetSpec};
use crate::snapshots::SnapshotError;
use crate::view::{ForwardView, MixerView, RoomRecordingView, TargetView};
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::scene::Scene;
use lianmai_mixer_control::{
    AudioSource, Canvas, Codec as MixCodec, Coding, Forward, ForwardId, Record, SeiKind, Settings, TargetId,
    VideoSource, Volume,
};
use lianmai_plane::PlaneHandle;
use lianmai_room::SceneRules;
use lianmai_webrtc::EndpointId;
use lianmai_webrtc::media::{Codec, Kind, Track};
use prometheus_client::metrics::gauge::Gauge;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Mixes that go on after their room was closed; with one more, the one that would end first ends at once.
const MAX_CLOSED: usize = 64;

/// What every room's mix is made of.
#[derive(Clone, Debug)]
pub(crate) struct MixSetup {
    /// The process.
    pub(crate) spec: MixerSpec,
    /// Where mixes go.
    pub(crate) targets: Vec<Template>,
    /// Certificate authorities of RTMPS targets.
    pub(crate) rtmps_ca: Option<PathBuf>,
    /// The form of the layout in the stream.
    pub(crate) sei: SeiKind,
    /// How long a mix goes on without hosts.
    pub(crate) idle: Duration,
    /// Where recordings are made.
    pub(crate) record: Option<PathBuf>,
    /// What of rooms is recorded of which nothing was said.
    pub(crate) record_what: Record,
    /// What rooms look like for which nothing was said.
    pub(crate) scene: Scene,
    /// Where the images of scenes are.
    pub(crate) images: Option<PathBuf>,
    /// What names and texts are written with.
    pub(crate) font: Option<PathBuf>,
    /// Picture.
    pub(crate) canvas: Canvas,
    /// Video bits per second.
    pub(crate) video_bitrate: u32,
    /// Audio bits per second.
    pub(crate) audio_bitrate: u32,
    /// What hosts are levelled to, in LUFS.
    pub(crate) loudness: Option<f64>,
    /// What is done to pictures of hosts for whom nothing was said.
    pub(crate) filters: Filters,
    /// Seconds between key frames.
    pub(crate) gop_seconds: u32,
    /// The codecs.
    pub(crate) coding: Coding,
}

/// The mixers of all rooms.
pub(super) struct Mixes {
    setup: MixSetup,
    plane: PlaneHandle,
    mixers: BTreeMap<String, Mixer>,
    scenes: Scenes,
    targets: Targets,
    recordings: Recordings,
    forwards: Forwards,
    /// Who publishes in each room.
    hosts: BTreeMap<String, BTreeMap<EndpointId, Host>>,
    idle: Idle,
    /// Rooms that are closed, and of which only the mix is left.
    closed: BTreeSet<String>,
    muted: BTreeSet<EndpointId>,
    /// Of streams that are not as loud as they come.
    volumes: BTreeMap<EndpointId, Volume>,
    leaving: Vec<JoinHandle<()>>,
    running: Gauge,
    filters: AllFilters,
}

impl Mixes {
    pub(super) fn new(setup: MixSetup, plane: PlaneHandle, metrics: &Metrics) -> Self {
        Self {
            scenes: Scenes::new(setup.scene.clone()),
            targets: Targets::new(setup.targets.clone(), setup.coding),
            recordings: Recordings::new(setup.record.is_some(), setup.record_what),
            forwards: Forwards::default(),
            filters: AllFilters::new(setup.filters.clone()),
            hosts: BTreeMap::new(),
            idle: Idle::new(setup.idle),
            closed: BTreeSet::new(),
            setup,
            plane,
            mixers: BTreeMap::new(),
            muted: BTreeSet::new(),
            volumes: BTreeMap::new(),
            leaving: Vec::new(),
            running: metrics.mixers.clone(),
        }
    }

    /// A stream is to be in its room's mix; the room's first starts the mixer.
    pub(super) fn add(&mut self, room: &str, user: &str, source: EndpointId, tracks: &[Track]) {
        let host = Host {
            source,
            name: user.to_owned(),
            audio: audio(tracks),
            video: video(tracks),
        };
        let hosts = self.hosts.entry(room.to_owned()).or_default();
        hosts.insert(source, host.clone());
        self.idle.end(room);
        if !self.mixers.contains_key(room) {
            return self.start_if_wanted(room);
        }
        self.seat(room, host);
    }

    /// Starts the mixer of a room with everybody in it, if there is somebody, and anybody wants the mix.
    fn start_if_wanted(&mut self, room: &str) {
        let hosts: Vec<Host> = self
            .hosts
            .get(room)
            .into_iter()
            .flat_map(|hosts| hosts.values().cloned())
            .collect();
        if hosts.is_empty() || self.mixers.contains_key(room) || !self.is_wanted(room) {
            return;
        }
        let mixer = self
            .setup
            .start(room, self.targets.of(room).to_vec(), self.plane.clone());
        mixer.set_scene(self.scenes.of(room));
        mixer.record(self.recordings.of(room));
        for forward in self.forwards.of(room) {
            mixer.add_forward(forward.clone());
        }
        self.mixers.insert(room.to_owned(), mixer);
        for host in hosts {
            self.seat(room, host);
        }
        self.show_running();
    }

    fn seat(&self, room: &str, host: Host) {
        let Some(mixer) = self.mixers.get(room) else {
            return;
        };
        let source = host.source;
        let filters = self.filters.of(room, &host.name);
        mixer.add(host);
        if !filters.is_empty() {
            mixer.filter(source, filters.clone());
        }
        if self.muted.contains(&source) {
            mixer.mute(source, true);
        }
        if let Some(volume) = self.volumes.get(&source) {
            mixer.set_volume(source, *volume);
        }
    }

    fn is_wanted(&mut self, room: &str) -> bool {
        self.recordings.of(room).is_anything()
            || self.setup.spec.snapshots.at_interval()
            || !self.targets.of(room).is_empty()
            || !self.forwards.of(room).is_empty()
    }

    /// A stream ended. With the last one of a room its mix goes on for a while, with nobody in it.
    pub(super) fn remove(&mut self, room: &str, source: EndpointId, now: Instant) {
        self.muted.remove(&source);
        self.volumes.remove(&source);
        if let Some(hosts) = self.hosts.get_mut(room) {
            hosts.remove(&source);
            if hosts.is_empty() {
                self.hosts.remove(room);
            }
        }
        if let Some(mixer) = self.mixers.get(room) {
            mixer.remove(source);
            if !self.hosts.contains_key(room) {
                tracing::info!(room, patience = ?self.setup.idle, "the mix has no hosts");
                self.idle.begin(room, now);
            }
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.idle.next()
    }

    /// Ends mixes in which nobody has been for long.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for room in self.idle.expired(now) {
            tracing::info!(room, "the mix ends: it had no hosts for long");
            self.stop(&room);
        }
    }

    /// Where a room's mix goes, and what became of it.
    pub(super) fn targets(&mut self, room: &str) -> Vec<TargetView> {
        let mixing = self.mixers.contains_key(room);
        let known = self.view(room).map(|view| view.targets).unwrap_or_default();
        let view = |spec: &TargetSpec| {
            let found = known.iter().find(|view| view.id == spec.id.0);
            found.cloned().unwrap_or_else(|| spec.untried(mixing))
        };
        self.targets.of(room).iter().map(view).collect()
    }

    /// Publishes a room's mix to one more place, at once if somebody is in it.
    pub(super) fn add_target(&mut self, room: &str, new: NewTarget) -> Result<TargetView, TargetError> {
        let target = self.targets.add(room, new)?;
        match self.mixers.get(room) {
            Some(mixer) => mixer.add_target(target.clone()),
            None => self.start_if_wanted(room),
        }
        Ok(target.untried(self.mixers.contains_key(room)))
    }

    /// Publishes it there no longer. A mix that nobody wants any more ends.
    pub(super) fn remove_target(&mut self, room: &str, id: TargetId) -> Result<(), TargetError> {
        self.targets.remove(room, id)?;
        if !self.is_wanted(room) {
            self.stop(room);
        } else if let Some(mixer) = self.mixers.get(room) {
            mixer.remove_target(id);
        }
        Ok(())
    }

    /// What of a room is recorded, and its files.
    pub(super) fn recording(&self, room: &str) -> RoomRecordingView {
        let Record { mix, hosts } = self.recordings.of(room);
        let files = self.view(room).map(|view| view.recordings).unwrap_or_default();
        RoomRecordingView { mix, hosts, files }
    }

    /// What of it is recorded from now on. A mix that nobody wants any more ends.
    pub(super) fn set_recording(&mut self, room: &str, record: Record) -> Result<(), RecordError> {
        self.recordings.set(room, record)?;
        if !self.is_wanted(room) {
            self.stop(room);
        } else if let Some(mixer) = self.mixers.get(room) {
            mixer.record(record);
        } else {
            self.start_if_wanted(room);
        }
        Ok(())
    }

    /// What was said of recordings, for a later process.
    pub(super) fn saved_recordings(&self) -> BTreeMap<String, Record> {
        let mut saved = self.recordings.save();
        saved.retain(|room, _| !self.closed.contains(room));
        saved
    }

    /// Has a snapshot of a stream, or of the mix, made.
    pub(super) fn snapshot(
        &self,
        room: &str,
        source: Option<EndpointId>,
        reply: SnapshotReply,
    ) -> Result<(), SnapshotError> {
        let mixer = self.mixers.get(room);
        let mixer = mixer.ok_or_else(|| SnapshotError::NotMixed(room.to_owned()))?;
        mixer.take_snapshot(source, reply);
        Ok(())
    }

    /// A stream as the mix of its room has it.
    pub(super) fn host(&self, room: &str, source: EndpointId) -> Option<&Host> {
        self.hosts.get(room)?.get(&source)
    }

    /// Where a user's stream is sent on to, and what became of it.
    pub(super) fn forwards(&self, room: &str, user: &str) -> Vec<ForwardView> {
        let stats = self.view(room).and_then(|view| view.stats);
        let forwards = self.forwards.of_user(room, user);
        forwards
            .map(|forward| forwards::view(forward, stats.as_ref()))
            .collect()
    }

    /// One of them.
    pub(super) fn find_forward(
        &self,
        room: &str,
        user: &str,
        id: ForwardId,
    ) -> Result<&Forward, ForwardError> {
        self.forwards.find(room, user, id)
    }

    /// Sends a user's stream on to one more place, at once if it is there.
    pub(super) fn add_forward(
        &mut self,
        room: &str,
        user: &str,
        new: &NewForward,
    ) -> Result<ForwardView, ForwardError> {
        let forward = self.forwards.add(room, user, new)?;
        match self.mixers.get(room) {
            Some(mixer) => mixer.add_forward(forward.clone()),
            None => self.start_if_wanted(room),
        }
        Ok(forwards::view(&forward, None))
    }

    /// Sends it there no longer. A mix that nobody wants any more ends.
    pub(super) fn remove_forward(
        &mut self,
        room: &str,
        user: &str,
        id: ForwardId,
    ) -> Result<(), ForwardError> {
        self.forwards.remove(room, user, id)?;
        if let Some(mixer) = self.mixers.get(room) {
            mixer.remove_forward(id);
        }
        if !self.is_wanted(room) {
            self.stop(room);
        }
        Ok(())
    }

    /// Forwards of all rooms, for a later process.
    pub(super) fn saved_forwards(&self) -> BTreeMap<String, RoomForwards> {
        let mut saved = self.forwards.save();
        saved.retain(|room, _| !self.closed.contains(room));
        saved
    }

    /// These are to be there when their hosts come.
    pub(super) fn restore_forwards(&mut self, forwards: BTreeMap<String, RoomForwards>) {
        self.forwards.restore(forwards);
    }

    /// Targets of all rooms, for a later process.
    pub(super) fn saved_targets(&self) -> BTreeMap<String, RoomTargets> {
        let mut saved = self.targets.save();
        // A mix of which nobody is left does not go on in the next process.
        saved.retain(|room, _| !self.closed.contains(room));
        saved
    }

    /// Takes a stream's sound out of the mix, or brings it back.
    pub(super) fn mute(&mut self, room: &str, source: EndpointId, audio: bool) {
        if audio {
            self.muted.insert(source);
        } else {
            self.muted.remove(&source);
        }
        if let Some(mixer) = self.mixers.get(room) {
            mixer.mute(source, audio);
        }
    }

    /// Makes a stream louder or softer in the mix.
    pub(super) fn set_volume(&mut self, room: &str, source: EndpointId, volume: Volume) {
        self.volumes.insert(source, volume);
        if let Some(mixer) = self.mixers.get(room) {
            mixer.set_volume(source, volume);
        }
    }

    /// What is done to a participant's pictures.
    pub(super) fn filters(&self, room: &str, user: &str) -> &Filters {
        self.filters.of(room, user)
    }

    /// What is to be done to them, now and when it publishes again.
    pub(super) fn set_filters(
        &mut self,
        room: &str,
        user: &str,
        filters: &Filters,
    ) -> Result<(), FilterError> {
        self.filters.set(room, user, filters.clone())?;
        let Some(mixer) = self.mixers.get(room) else {
            return Ok(());
        };
        let hosts = self.hosts.get(room).into_iter().flat_map(BTreeMap::values);
        for host in hosts.filter(|host| host.name == user) {
            mixer.filter(host.source, filters.clone());
        }
        Ok(())
    }

    /// What was said of participants' pictures, for a later process.
    pub(super) fn saved_filters(&self) -> SavedFilters {
        self.filters.save()
    }

    /// What a room's mix is to look like.
    pub(super) fn set_scene(&mut self, room: &str, scene: Box<Scene>) {
        self.scenes.set(room, scene);
        self.show_scene(room);
    }

    fn show_scene(&self, room: &str) {
        if let Some(mixer) = self.mixers.get(room) {
            mixer.set_scene(self.scenes.of(room));
        }
    }

    /// A stream has speech in it, or no longer.
    pub(super) fn speaking(&self, room: &str, source: EndpointId, speaking: bool) {
        if let Some(mixer) = self.mixers.get(room) {
            mixer.speaking(source, speaking);
        }
    }

    /// Streams whose sound is out of the mix.
    pub(super) const fn muted(&self) -> &BTreeSet<EndpointId> {
        &self.muted
    }

    /// How loud streams are of which that was said.
    pub(super) const fn volumes(&self) -> &BTreeMap<EndpointId, Volume> {
        &self.volumes
    }

    /// What scenes must keep to.
    pub(super) fn scene_rules(&self) -> SceneRules {
        SceneRules {
            canvas: self.setup.canvas,
            default: self.setup.scene.clone(),
        }
    }

    /// These are to be so when they come.
    pub(super) fn restore(
        &mut self,
        muted: BTreeSet<EndpointId>,
        volumes: BTreeMap<EndpointId, Volume>,
        targets: BTreeMap<String, RoomTargets>,
        recordings: BTreeMap<String, Record>,
        filters: SavedFilters,
    ) {
        self.recordings.restore(recordings);
        self.muted = muted;
        self.volumes = volumes;
        self.targets.restore(targets);
        self.filters.restore(filters);
    }

    /// The room is closed: everybody left. Its mix goes on for as long as one without hosts does.
    pub(super) fn close(&mut self, room: &str, now: Instant) {
        self.hosts.remove(room);
        self.filters.forget(room);
        if !self.mixers.contains_key(room) {
            self.scenes.forget(room);
            self.recordings.forget(room);
            self.forwards.forget(room);
            return self.targets.forget(room);
        }
        self.closed.insert(room.to_owned());
        self.idle.begin(room, now);
        self.handle_timeout(now);
        if self.closed.len() > MAX_CLOSED
            && let Some(first) = self.idle.first().map(str::to_owned)
        {
            tracing::warn!(
                room = first,
                "the mix ends early: {MAX_CLOSED} others have no room either"
            );
            self.stop(&first);
        }
    }

    /// A room is there. A mix that a room of this name left is its own, but for what it looked like.
    pub(super) fn open(&mut self, room: &str) {
        self.closed.remove(room);
        self.scenes.forget(room);
        self.show_scene(room);
    }

    /// Somebody wants the mix to end now. True if there was one.
    pub(super) fn end(&mut self, room: &str) -> bool {
        let running = self.mixers.contains_key(room);
        self.stop(room);
        running
    }

    fn stop(&mut self, room: &str) {
        self.idle.end(room);
        if self.closed.remove(room) {
            self.targets.forget(room);
            self.recordings.forget(room);
            self.forwards.forget(room);
            self.scenes.forget(room);
        }
        self.leaving.retain(|mixer| !mixer.is_finished());
        self.leaving.extend(self.mixers.remove(room).map(Mixer::stop));
        self.show_running();
    }

    fn show_running(&self) {
        self.running
            .set(i64::try_from(self.mixers.len()).unwrap_or(i64::MAX));
    }

    /// What a room's mixer does.
    pub(super) fn view(&self, room: &str) -> Option<MixerView> {
        self.mixers.get(room).map(Mixer::view)
    }

    /// Ends all mixers and waits until their processes are gone.
    pub(super) async fn finish(mut self) {
        self.leaving
            .extend(std::mem::take(&mut self.mixers).into_values().map(Mixer::stop));
        for mixer in self.leaving {
            // A supervisor that panicked has dropped its process, which kills it.
            let _ = mixer.await;
        }
    }
}

impl MixSetup {
    fn start(&self, room: &str, targets: Vec<TargetSpec>, plane: PlaneHandle) -> Mixer {
        let settings = Settings {
            room: room.to_owned(),
            canvas: self.canvas,
            video_bitrate: self.video_bitrate,
            audio_bitrate: self.audio_bitrate,
            gop_seconds: self.gop_seconds,
            record: self.record.clone(),
            images: self.images.clone(),
            font: self.font.clone(),
            rtmps_ca: self.rtmps_ca.clone(),
            sei: self.sei,
            loudness: self.loudness,
            vision: self.spec.vision.is_wanted(),
            coding: self.coding,
        };
        Mixer::start(self.spec.clone(), settings, targets, plane)
    }
}

fn audio(tracks: &[Track]) -> Option<AudioSource> {
    let track = tracks.iter().find(|track| track.kind == Kind::Audio)?;
    Some(AudioSource {
        payload_type: track.payload_type.0,
    })
}

fn video(tracks: &[Track]) -> Option<VideoSource> {
    let track = tracks.iter().find(|track| track.kind == Kind::Video)?;
    let codec = match track.codec {
        Codec::H264 => MixCodec::H264,
        Codec::Vp8 => MixCodec::Vp8,
        Codec::Opus => return None,
    };
    let orientation_extension = track.extensions.video_orientation;
    Some(VideoSource {
        payload_type: track.payload_type.0,
        codec,
        orientation_extension,
    })
}
