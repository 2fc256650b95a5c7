//! What a room's mixer is meant to do, and what it was last seen doing.

use super::recordings::Recordings;
use super::requests::SnapshotReply;
use super::target::{Target, TargetSpec};
use crate::view::{MixerView, TargetView};
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::scene::Scene;
use lianmai_mixer_control::{
    AudioSource, Forward, ForwardId, Record, Settings, TargetId, TargetState, TargetStats, ToMixer,
    VideoSource, Volume,
};
use lianmai_plane::Shown;
use lianmai_webrtc::EndpointId;
use std::collections::BTreeMap;

/// One publisher as the mix sees it.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Its stream.
    pub(crate) source: EndpointId,
    /// The name that people see.
    pub(crate) name: String,
    /// Its audio.
    pub(crate) audio: Option<AudioSource>,
    /// Its video.
    pub(crate) video: Option<VideoSource>,
}

/// One change of what the mixer is meant to do.
#[derive(Debug)]
pub(super) enum Order {
    Add(Host),
    Remove(EndpointId),
    Mute {
        source: EndpointId,
        audio: bool,
    },
    Volume {
        source: EndpointId,
        volume: Volume,
    },
    Speaking {
        source: EndpointId,
        speaking: bool,
    },
    Scene(Box<Scene>),
    AddTarget(TargetSpec),
    RemoveTarget(TargetId),
    Record(Record),
    AddForward(Forward),
    RemoveForward(ForwardId),
    Snapshot {
        source: Option<EndpointId>,
        reply: SnapshotReply,
    },
    Filter {
        source: EndpointId,
        filters: Filters,
    },
    Stop,
}

/// What a stream's media is to be done with after an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TapChange {
    None,
    Tap(EndpointId, HostId),
    Untap(EndpointId),
}

#[derive(Debug)]
struct Seat {
    id: HostId,
    host: Host,
    muted: bool,
    volume: Volume,
    speaking: bool,
    filters: Filters,
    /// How the process shows it, as far as it said.
    shown: Option<Shown>,
}

/// Everything that a new mixer process has to be told.
#[derive(Debug)]
pub(super) struct Desired {
    settings: Settings,
    seats: BTreeMap<EndpointId, Seat>,
    targets: Vec<Target>,
    forwards: Vec<Forward>,
    next_host: u32,
    /// What the picture looks like, if that was said.
    scene: Option<Box<Scene>>,
    /// What is recorded, and what became of it.
    pub(super) recordings: Recordings,
}

impl Desired {
    pub(super) fn new(settings: Settings, targets: Vec<TargetSpec>) -> Self {
        let targets = targets.into_iter().map(Target::new).collect();
        Self {
            settings,
            seats: BTreeMap::new(),
            targets,
            forwards: Vec::new(),
            next_host: 0,
            scene: None,
            recordings: Recordings::default(),
        }
    }

    /// Takes an order that is not `Stop`; returns what a running process must be told and the plane must do.
    pub(super) fn apply(&mut self, order: Order) -> (Option<ToMixer>, TapChange) {
        match order {
            Order::Add(host) => self.add(host),
            Order::Remove(source) => match self.seats.remove(&source) {
                Some(seat) => (
                    Some(ToMixer::RemoveHost { host: seat.id }),
                    TapChange::Untap(source),
                ),
                None => (None, TapChange::None),
            },
            Order::Mute { source, audio } => {
                let message = self.seats.get_mut(&source).map(|seat| {
                    seat.muted = audio;
                    seat.mute_message()
                });
                (message, TapChange::None)
            }
            Order::Volume { source, volume } => {
                let message = self.seats.get_mut(&source).map(|seat| {
                    seat.volume = volume;
                    seat.volume_message()
                });
                (message, TapChange::None)
            }
            Order::Speaking { source, speaking } => {
                let seat = self.seats.get_mut(&source);
                let changed = seat.filter(|seat| seat.speaking != speaking).map(|seat| {
                    seat.speaking = speaking;
                    seat.speaking_message()
                });
                (changed, TapChange::None)
            }
            Order::Scene(scene) => {
                self.scene = Some(scene.clone());
                (Some(ToMixer::Scene(scene)), TapChange::None)
            }
            Order::AddTarget(spec) => {
                let message = spec.message();
                self.targets.push(Target::new(spec));
                (Some(message), TapChange::None)
            }
            Order::RemoveTarget(id) => {
                self.targets.retain(|target| target.spec.id != id);
                (Some(ToMixer::RemoveTarget { id }), TapChange::None)
            }
            Order::Record(record) => {
                self.recordings.wanted = record;
                (Some(ToMixer::Record(record)), TapChange::None)
            }
            Order::AddForward(forward) => {
                self.forwards.push(forward.clone());
                (Some(ToMixer::AddForward(forward)), TapChange::None)
            }
            Order::RemoveForward(id) => {
                self.forwards.retain(|forward| forward.id != id);
                (Some(ToMixer::RemoveForward { id }), TapChange::None)
            }
            // Nothing that a later process has to know.
            Order::Snapshot { .. } => (None, TapChange::None),
            Order::Filter { source, filters } => {
                let message = self.seats.get_mut(&source).map(|seat| {
                    seat.filters = filters;
                    seat.filter_message()
                });
                (message, TapChange::None)
            }
            Order::Stop => (Some(ToMixer::Shutdown), TapChange::None),
        }
    }

    fn add(&mut self, host: Host) -> (Option<ToMixer>, TapChange) {
        let source = host.source;
        let id = HostId(self.next_host);
        self.next_host += 1;
        let seat = Seat {
            id,
            host,
            muted: false,
            volume: Volume::default(),
            speaking: false,
            filters: Filters::default(),
            shown: None,
        };
        let message = seat.add_message();
        self.seats.insert(source, seat);
        (Some(message), TapChange::Tap(source, id))
    }

    /// What a new process is told first.
    pub(super) fn introduction(&self) -> Vec<ToMixer> {
        let hosts = self.seats.values().flat_map(|seat| {
            let muted = seat.muted.then(|| seat.mute_message());
            let volume = (seat.volume != Volume::default()).then(|| seat.volume_message());
            let speaking = seat.speaking.then(|| seat.speaking_message());
            let filters = (!seat.filters.is_empty()).then(|| seat.filter_message());
            let added = std::iter::once(seat.add_message());
            added.chain(muted).chain(volume).chain(speaking).chain(filters)
        });
        let targets = self.targets.iter().map(|target| target.spec.message());
        let record = self.recordings.wanted;
        std::iter::once(ToMixer::Configure(self.settings.clone()))
            .chain(self.scene.clone().map(ToMixer::Scene))
            .chain(record.is_anything().then_some(ToMixer::Record(record)))
            .chain(hosts)
            .chain(targets)
            .chain(self.forwards.iter().cloned().map(ToMixer::AddForward))
            .collect()
    }

    /// Streams of the mix and what the media socket calls them.
    pub(super) fn taps(&self) -> Vec<(EndpointId, HostId)> {
        self.seats
            .iter()
            .map(|(source, seat)| (*source, seat.id))
            .collect()
    }

    /// What the media socket calls a stream.
    pub(super) fn host_of(&self, source: EndpointId) -> Option<HostId> {
        self.seats.get(&source).map(|seat| seat.id)
    }

    /// The name of a host.
    pub(super) fn name_of(&self, host: HostId) -> Option<&str> {
        let seat = self.seats.values().find(|seat| seat.id == host)?;
        Some(&seat.host.name)
    }

    /// Where RTP is sent on to.
    pub(super) fn forwards(&self) -> &[Forward] {
        &self.forwards
    }

    /// The stream behind a host.
    pub(super) fn source_of(&self, host: HostId) -> Option<EndpointId> {
        self.seats
            .iter()
            .find(|(_, seat)| seat.id == host)
            .map(|(source, _)| *source)
    }

    /// How a host is shown now; returns its stream, and how it was shown before.
    pub(super) fn set_shown(&mut self, host: HostId, shown: Shown) -> Option<(EndpointId, Option<Shown>)> {
        let (source, seat) = self.seats.iter_mut().find(|(_, seat)| seat.id == host)?;
        Some((*source, seat.shown.replace(shown)))
    }

    /// Where a target now stands. `None` if it was taken away meanwhile.
    pub(super) fn set_target(&mut self, id: TargetId, state: TargetState) -> Option<&Target> {
        let target = self.targets.iter_mut().find(|target| target.spec.id == id)?;
        target.state = state;
        Some(target)
    }

    /// What the mixer counted of its targets.
    pub(super) fn set_target_stats(&mut self, all: &[TargetStats]) {
        for target in &mut self.targets {
            let stats = all.iter().find(|stats| stats.id == target.spec.id);
            target.stats = stats.cloned();
        }
    }

    /// Where the mixer is meant to publish, and what became of it.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The process is gone, and its connections with it.
    pub(super) fn forget_process(&mut self) {
        for target in &mut self.targets {
            target.state = TargetState::Connecting;
            target.stats = None;
        }
        for seat in self.seats.values_mut() {
            seat.shown = None;
        }
    }

    pub(super) fn room(&self) -> &str {
        &self.settings.room
    }

    /// The view of a mixer that is about to start.
    pub(super) fn view(&self) -> MixerView {
        MixerView {
            state: "starting".to_owned(),
            pid: None,
            restarts: 0,
            targets: self.target_views(),
            recordings: Vec::new(),
            stats: None,
            vision_pid: None,
        }
    }

    pub(super) fn target_views(&self) -> Vec<TargetView> {
        self.targets.iter().map(Target::view).collect()
    }
}

impl Seat {
    fn add_message(&self) -> ToMixer {
        let Host {
            name, audio, video, ..
        } = self.host.clone();
        ToMixer::AddHost {
            host: self.id,
            name,
            audio,
            video,
        }
    }

    fn speaking_message(&self) -> ToMixer {
        ToMixer::Speaking {
            host: self.id,
            speaking: self.speaking,
        }
    }

    fn volume_message(&self) -> ToMixer {
        ToMixer::Volume {
            host: self.id,
            volume: self.volume,
        }
    }

    fn filter_message(&self) -> ToMixer {
        ToMixer::Filter {
            host: self.id,
            filters: self.filters.clone(),
        }
    }

    fn mute_message(&self) -> ToMixer {
        ToMixer::Mute {
            host: self.id,
            audio: self.muted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Desired, Host, Order, TapChange};
    use crate::mixers::TargetSpec;
    use lianmai_mixer_control::filter::{Filter, Filters};
    use lianmai_mixer_control::media::HostId;
    use lianmai_mixer_control::scene::Scene;
    use lianmai_mixer_control::{
        Canvas, Coding, Forward, ForwardId, Record, SeiKind, Settings, TargetId, TargetOptions, TargetState,
        TargetUrl, ToMixer, Volume,
    };
    use lianmai_plane::Shown;
    use lianmai_webrtc::EndpointId;

    fn desired() -> Desired {
        let settings = Settings {
            room: "r".into(),
            canvas: Canvas {
                width: 640,
                height: 360,
                fps: 15,
            },
            video_bitrate: 1,
            audio_bitrate: 1,
            gop_seconds: 2,
            record: None,
            images: None,
            font: None,
            rtmps_ca: None,
            sei: SeiKind::default(),
            loudness: None,
            vision: false,
            coding: Coding::default(),
        };
        Desired::new(settings, vec![target(0)])
    }

    fn target(id: u32) -> TargetSpec {
        TargetSpec {
            id: TargetId(id),
            url: TargetUrl("rtmp://cdn/app/key?secret=1".into()),
            options: TargetOptions::default(),
        }
    }

    fn host(source: u64) -> Order {
        Order::Add(Host {
            source: EndpointId(source),
            name: "ann".into(),
            audio: None,
            video: None,
        })
    }

    #[test]
    fn a_new_process_is_told_everything_that_the_old_one_knew() {
        let mut desired = desired();
        desired.apply(host(1));
        desired.apply(host(2));
        desired.apply(Order::Mute {
            source: EndpointId(2),
            audio: true,
        });
        desired.apply(Order::Remove(EndpointId(1)));
        let told = desired.introduction();
        assert!(matches!(told[0], ToMixer::Configure(_)));
        assert!(matches!(told[1], ToMixer::AddHost { host: HostId(1), .. }));
        assert_eq!(
            told[2],
            ToMixer::Mute {
                host: HostId(1),
                audio: true
            }
        );
        assert!(matches!(told[3], ToMixer::AddTarget { id: TargetId(0), .. }));
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn a_new_process_is_told_how_loud_hosts_are() {
        let mut desired = desired();
        desired.apply(host(1));
        for percent in [30, 150] {
            let volume = Volume::try_from(percent).expect("a volume");
            let source = EndpointId(1);
            let (told, _) = desired.apply(Order::Volume { source, volume });
            let said = ToMixer::Volume {
                host: HostId(0),
                volume,
            };
            assert_eq!(told.as_ref(), Some(&said));
            assert_eq!(desired.introduction()[2], said);
        }
    }

    #[test]
    fn a_new_process_is_told_the_last_scene_and_who_speaks() {
        let mut desired = desired();
        desired.apply(host(1));
        let source = EndpointId(1);
        let speaking = || Order::Speaking {
            source,
            speaking: true,
        };
        let said = ToMixer::Speaking {
            host: HostId(0),
            speaking: true,
        };
        assert_eq!(desired.apply(speaking()).0, Some(said.clone()));
        assert_eq!(desired.apply(speaking()).0, None, "nothing new");
        for labels in [false, true] {
            let scene = Box::new(Scene {
                labels,
                ..Scene::default()
            });
            let (told, _) = desired.apply(Order::Scene(scene.clone()));
            assert_eq!(told, Some(ToMixer::Scene(scene)));
        }
        let told = desired.introduction();
        assert!(matches!(&told[1], ToMixer::Scene(scene) if scene.labels));
        assert!(matches!(told[2], ToMixer::AddHost { .. }));
        assert_eq!(told[3], said);
    }

    #[test]
    fn a_new_process_is_told_the_last_filters_of_each_host() {
        let mut desired = desired();
        desired.apply(host(1));
        let said = |radius| Filters(vec![Filter::Blur { radius }]);
        let source = EndpointId(1);
        for radius in [3, 5] {
            let filters = said(radius);
            let (told, _) = desired.apply(Order::Filter { source, filters });
            let host = HostId(0);
            assert_eq!(
                told,
                Some(ToMixer::Filter {
                    host,
                    filters: said(radius)
                })
            );
        }
        let told = desired.introduction();
        assert!(matches!(&told[2], ToMixer::Filter { filters, .. } if *filters == said(5)));
        let filters = Filters::default();
        desired.apply(Order::Filter { source, filters });
        assert!(
            !desired
                .introduction()
                .iter()
                .any(|told| matches!(told, ToMixer::Filter { .. }))
        );
    }

    #[test]
    fn targets_that_were_added_and_taken_away_live_are_so_to_a_new_process_too() {
        let mut desired = desired();
        let (told, _) = desired.apply(Order::AddTarget(target(7)));
        assert!(matches!(told, Some(ToMixer::AddTarget { id: TargetId(7), .. })));
        let (told, _) = desired.apply(Order::RemoveTarget(TargetId(0)));
        assert_eq!(told, Some(ToMixer::RemoveTarget { id: TargetId(0) }));
        let told = desired.introduction();
        assert_eq!(told.len(), 2);
        assert!(matches!(told[1], ToMixer::AddTarget { id: TargetId(7), .. }));
    }

    #[test]
    fn what_is_recorded_is_told_to_a_new_process_before_anybody_joins() {
        let mut desired = desired();
        desired.apply(host(1));
        let record = Record {
            mix: true,
            hosts: true,
        };
        let said = ToMixer::Record(record);
        assert_eq!(desired.apply(Order::Record(record)).0, Some(said.clone()));
        assert_eq!(desired.introduction()[1], said);
        desired.apply(Order::Record(Record::default()));
        assert!(
            !desired
                .introduction()
                .contains(&ToMixer::Record(Record::default()))
        );
    }

    #[test]
    fn forwards_that_were_added_and_taken_away_live_are_so_to_a_new_process_too() {
        let mut desired = desired();
        let forward = |id| Forward {
            id: ForwardId(id),
            user: "ann".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            audio_port: Some(5004),
            video_port: None,
            key_frame_seconds: 5,
        };
        for id in 0..2 {
            let told = desired.apply(Order::AddForward(forward(id))).0;
            assert_eq!(told, Some(ToMixer::AddForward(forward(id))));
        }
        let told = desired.apply(Order::RemoveForward(ForwardId(0))).0;
        assert_eq!(told, Some(ToMixer::RemoveForward { id: ForwardId(0) }));
        assert_eq!(
            desired.introduction().last(),
            Some(&ToMixer::AddForward(forward(1)))
        );
    }

    #[test]
    fn what_a_mixer_says_of_a_target_that_was_taken_away_is_not_kept() {
        let mut desired = desired();
        desired.apply(Order::RemoveTarget(TargetId(0)));
        assert!(desired.set_target(TargetId(0), TargetState::Publishing).is_none());
        assert!(desired.target_views().is_empty());
    }

    #[test]
    fn a_host_that_comes_back_is_a_new_host_to_the_mixer() {
        let mut desired = desired();
        let (_, first) = desired.apply(host(1));
        desired.apply(Order::Remove(EndpointId(1)));
        let (_, second) = desired.apply(host(1));
        assert_eq!(first, TapChange::Tap(EndpointId(1), HostId(0)));
        assert_eq!(second, TapChange::Tap(EndpointId(1), HostId(1)));
    }

    #[test]
    fn how_a_host_was_shown_is_known_until_its_process_is_gone() {
        let mut desired = desired();
        desired.apply(host(1));
        let shown = |width| Shown { width, height: 180 };
        assert_eq!(desired.set_shown(HostId(9), shown(0)), None);
        assert_eq!(
            desired.set_shown(HostId(0), shown(0)),
            Some((EndpointId(1), None))
        );
        assert_eq!(
            desired.set_shown(HostId(0), shown(320)),
            Some((EndpointId(1), Some(shown(0))))
        );
        desired.forget_process();
        assert_eq!(
            desired.set_shown(HostId(0), shown(0)),
            Some((EndpointId(1), None))
        );
    }

    #[test]
    fn an_order_about_an_unknown_stream_changes_nothing() {
        assert_eq!(
            desired().apply(Order::Remove(EndpointId(9))),
            (None, TapChange::None)
        );
    }

    #[test]
    fn the_view_of_a_target_hides_the_stream_keys_query() {
        let mut desired = desired();
        desired.set_target(
            TargetId(0),
            TargetState::Retrying {
                reason: "refused".into(),
                after_ms: 200,
            },
        );
        let view = &desired.target_views()[0];
        assert_eq!(
            (view.url.as_str(), view.state.as_str()),
            ("rtmp://cdn:1935/app/***", "retrying")
        );
    }
}
