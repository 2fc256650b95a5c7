//! Keeps one room's mixer running.

use super::MixerSpec;
use super::process::Process;
use super::state::{Desired, Order, TapChange};
use crate::command::apply;
use crate::view::MixerView;
use crate::webhooks::{Event, Target};
use lianmai_mixer_control::media::HostId;
use lianmai_mixer_control::{FromMixer, MixStats, TargetId, TargetState, ToMixer};
use lianmai_plane::{Command, PlaneHandle, Shown};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// A process that lived this long failed by accident; one that did not will likely fail again.
const STEADY: Duration = Duration::from_secs(10);

/// The longest wait between two starts.
const MAX_WAIT: Duration = Duration::from_secs(2);

pub(super) struct Supervisor {
    spec: MixerSpec,
    desired: Desired,
    orders: mpsc::UnboundedReceiver<Order>,
    view: watch::Sender<MixerView>,
    plane: PlaneHandle,
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
        }
    }

    pub(super) async fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            let started = Instant::now();
            let End::Failed(error) = self.live().await else {
                break;
            };
            wait = if started.elapsed() > STEADY {
                Duration::ZERO
            } else {
                next_wait(wait)
            };
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
        let room = self.desired.room();
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
        match self.serve(&mut process).await {
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
        for (source, host) in self.desired.taps() {
            self.tap(process, TapChange::Tap(source, host))?;
        }
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
                message = process.next() => self.hear(message?),
            }
        }
    }

    async fn pass_on(&mut self, process: &mut Process, order: Order) -> io::Result<()> {
        let (message, tap) = self.take(order);
        if let Some(message) = message {
            process.tell(&message).await?;
        }
        self.tap(process, tap)
    }

    /// Notes what is wanted from now on.
    fn take(&mut self, order: Order) -> (Option<ToMixer>, TapChange) {
        let gone = match &order {
            Order::RemoveTarget(id) => Some(*id),
            Order::Add(_)
            | Order::Remove(_)
            | Order::Mute { .. }
            | Order::Speaking { .. }
            | Order::Scene(_)
            | Order::AddTarget(_)
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

    fn hear_stats(&mut self, stats: MixStats) {
        self.desired.set_target_stats(&stats.targets);
        let room = self.desired.room();
        for target in self.desired.targets() {
            // Again and again: a mixer of the same room that ended late takes its series with it, and these have the same names.
            self.spec.targets.state(room, target.spec.id, &target.state);
            if let Some(stats) = &target.stats {
                self.spec.targets.stats(room, stats);
            }
        }
        self.view.send_modify(|view| {
            view.targets = self.desired.target_views();
            view.stats = Some(stats);
        });
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
        self.spec.restarts.inc();
        self.view.send_modify(|view| {
            "restarting".clone_into(&mut view.state);
            view.pid = None;
            view.restarts += 1;
            view.stats = None;
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

fn next_wait(wait: Duration) -> Duration {
    (wait * 2).clamp(Duration::from_millis(200), MAX_WAIT)
}
