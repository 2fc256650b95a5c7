//! Which rooms have a mixer, and who is in its mix.

use super::Metrics;
use super::scenes::Scenes;
use crate::mixers::{Host, Mixer, MixerSpec};
use crate::view::MixerView;
use lianmai_mixer_control::scene::Scene;
use lianmai_mixer_control::{AudioSource, Canvas, Codec as MixCodec, Settings, VideoSource};
use lianmai_plane::PlaneHandle;
use lianmai_room::SceneRules;
use lianmai_rtmp::percent_encode;
use lianmai_webrtc::EndpointId;
use lianmai_webrtc::media::{Codec, Kind, Track};
use prometheus_client::metrics::gauge::Gauge;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tokio::task::JoinHandle;

/// Seconds between key frames: what CDNs ask for.
const GOP_SECONDS: u32 = 2;

/// What every room's mix is made of.
#[derive(Clone, Debug)]
pub(crate) struct MixSetup {
    /// The process.
    pub(crate) spec: MixerSpec,
    /// Where mixes go; `{room}` is replaced.
    pub(crate) targets: Vec<String>,
    /// Where mixes are recorded.
    pub(crate) record: Option<PathBuf>,
    /// What rooms look like for which nothing was said.
    pub(crate) scene: Scene,
    /// Where the images of scenes are.
    pub(crate) images: Option<PathBuf>,
    /// What names and texts are written with.
    pub(crate) font: Option<PathBuf>,
    /// Picture.
    pub(crate) canvas: Canvas,
    /// H.264 bits per second.
    pub(crate) video_bitrate: u32,
    /// AAC bits per second.
    pub(crate) audio_bitrate: u32,
}

/// The mixers of all rooms.
pub(super) struct Mixes {
    setup: MixSetup,
    plane: PlaneHandle,
    mixers: BTreeMap<String, Mixer>,
    scenes: Scenes,
    muted: BTreeSet<EndpointId>,
    leaving: Vec<JoinHandle<()>>,
    running: Gauge,
}

impl Mixes {
    pub(super) fn new(setup: MixSetup, plane: PlaneHandle, metrics: &Metrics) -> Self {
        Self {
            scenes: Scenes::new(setup.scene.clone()),
            setup,
            plane,
            mixers: BTreeMap::new(),
            muted: BTreeSet::new(),
            leaving: Vec::new(),
            running: metrics.mixers.clone(),
        }
    }

    /// A stream is to be in its room's mix; the room's first starts the mixer.
    pub(super) fn add(&mut self, room: &str, user: &str, source: EndpointId, tracks: &[Track]) {
        if self.setup.targets.is_empty() && self.setup.record.is_none() {
            return;
        }
        let host = Host {
            source,
            name: user.to_owned(),
            audio: audio(tracks),
            video: video(tracks),
        };
        let (setup, plane, scenes) = (&self.setup, &self.plane, &self.scenes);
        let mixer = self.mixers.entry(room.to_owned()).or_insert_with(|| {
            let mixer = setup.start(room, plane.clone());
            mixer.set_scene(scenes.of(room));
            mixer
        });
        mixer.add(host);
        if self.muted.contains(&source) {
            mixer.mute(source, true);
        }
        self.show_running();
    }

    /// A stream ended.
    pub(super) fn remove(&mut self, room: &str, source: EndpointId) {
        self.muted.remove(&source);
        if let Some(mixer) = self.mixers.get(room) {
            mixer.remove(source);
        }
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

    /// What a room's mix is to look like.
    pub(super) fn set_scene(&mut self, room: &str, scene: Box<Scene>) {
        self.scenes.set(room, scene);
        self.show_scene(room);
    }

    /// A room opened for which nothing was said yet, whatever one of its name looked like.
    pub(super) fn reset_scene(&mut self, room: &str) {
        self.scenes.forget(room);
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

    /// What scenes must keep to.
    pub(super) fn scene_rules(&self) -> SceneRules {
        SceneRules {
            canvas: self.setup.canvas,
            default: self.setup.scene.clone(),
        }
    }

    /// These are to be so when they come.
    pub(super) fn restore(&mut self, muted: BTreeSet<EndpointId>) {
        self.muted = muted;
    }

    /// The room is closed.
    pub(super) fn close(&mut self, room: &str) {
        self.scenes.forget(room);
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
    fn start(&self, room: &str, plane: PlaneHandle) -> Mixer {
        let settings = Settings {
            room: room.to_owned(),
            canvas: self.canvas,
            video_bitrate: self.video_bitrate,
            audio_bitrate: self.audio_bitrate,
            gop_seconds: GOP_SECONDS,
            record: self.record.clone(),
            images: self.images.clone(),
            font: self.font.clone(),
        };
        let targets = self
            .targets
            .iter()
            .map(|target| target.replace("{room}", &percent_encode(room)))
            .collect();
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
