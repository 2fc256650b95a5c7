//! The one task that owns all state: rooms, sessions, mixers. Everybody else sends it messages.

mod cohosts;
mod filters;
mod forwards;
mod handover;
mod idle;
mod inspect;
mod media;
mod metrics;
mod mix;
mod overview;
mod recordings;
mod scenes;
mod targets;

pub(crate) use filters::{FilterError, SavedFilters};
pub(crate) use forwards::{ForwardError, RoomForwards};
pub(crate) use media::MediaSetup;
pub(crate) use metrics::Metrics;
pub(crate) use mix::MixSetup;
pub(crate) use recordings::RecordError;
pub(crate) use targets::{MAX_TARGETS, RoomTargets, TargetError, Template};

use crate::handle::{EdgeError, EdgeHandle, NewTarget, Request, Resource, SocketOutput};
use crate::handover::Saver;
use crate::view::{RoomRecordingView, TargetView};
use crate::webhooks::{Event, Webhooks};
use cohosts::Cohosts;
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::{Record, TargetId};
use lianmai_plane::Event as PlaneEvent;
use lianmai_room::{ConnectionId, EndpointLoss, Limits, Output, Signalling, WhipSession};
use lianmai_webrtc::{LostReason, TransportEvent};
use media::Media;
use mix::Mixes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

/// Requests that wait for the task; senders wait when it is full.
const REQUESTS: usize = 1024;

/// How often the task wakes when nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// The task's state.
pub(crate) struct Edge {
    signalling: Signalling,
    media: Media,
    mixes: Mixes,
    cohosts: Cohosts,
    sockets: BTreeMap<ConnectionId, mpsc::Sender<SocketOutput>>,
    requests: mpsc::Receiver<Request>,
    started: Instant,
    metrics: Metrics,
    webhooks: Webhooks,
    /// Those of snapshots.
    picture_webhooks: Webhooks,
    saver: Option<Saver>,
    /// The revision of the rooms that the saver knows of.
    seen: u64,
}

/// Where the task hears of media.
pub(crate) struct Events {
    /// ICE and DTLS.
    pub(crate) transport: mpsc::Receiver<TransportEvent>,
    /// The data plane.
    pub(crate) plane: mpsc::Receiver<PlaneEvent>,
}

impl Edge {
    /// An edge without rooms, and the handle by which the HTTP side reaches it.
    pub(crate) fn new(
        media: MediaSetup,
        mixes: MixSetup,
        metrics: Metrics,
        seed: [u8; 32],
    ) -> (Self, EdgeHandle) {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let mut edge = Self {
            signalling: Signalling::new(Limits::default(), seed),
            webhooks: mixes.spec.webhooks.clone(),
            picture_webhooks: mixes.spec.snapshots.webhooks.clone(),
            mixes: Mixes::new(mixes, media.plane.clone(), &metrics),
            media: Media::new(media, metrics.endpoints.clone()),
            cohosts: Cohosts::default(),
            sockets: BTreeMap::new(),
            requests,
            saver: None,
            seen: 0,
            started: Instant::now(),
            metrics,
        };
        edge.signalling.set_scene_rules(edge.mixes.scene_rules());
        (edge, EdgeHandle::new(sender))
    }

    /// Serves until `shutdown`, then takes leave of everybody and waits for the mixers to finish.
    pub(crate) async fn run(mut self, mut events: Events, shutdown: CancellationToken) {
        self.carry_out();
        loop {
            let due = self.due();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(request) = self.requests.recv() => self.serve(request),
                Some(event) = events.transport.recv() => self.transport(event),
                Some(event) = events.plane.recv() => self.plane(&event),
                () = sleep_until(due.into()) => self.timeout(),
            }
            self.carry_out();
        }
        self.signalling.shutdown(&mut self.media);
        self.urgent();
        self.carry_out();
        self.mixes.finish().await;
        let webhooks = [self.webhooks, self.picture_webhooks];
        // It blocks for two seconds each at most; a panic in there concerns nobody any more.
        let _ = tokio::task::spawn_blocking(move || webhooks.iter().for_each(Webhooks::finish)).await;
    }

    fn targets(&mut self, room: &str) -> Result<Vec<TargetView>, TargetError> {
        self.must_be_there(room)?;
        Ok(self.mixes.targets(room))
    }

    fn add_target(&mut self, room: &str, target: NewTarget) -> Result<TargetView, TargetError> {
        self.must_be_there(room)?;
        self.mixes.add_target(room, target)
    }

    fn remove_target(&mut self, room: &str, id: TargetId) -> Result<(), TargetError> {
        self.must_be_there(room)?;
        self.mixes.remove_target(room, id)
    }

    fn recording(&self, room: &str) -> Result<RoomRecordingView, EdgeError> {
        self.must_be_there(room)?;
        Ok(self.mixes.recording(room))
    }

    fn set_recording(&mut self, room: &str, record: Record) -> Result<RoomRecordingView, EdgeError> {
        self.must_be_there(room)?;
        self.mixes.set_recording(room, record)?;
        Ok(self.mixes.recording(room))
    }

    /// A room has targets as long as it is open, or its mix goes on.
    fn must_be_there(&self, room: &str) -> Result<(), TargetError> {
        let is_open = self.signalling.rooms().any(|open| open.name == room);
        if is_open || self.mixes.view(room).is_some() {
            return Ok(());
        }
        Err(TargetError::NoRoom(room.to_owned()))
    }

    fn filters(&self, room: &str, user: &str) -> Result<Filters, FilterError> {
        self.signalling.find_participant(room, user)?;
        Ok(self.mixes.filters(room, user).clone())
    }

    fn set_filters(&mut self, room: &str, user: &str, filters: &Filters) -> Result<(), FilterError> {
        self.signalling.find_participant(room, user)?;
        self.mixes.set_filters(room, user, filters)
    }

    fn due(&self) -> Instant {
        let now = Instant::now();
        let save = self.saver.as_ref().and_then(|saver| saver.next(now));
        let rooms = self.signalling.next_timeout().into_iter();
        let due = rooms.chain(save).chain(self.mixes.next_timeout()).min();
        due.unwrap_or(now + IDLE)
    }

    fn timeout(&mut self) {
        let now = Instant::now();
        self.signalling.handle_timeout(now, &mut self.media);
        self.mixes.handle_timeout(now);
    }

    fn serve(&mut self, request: Request) {
        let now = Instant::now();
        let Self {
            signalling, media, ..
        } = self;
        match request {
            Request::SocketOpened { output, reply } => {
                let connection = signalling.connection_opened(now);
                self.sockets.insert(connection, output);
                // Whoever no longer waits has closed its socket, and will say so.
                let _ = reply.send(connection);
            }
            Request::SocketText { connection, text } => {
                signalling.connection_text(now, connection, &text, media);
            }
            Request::SocketClosed { connection } => self.forget_socket(now, connection),
            Request::WhipPublish {
                room,
                user,
                offer,
                reply,
            } => {
                respond(
                    reply,
                    signalling
                        .whip_publish(now, &room, &user, &offer, media)
                        .map(resource),
                );
            }
            Request::WhepSubscribe {
                room,
                user,
                offer,
                reply,
            } => {
                respond(
                    reply,
                    signalling
                        .whep_subscribe(now, &room, &user, &offer, media)
                        .map(resource),
                );
            }
            Request::CohostPublish {
                room,
                user,
                offer,
                over,
                reply,
            } => respond(reply, self.cohost_publish(&room, &user, &offer, over)),
            Request::Patch {
                resource,
                if_match,
                fragment,
                reply,
            } => {
                respond(
                    reply,
                    signalling.patch(resource, if_match.as_deref(), &fragment, media),
                );
            }
            Request::Delete { resource, reply } => {
                respond(reply, signalling.delete(resource, media));
                self.cohosts.ended(resource);
            }
            Request::Rooms { reply } => self.show_rooms(reply),
            Request::Stats { reply } => self.show_stats(reply),
            Request::Kick { room, user, reply } => respond(reply, signalling.kick(&room, &user, media)),
            Request::CloseRoom { room, reply } => {
                // Whoever closes a room wants no slate of it, and may close one of which only the slate is left.
                let ended = self.mixes.end(&room);
                let closed = signalling.close_room(&room, media);
                respond(reply, if ended { Ok(()) } else { closed });
            }
            Request::Targets { room, reply } => respond(reply, self.targets(&room)),
            Request::AddTarget { room, target, reply } => {
                respond(reply, self.add_target(&room, target));
                self.changed();
            }
            Request::RemoveTarget { room, id, reply } => {
                respond(reply, self.remove_target(&room, id));
                self.changed();
            }
            Request::Snapshot { room, user, reply } => {
                let (sender, answer) = tokio::sync::oneshot::channel();
                match self.snapshot(&room, user.as_deref(), sender) {
                    Ok(()) => drop(reply.send(Ok(answer))),
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            Request::Forwards { room, user, reply } => respond(reply, self.forwards(&room, &user)),
            Request::AddForward {
                room,
                user,
                forward,
                reply,
            } => {
                respond(reply, self.add_forward(&room, &user, &forward));
                self.changed();
            }
            Request::RemoveForward {
                room,
                user,
                id,
                reply,
            } => {
                respond(reply, self.remove_forward(&room, &user, id));
                self.changed();
            }
            Request::DescribeForward {
                room,
                user,
                id,
                reply,
            } => respond(reply, self.describe_forward(&room, &user, id)),
            Request::Layout { room, reply } => respond(reply, signalling.scene(&room).cloned().map(Box::new)),
            Request::SetLayout { room, scene, reply } => {
                respond(reply, signalling.set_scene(&room, *scene));
            }
            Request::Recording { room, reply } => respond(reply, self.recording(&room)),
            Request::SetRecording { room, record, reply } => {
                respond(reply, self.set_recording(&room, record));
                self.changed();
            }
            Request::Mute {
                room,
                user,
                audio,
                reply,
            } => {
                let publication = signalling.publication(&room, &user);
                respond(
                    reply,
                    publication.map(|source| self.mixes.mute(&room, source, audio)),
                );
                self.changed();
            }
            Request::SetVolume {
                room,
                user,
                volume,
                reply,
            } => {
                let publication = signalling.publication(&room, &user);
                respond(
                    reply,
                    publication.map(|source| self.mixes.set_volume(&room, source, volume)),
                );
                self.changed();
            }
            Request::Filters { room, user, reply } => respond(reply, self.filters(&room, &user)),
            Request::SetFilters {
                room,
                user,
                filters,
                reply,
            } => {
                respond(reply, self.set_filters(&room, &user, &filters));
                self.changed();
            }
        }
    }

    fn transport(&mut self, event: TransportEvent) {
        match event {
            // Keys that the next process cannot have from anybody else.
            TransportEvent::Connected { .. } => self.urgent(),
            TransportEvent::Moved { .. } => self.changed(),
            // The former is not written down, and the latter is the rooms'.
            TransportEvent::Checking { .. } | TransportEvent::Lost { .. } => {}
        }
        let Some((endpoint, reason)) = self.media.transport(event) else {
            return;
        };
        tracing::info!(%endpoint, reason = reason.as_str(), "endpoint lost");
        self.signalling
            .endpoint_lost(endpoint, loss(reason), &mut self.media);
    }

    fn plane(&mut self, event: &PlaneEvent) {
        match *event {
            PlaneEvent::MediaStarted { endpoint } => tracing::info!(%endpoint, "media flows"),
            PlaneEvent::Alive { endpoint } => self.media.alive(endpoint),
            PlaneEvent::NotResumed { endpoint } => self.lost_at_restart(endpoint),
            PlaneEvent::AudioLevel {
                source,
                level,
                speaking,
            } => {
                if let Some(room) = self.signalling.set_speaking(source, level, speaking) {
                    self.mixes.speaking(room.as_str(), source, speaking);
                }
            }
        }
    }

    /// Does what the rooms want done, and writes the state down if it is time: before anybody hears of it, so that nobody knows
    /// what the next process does not.
    fn carry_out(&mut self) {
        let outputs: Vec<_> = std::iter::from_fn(|| self.signalling.poll_output()).collect();
        self.save();
        self.execute(outputs);
        // A socket that does not read was closed just now.
        self.look_for_changes();
        self.metrics.show(self.signalling.counters());
        self.webhooks.show();
        self.picture_webhooks.show();
    }

    fn execute(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Text { connection, text } => self.send(connection, SocketOutput::Text(text)),
                Output::Close { connection } => {
                    self.send(connection, SocketOutput::Close);
                    self.sockets.remove(&connection);
                }
                Output::RoomOpened { room } => {
                    tracing::info!(%room, "room opened");
                    self.metrics.rooms.inc();
                    let room = room.as_str();
                    self.mixes.open(room);
                    self.webhooks.say(&Event::RoomOpened { room });
                }
                Output::RoomClosed { room } => {
                    tracing::info!(%room, "room closed");
                    self.metrics.rooms.dec();
                    let room = room.as_str();
                    self.mixes.close(room, Instant::now());
                    self.webhooks.say(&Event::RoomClosed { room });
                }
                Output::Joined { room, user } => {
                    tracing::info!(%room, %user, "joined");
                    self.metrics.participants.inc();
                }
                Output::Left { room, user } => {
                    tracing::info!(%room, %user, "left");
                    self.metrics.participants.dec();
                }
                Output::Published { room, user, endpoint } => {
                    self.webhooks.say(&Event::HostJoined {
                        room: room.as_str(),
                        user: user.as_str(),
                    });
                    self.mixes.add(
                        room.as_str(),
                        user.as_str(),
                        endpoint,
                        self.media.tracks(endpoint),
                    );
                }
                Output::SceneChanged { room, scene } => {
                    tracing::info!(%room, layout = ?scene.layout, "layout changed");
                    self.mixes.set_scene(room.as_str(), scene);
                }
                Output::VolumeChanged {
                    room,
                    endpoint,
                    volume,
                } => {
                    self.mixes.set_volume(room.as_str(), endpoint, volume);
                    self.changed();
                }
                Output::Unpublished { room, user, endpoint } => {
                    let (room, user) = (room.as_str(), user.as_str());
                    self.mixes.remove(room, endpoint, Instant::now());
                    self.webhooks.say(&Event::HostLeft { room, user });
                }
                Output::ResourceEnded { resource } => {
                    tracing::debug!(?resource, "session ended");
                    self.cohosts.ended(resource);
                }
            }
        }
    }

    /// A client that lets its queue fill up reads nothing any more: it is closed like one that went away.
    fn send(&mut self, connection: ConnectionId, output: SocketOutput) {
        let Some(socket) = self.sockets.get(&connection) else {
            return;
        };
        if socket.try_send(output).is_err() {
            tracing::warn!(%connection, "WebSocket does not read; closing it");
            self.forget_socket(Instant::now(), connection);
        }
    }

    fn forget_socket(&mut self, now: Instant, connection: ConnectionId) {
        self.sockets.remove(&connection);
        self.signalling.connection_closed(now, connection);
    }
}

fn respond<T, E: Into<EdgeError>>(
    reply: tokio::sync::oneshot::Sender<Result<T, EdgeError>>,
    result: Result<T, E>,
) {
    // A client that went away does not want its answer.
    let _ = reply.send(result.map_err(Into::into));
}

fn resource(session: WhipSession) -> Resource {
    Resource {
        id: session.resource,
        answer: session.answer,
        etag: session.etag,
    }
}

/// In the terms of the rooms' notifications.
const fn loss(reason: LostReason) -> EndpointLoss {
    match reason {
        LostReason::NeverConnected => EndpointLoss::IceFailed,
        LostReason::ConsentExpired => EndpointLoss::ConsentExpired,
        LostReason::HandshakeTimeout
        | LostReason::HandshakeFailed
        | LostReason::FingerprintMismatch
        | LostReason::NoSrtpProfile => EndpointLoss::DtlsFailed,
        LostReason::PeerClosed => EndpointLoss::PeerClosed,
    }
}
