//! Keeps one room's mixer running.

use super::MixerSpec;
use super::process::{Process, Said};
use super::requests::{Requests, SnapshotReply};
use super::state::{Desired, Order, TapChange};
use super::vision::Vision;
use crate::child::Backoff;
use crate::command::apply;
use crate::snapshots::{Snapshot, SnapshotError};
use crate::view::MixerView;
use crate::webhooks::{Event, Recording, Target};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{FromMixer, MixStats, NoSnapshot, SnapshotId, TargetId, TargetState, ToMixer};
use lianmai_plane::{Command, PlaneHandle, Shown};
use lianmai_webrtc::EndpointId;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub(super) struct Supervisor {
    spec: MixerSpec,
    desired: Desired,
    orders: mpsc::UnboundedReceiver<Order>,
    view: watch::Sender<MixerView>,
    plane: PlaneHandle,
    requests: Requests,
    /// Beside a process that runs.
    vision: Option<Vision>,
}

/// How one life of the process ended.
enum End {
    Stopped,
    Failed(io::Error),
}

impl Supervisor {
    pub(super) fn new(
        spec: MixerSpec,
        desired: Desired,
        orders: mpsc::UnboundedReceiver<Order>,
        view: watch::Sender<MixerView>,
        plane: PlaneHandle,
    ) -> Self {
        Self {
            spec,
            desired,
            orders,
            view,
            plane,
            requests: Requests::default(),
            vision: None,
        }
    }

    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            let End::Failed(error) = self.live().await else {
                break;
            };
            let wait = backoff.after(started.elapsed());
            tracing::warn!(room = self.desired.room(), %error, ?wait, "mixer failed; starting it again");
            self.mark_restarting(&error.to_string());
            if self.pause(wait).await {
                break;
            }
        }
        self.untap_all();
        for target in self.desired.targets() {
            self.spec.targets.forget(self.desired.room(), target.spec.id);
        }
        self.desired.recordings.forget_process(&self.spec.recordings);
        let room = self.desired.room();
        for forward in self.desired.forwards() {
            self.spec.forwards.forget(room, forward.id);
        }
        self.spec.vision.metrics.forget(room);
        self.spec.webhooks.say(&Event::MixEnded { room });
    }

    /// One process from start to end.
    async fn live(&mut self) -> End {
        // Two lives never share a directory: the old process may still hold its sockets.
        static LIVES: AtomicU64 = AtomicU64::new(0);
        let name = format!("mixer-{}", LIVES.fetch_add(1, Ordering::Relaxed));
        let mut process = match Process::start(&self.spec, &name).await {
            Ok(process) => process,
            Err(error) => return End::Failed(error),
        };
        let served = self.serve(&mut process).await;
        self.vision = None;
        match served {
            Ok(()) => {
                process.finish().await;
                End::Stopped
            }
            Err(error) => {
                process.kill().await;
                End::Failed(error)
            }
        }
    }

    /// Introduces the process and keeps it informed until it is to stop.
    async fn serve(&mut self, process: &mut Process) -> io::Result<()> {
        for message in self.desired.introduction() {
            process.tell(&message).await?;
        }
        process
            .tell(&ToMixer::Snapshots(self.spec.snapshots.settings))
            .await?;
        for (source, host) in self.desired.taps() {
            self.tap(process, TapChange::Tap(source, host))?;
        }
        self.vision = Vision::start(&self.spec.vision, process.directory(), self.desired.room());
        tracing::info!(room = self.desired.room(), pid = process.pid(), "mixer running");
        self.view.send_modify(|view| {
            "running".clone_into(&mut view.state);
            view.pid = process.pid();
        });
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    None | Some(Order::Stop) => return Ok(()),
                    Some(order) => self.pass_on(process, order).await?,
                },
                said = process.next() => match said? {
                    Said::Message(message) => self.hear(message),
                    Said::Snapshot(snapshot) => self.hear_snapshot(snapshot),
                },
            }
        }
    }

    async fn pass_on(&mut self, process: &mut Process, order: Order) -> io::Result<()> {
        let (message, tap) = match order {
            Order::Snapshot { source, reply } => (self.ask_for_snapshot(source, reply), TapChange::None),
            order => self.take(order),
        };
        if let Some(message) = message {
            process.tell(&message).await?;
        }
        self.tap(process, tap)
    }

    /// Notes what is wanted from now on.
    fn take(&mut self, order: Order) -> (Option<ToMixer>, TapChange) {
        let gone = match &order {
            Order::RemoveTarget(id) => Some(*id),
            Order::RemoveForward(id) => {
                self.spec.forwards.forget(self.desired.room(), *id);
                None
            }
            Order::Add(_)
            | Order::Remove(_)
            | Order::Mute { .. }
            | Order::Volume { .. }
            | Order::Speaking { .. }
            | Order::Scene(_)
            | Order::AddTarget(_)
            | Order::Record(_)
            | Order::AddForward(_)
            | Order::Snapshot { .. }
            | Order::Filter { .. }
            | Order::Stop => None,
        };
        let done = self.desired.apply(order);
        if let Some(target) = gone {
            self.spec.targets.forget(self.desired.room(), target);
        }
        self.view
            .send_modify(|view| view.targets = self.desired.target_views());
        done
    }

    fn tap(&self, process: &Process, change: TapChange) -> io::Result<()> {
        match change {
            TapChange::None => {}
            TapChange::Tap(source, host) => {
                apply(
                    &self.plane,
                    Command::Tap {
                        source,
                        host,
                        socket: process.media()?,
                    },
                );
                apply(&self.plane, Command::RequestKeyFrame { source });
            }
            TapChange::Untap(source) => apply(&self.plane, Command::Untap { source }),
        }
        Ok(())
    }

    fn hear(&mut self, message: FromMixer) {
        match message {
            // A second hello is odd, but harmless.
            FromMixer::Hello { .. } => {}
            FromMixer::Stats(stats) => self.hear_stats(stats),
            FromMixer::KeyFrameNeeded { host } => {
                if let Some(source) = self.desired.source_of(host) {
                    apply(&self.plane, Command::RequestKeyFrame { source });
                }
            }
            FromMixer::Target { id, state } => self.hear_target(id, state),
            FromMixer::NoSnapshot { request, reason } => self.hear_no_snapshot(request, reason),
            FromMixer::Shown { host, width, height } => self.hear_shown(host, Shown { width, height }),
        }
    }

    fn hear_shown(&mut self, host: HostId, shown: Shown) {
        tracing::debug!(room = self.desired.room(), host = host.0, ?shown, "shown at");
        // It may have left while this was on its way.
        let Some((source, before)) = self.desired.set_shown(host, shown) else {
            return;
        };
        apply(&self.plane, Command::Shown { source, shown });
        // What was not shown was not decoded either.
        if before.is_some_and(Shown::is_hidden) && !shown.is_hidden() {
            apply(&self.plane, Command::RequestKeyFrame { source });
        }
    }

    /// The message that asks for it; nothing if it is refused at once.
    fn ask_for_snapshot(&mut self, source: Option<EndpointId>, reply: SnapshotReply) -> Option<ToMixer> {
        let host = source.map(|source| self.desired.host_of(source));
        if host == Some(None) {
            // Who went away does not want its answer.
            let _ = reply.send(Err(NoSnapshot::NoVideo.into()));
            return None;
        }
        let request = self.requests.push(reply)?;
        Some(ToMixer::TakeSnapshot {
            request,
            host: host.flatten(),
        })
    }

    fn hear_snapshot(&mut self, snapshot: Snapshot) {
        let snapshots = &self.spec.snapshots;
        if let Some(request) = snapshot.header.request {
            snapshots.metrics.count("answered");
            return self.requests.answer(request, Ok(snapshot));
        }
        let host = snapshot.header.host;
        match host.map(|host| self.desired.name_of(host)) {
            None => snapshots.keep(self.desired.room(), None, snapshot),
            Some(Some(user)) => snapshots.keep(self.desired.room(), Some(user), snapshot),
            // It left while its picture was on the way.
            Some(None) => snapshots.metrics.count("failed"),
        }
    }

    fn hear_no_snapshot(&mut self, request: Option<SnapshotId>, reason: NoSnapshot) {
        let Some(request) = request else {
            return self.spec.snapshots.metrics.count("failed");
        };
        self.spec.snapshots.metrics.count("refused");
        self.requests.answer(request, Err(SnapshotError::None(reason)));
    }

    fn hear_stats(&mut self, mut stats: MixStats) {
        self.hear_recordings(&mut stats);
        self.desired.set_target_stats(&stats.targets);
        let room = self.desired.room();
        for forward in &stats.forwards {
            // One that was taken away while this was on its way has no series any more.
            if self.desired.forwards().iter().any(|known| known.id == forward.id) {
                self.spec.forwards.show(room, forward);
            }
        }
        for target in self.desired.targets() {
            // Again and again: a mixer of the same room that ended late takes its series with it, and these have the same names.
            self.spec.targets.state(room, target.spec.id, &target.state);
            if let Some(stats) = &target.stats {
                self.spec.targets.stats(room, stats);
            }
        }
        if let Some(vision) = &stats.vision {
            self.spec.vision.metrics.show(room, vision);
        }
        let vision_pid = self.vision.as_mut().and_then(|vision| {
            vision.seen(stats.vision.is_some_and(|stats| stats.connected));
            vision.pid()
        });
        self.view.send_modify(|view| {
            view.targets = self.desired.target_views();
            view.recordings = self.desired.recordings.views();
            view.stats = Some(stats);
            view.vision_pid = vision_pid;
        });
    }

    fn hear_recordings(&mut self, stats: &mut MixStats) {
        let said = std::mem::take(&mut stats.recordings);
        let alarms = self.desired.recordings.hear(said, &self.spec.recordings);
        let room = self.desired.room();
        for alarm in &alarms {
            tracing::error!(
                room,
                file = alarm.file,
                state = alarm.state,
                reason = alarm.reason,
                "recording failed"
            );
            let recording = Recording {
                file: &alarm.file,
                user: alarm.host.as_deref(),
                state: alarm.state,
                reason: &alarm.reason,
            };
            self.spec
                .webhooks
                .say(&Event::RecordingFailed { room, recording });
        }
    }

    fn hear_target(&mut self, id: TargetId, state: TargetState) {
        let room = self.desired.room().to_owned();
        tracing::info!(room, target = id.0, ?state, "target");
        // It may have been taken away while this was on its way.
        let Some(target) = self.desired.set_target(id, state) else {
            return;
        };
        self.spec.targets.state(&room, id, &target.state);
        let (state, reason) = target.state();
        let target = Target {
            id: id.0,
            url: &target.spec.shown(),
            state,
            reason,
        };
        self.spec
            .webhooks
            .say(&Event::TargetState { room: &room, target });
        self.view
            .send_modify(|view| view.targets = self.desired.target_views());
    }

    fn mark_restarting(&mut self, reason: &str) {
        let room = self.desired.room();
        self.spec.webhooks.say(&Event::MixerRestarted { room, reason });
        for target in self.desired.targets() {
            self.spec
                .targets
                .state(room, target.spec.id, &TargetState::Connecting);
        }
        self.desired.forget_process();
        self.desired.recordings.forget_process(&self.spec.recordings);
        self.requests.give_up();
        self.spec.restarts.inc();
        self.view.send_modify(|view| {
            "restarting".clone_into(&mut view.state);
            view.pid = None;
            view.vision_pid = None;
            view.restarts += 1;
            view.stats = None;
            view.recordings = self.desired.recordings.views();
            view.targets = self.desired.target_views();
        });
    }

    /// Waits, still taking orders; `true` when one of them was to stop.
    async fn pause(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = sleep_until(until) => return false,
                order = self.orders.recv() => match order {
                    None | Some(Order::Stop) => return true,
                    Some(Order::Snapshot { reply, .. }) => drop(reply.send(Err(SnapshotError::Starting))),
                    Some(order) => drop(self.take(order)),
                },
            }
        }
    }

    fn untap_all(&self) {
        for (source, _) in self.desired.taps() {
            apply(&self.plane, Command::Untap { source });
        }
    }
}
