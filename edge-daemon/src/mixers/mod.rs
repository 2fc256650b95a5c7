//! The mixer processes: one a room, started with its first stream, watched, started again when it dies.
//!
//! A mixer that dies takes nothing with it: the talk does not pass through it, and what it must know is kept here
//! as [`state::Desired`], which every new process is told from the beginning.

mod forward_metrics;
mod metrics;
mod pictures;
mod process;
mod recordings;
mod requests;
mod sockets;
mod state;
mod supervisor;
mod target;
mod vision;
mod vision_metrics;

pub(crate) use forward_metrics::ForwardMetrics;
pub(crate) use metrics::TargetMetrics;
pub(crate) use recordings::RecordingMetrics;
pub(crate) use requests::SnapshotReply;
pub(crate) use state::Host;
pub(crate) use target::TargetSpec;
pub(crate) use vision::VisionSpec;
pub(crate) use vision_metrics::VisionMetrics;

use crate::snapshots::Snapshots;
use crate::view::MixerView;
use crate::webhooks::Webhooks;
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::scene::Scene;
use lianmai_mixer_control::{Forward, ForwardId, Record, Settings, TargetId, Volume};
use lianmai_plane::PlaneHandle;
use lianmai_webrtc::EndpointId;
use prometheus_client::metrics::counter::Counter;
use state::Order;
use std::path::PathBuf;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What all mixers of this edge have in common.
#[derive(Clone, Debug)]
pub(crate) struct MixerSpec {
    /// The program.
    pub(crate) program: PathBuf,
    /// Each process gets a directory in this one.
    pub(crate) runtime_dir: PathBuf,
    /// Log filter of the processes.
    pub(crate) log: String,
    /// Counts every start after a failure.
    pub(crate) restarts: Counter,
    /// Of the places that they publish to.
    pub(crate) targets: TargetMetrics,
    /// Of what they record.
    pub(crate) recordings: RecordingMetrics,
    /// Told of targets, recordings and restarts.
    pub(crate) webhooks: Webhooks,
    /// Of forwards.
    pub(crate) forwards: ForwardMetrics,
    /// How snapshots are made, and where they go.
    pub(crate) snapshots: Snapshots,
    /// What looks at the hosts' pictures.
    pub(crate) vision: VisionSpec,
}

/// One room's mixer, whether its process lives at the moment or not.
#[derive(Debug)]
pub(crate) struct Mixer {
    orders: mpsc::UnboundedSender<Order>,
    view: watch::Receiver<MixerView>,
    supervisor: JoinHandle<()>,
}

impl Mixer {
    /// Starts to supervise a mixer that publishes to `targets`.
    pub(crate) fn start(
        spec: MixerSpec,
        settings: Settings,
        targets: Vec<TargetSpec>,
        plane: PlaneHandle,
    ) -> Self {
        // The number of orders is bounded by what people in the room do; the supervisor takes them at once.
        let (orders, inbox) = mpsc::unbounded_channel();
        let desired = state::Desired::new(settings, targets);
        let (view, watcher) = watch::channel(desired.view());
        let supervisor = tokio::spawn(supervisor::Supervisor::new(spec, desired, inbox, view, plane).run());
        Self {
            orders,
            view: watcher,
            supervisor,
        }
    }

    /// A host is to be in the mix.
    pub(crate) fn add(&self, host: Host) {
        self.order(Order::Add(host));
    }

    /// A stream ended.
    pub(crate) fn remove(&self, source: EndpointId) {
        self.order(Order::Remove(source));
    }

    /// Take a host's sound out of the mix, or bring it back.
    pub(crate) fn mute(&self, source: EndpointId, audio: bool) {
        self.order(Order::Mute { source, audio });
    }

    /// Make a host louder or softer.
    pub(crate) fn set_volume(&self, source: EndpointId, volume: Volume) {
        self.order(Order::Volume { source, volume });
    }

    /// A host speaks, or no longer.
    pub(crate) fn speaking(&self, source: EndpointId, speaking: bool) {
        self.order(Order::Speaking { source, speaking });
    }

    /// What the picture is to look like.
    pub(crate) fn set_scene(&self, scene: Box<Scene>) {
        self.order(Order::Scene(scene));
    }

    /// Publish to one more place.
    pub(crate) fn add_target(&self, target: TargetSpec) {
        self.order(Order::AddTarget(target));
    }

    /// Publish there no longer.
    pub(crate) fn remove_target(&self, id: TargetId) {
        self.order(Order::RemoveTarget(id));
    }

    /// What of the room is recorded.
    pub(crate) fn record(&self, record: Record) {
        self.order(Order::Record(record));
    }

    /// Send a host's RTP to one more place.
    pub(crate) fn add_forward(&self, forward: Forward) {
        self.order(Order::AddForward(forward));
    }

    /// Send it there no longer.
    pub(crate) fn remove_forward(&self, id: ForwardId) {
        self.order(Order::RemoveForward(id));
    }

    /// Make a snapshot of a stream, or of the mix.
    pub(crate) fn take_snapshot(&self, source: Option<EndpointId>, reply: SnapshotReply) {
        self.order(Order::Snapshot { source, reply });
    }

    /// What is to be done to a host's pictures.
    pub(crate) fn filter(&self, source: EndpointId, filters: Filters) {
        self.order(Order::Filter { source, filters });
    }

    /// What the process does and last reported.
    pub(crate) fn view(&self) -> MixerView {
        self.view.borrow().clone()
    }

    /// Ends the process gracefully; the join handle finishes when it is gone.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.order(Order::Stop);
        self.supervisor
    }

    fn order(&self, order: Order) {
        // A supervisor that is gone has been stopped: there is nobody left to tell.
        let _ = self.orders.send(order);
    }
}
