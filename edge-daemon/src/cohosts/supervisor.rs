//! Keeps one co-host in its room for as long as it publishes.

use super::CohostSpec;
use super::metrics::Shown;
use super::process::{Fed, Process};
use crate::child::Backoff;
use crate::handle::EdgeHandle;
use crate::webhooks::Event;
use lianmai_bridge_control::BridgeStats;
use lianmai_origin::{Cohost, FlvStream};
use std::io;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// Whoever comes later waits for a key frame, and the publisher cannot be asked for one.
const LONG_GOP_MS: u64 = 4000;

pub(super) struct Supervisor {
    spec: CohostSpec,
    edge: EdgeHandle,
    cohost: Cohost,
    /// It was told that it may publish.
    accepted: bool,
}

/// How one life of the bridge ended.
enum End {
    /// With the publisher.
    Left,
    /// The room or the bridge does not want the stream, and will not the next time.
    Refused(String),
    /// The process failed.
    Failed(io::Error),
}

impl Supervisor {
    pub(super) const fn new(spec: CohostSpec, edge: EdgeHandle, cohost: Cohost) -> Self {
        Self {
            spec,
            edge,
            cohost,
            accepted: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let started = Instant::now();
            let error = match self.live().await {
                End::Left => {
                    tracing::info!(
                        room = self.cohost.room(),
                        user = self.cohost.user(),
                        "co-host left"
                    );
                    return;
                }
                End::Refused(reason) => return self.dismiss(reason),
                End::Failed(error) if !self.accepted => {
                    return self.dismiss(format!("the edge cannot bring it into the room: {error}"));
                }
                End::Failed(error) => error.to_string(),
            };
            let wait = backoff.after(started.elapsed());
            let (room, user) = (self.cohost.room(), self.cohost.user());
            tracing::warn!(
                room,
                user,
                error,
                ?wait,
                "bridge of a co-host failed; starting it again"
            );
            self.spec.metrics.restarts.inc();
            self.spec.webhooks.say(&Event::CohostRestarted {
                room,
                user,
                reason: &error,
            });
            sleep(wait).await;
        }
    }

    /// One process from start to end.
    async fn live(&mut self) -> End {
        let Some(stream) = self.cohost.stream() else {
            return End::Left;
        };
        let (mut process, offer) = match Process::start(&self.spec).await {
            Ok(started) => started,
            Err(error) => return End::Failed(error),
        };
        let (over, ended) = oneshot::channel();
        let (room, user) = (self.cohost.room().to_owned(), self.cohost.user().to_owned());
        let joined = self.edge.cohost_publish(room, user, offer, over).await;
        let session = match joined {
            Ok(session) => session,
            Err(error) => return End::Refused(error.to_string()),
        };
        let shown = self.spec.metrics.shown(self.cohost.room(), self.cohost.user());
        let end = tokio::select! {
            end = self.publish(&mut process, session.answer, stream, &shown) => end,
            _ = ended => End::Refused("the room let it go: it was evicted, or the room was closed".to_owned()),
        };
        // The room knows before the process has ended. A session that is over already is what was wanted.
        let _ = self.edge.delete(session.id).await;
        drop(shown);
        process.finish().await;
        end
    }

    async fn publish(
        &mut self,
        process: &mut Process,
        answer: String,
        mut stream: FlvStream,
        shown: &Shown,
    ) -> End {
        if let Err(error) = process.answer(answer).await {
            return End::Failed(error);
        }
        self.cohost.accept();
        self.accepted = true;
        let (room, user) = (self.cohost.room(), self.cohost.user());
        tracing::info!(room, user, address = %self.cohost.address, pid = process.pid(), "co-host joins");
        let mut long = false;
        let hear = |stats: BridgeStats| {
            shown.stats(stats);
            // Once is enough.
            if stats.longest_gop_ms > LONG_GOP_MS && !std::mem::replace(&mut long, true) {
                warn_of_long_gop(room, user);
            }
        };
        match process.feed(&mut stream, hear).await {
            Ok(Fed::Ended) => End::Left,
            Ok(Fed::Refused(reason)) => End::Refused(reason),
            Err(error) => End::Failed(error),
        }
    }

    fn dismiss(self, reason: String) {
        let (room, user) = (self.cohost.room(), self.cohost.user());
        tracing::warn!(room, user, address = %self.cohost.address, reason, "co-host refused");
        self.spec.metrics.refused.inc();
        self.spec.webhooks.say(&Event::CohostRefused {
            room,
            user,
            reason: &reason,
        });
        self.cohost.dismiss(reason);
    }
}

fn warn_of_long_gop(room: &str, user: &str) {
    tracing::warn!(
        room,
        user,
        "more than {} s between the key frames of a co-host: whoever joins later waits for so long to see it",
        LONG_GOP_MS / 1000
    );
}
