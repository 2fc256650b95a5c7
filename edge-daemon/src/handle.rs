//! How the HTTP side speaks to the edge: every call is one message to the task that owns all state.

pub(crate) use lianmai_room::Patched;

use crate::edge::{FilterError, ForwardError, RecordError, TargetError};
use crate::snapshots::{Snapshot, SnapshotError};
use crate::view::{ForwardView, RoomRecordingView, RoomView, StatsView, TargetView};
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::scene::Scene;
use lianmai_mixer_control::{Forward, ForwardId, Record, TargetId, TargetOptions, TargetUrl, Volume};
use lianmai_room::{ConnectionId, ResourceError, ResourceId, RoomError};
use std::net::IpAddr;
use tokio::sync::{mpsc, oneshot};

/// What a WebSocket connection is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketOutput {
    /// Send this text frame.
    Text(String),
    /// Close the WebSocket.
    Close,
}

/// A WHIP or WHEP session as its creator sees it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// Part of the session's URL; unguessable.
    pub(crate) id: ResourceId,
    /// The SDP answer.
    pub(crate) answer: String,
    /// The entity tag of the current ICE session (RFC 9725 §4.3.1), without quotes.
    pub(crate) etag: String,
}

/// Why a request cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EdgeError {
    /// The rooms refused it.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A WHIP or WHEP session refused it.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A target cannot be added or taken away.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A recording cannot begin.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A forward cannot be added, described or taken away.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A participant's pictures cannot be filtered so.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The edge is shutting down.
    #[error("the edge is shutting down")]
    ShuttingDown,
}

/// One more place for a room's mix.
#[derive(Clone, Debug)]
pub(crate) struct NewTarget {
    /// `{room}` is replaced.
    pub(crate) url: TargetUrl,
    /// How.
    pub(crate) options: TargetOptions,
}

/// One more place for a host's stream.
#[derive(Clone, Debug)]
pub(crate) struct NewForward {
    /// Where to.
    pub(crate) address: IpAddr,
    /// For its audio.
    pub(crate) audio_port: Option<u16>,
    /// For its video.
    pub(crate) video_port: Option<u16>,
    /// How often it is asked for a key frame.
    pub(crate) key_frame_seconds: u32,
}

impl NewForward {
    /// As a forward of a user.
    pub(crate) fn named(&self, id: ForwardId, user: &str) -> Forward {
        Forward {
            id,
            user: user.to_owned(),
            address: self.address,
            audio_port: self.audio_port,
            video_port: self.video_port,
            key_frame_seconds: self.key_frame_seconds,
        }
    }

    /// Whether it can be forwarded to.
    pub(crate) fn check(&self) -> Result<(), ForwardError> {
        Ok(self.named(ForwardId(0), "").check()?)
    }
}

/// A snapshot that is being made.
type Coming = oneshot::Receiver<Result<Snapshot, SnapshotError>>;

/// One message to the edge.
#[derive(Debug)]
pub(crate) enum Request {
    SocketOpened {
        output: mpsc::Sender<SocketOutput>,
        reply: oneshot::Sender<ConnectionId>,
    },
    SocketText {
        connection: ConnectionId,
        text: String,
    },
    SocketClosed {
        connection: ConnectionId,
    },
    WhipPublish {
        room: String,
        user: String,
        offer: String,
        reply: Reply<Resource>,
    },
    /// An RTMP co-host publishes; `over` is told when its room ends the session.
    CohostPublish {
        room: String,
        user: String,
        offer: String,
        over: oneshot::Sender<()>,
        reply: Reply<Resource>,
    },
    WhepSubscribe {
        room: String,
        user: String,
        offer: String,
        reply: Reply<Resource>,
    },
    Patch {
        resource: ResourceId,
        if_match: Option<String>,
        fragment: String,
        reply: Reply<Patched>,
    },
    Delete {
        resource: ResourceId,
        reply: Reply<()>,
    },
    Rooms {
        reply: Reply<Vec<RoomView>>,
    },
    Stats {
        reply: Reply<StatsView>,
    },
    Kick {
        room: String,
        user: String,
        reply: Reply<()>,
    },
    CloseRoom {
        room: String,
        reply: Reply<()>,
    },
    Layout {
        room: String,
        reply: Reply<Box<Scene>>,
    },
    SetLayout {
        room: String,
        scene: Box<Scene>,
        reply: Reply<()>,
    },
    Mute {
        room: String,
        user: String,
        audio: bool,
        reply: Reply<()>,
    },
    Targets {
        room: String,
        reply: Reply<Vec<TargetView>>,
    },
    AddTarget {
        room: String,
        target: NewTarget,
        reply: Reply<TargetView>,
    },
    RemoveTarget {
        room: String,
        id: TargetId,
        reply: Reply<()>,
    },
    SetVolume {
        room: String,
        user: String,
        volume: Volume,
        reply: Reply<()>,
    },
    Recording {
        room: String,
        reply: Reply<RoomRecordingView>,
    },
    SetRecording {
        room: String,
        record: Record,
        reply: Reply<RoomRecordingView>,
    },
    Snapshot {
        room: String,
        user: Option<String>,
        reply: Reply<Coming>,
    },
    Forwards {
        room: String,
        user: String,
        reply: Reply<Vec<ForwardView>>,
    },
    AddForward {
        room: String,
        user: String,
        forward: NewForward,
        reply: Reply<ForwardView>,
    },
    RemoveForward {
        room: String,
        user: String,
        id: ForwardId,
        reply: Reply<()>,
    },
    DescribeForward {
        room: String,
        user: String,
        id: ForwardId,
        reply: Reply<String>,
    },
    Filters {
        room: String,
        user: String,
        reply: Reply<Filters>,
    },
    SetFilters {
        room: String,
        user: String,
        filters: Filters,
        reply: Reply<()>,
    },
}

type Reply<T> = oneshot::Sender<Result<T, EdgeError>>;

/// A cheap handle; clones reach the same edge.
#[derive(Clone, Debug)]
pub(crate) struct EdgeHandle {
    requests: mpsc::Sender<Request>,
}

impl EdgeHandle {
    pub(crate) const fn new(requests: mpsc::Sender<Request>) -> Self {
        Self { requests }
    }

    /// A WebSocket opened on `/room`. What the edge says to it comes out of the receiver, in order; a receiver
    /// that stays full is dropped and the connection closed.
    pub(crate) async fn socket_opened(
        &self,
    ) -> Result<(ConnectionId, mpsc::Receiver<SocketOutput>), EdgeError> {
        const QUEUE: usize = 256;
        let (output, receiver) = mpsc::channel(QUEUE);
        let (reply, answer) = oneshot::channel();
        self.send(Request::SocketOpened { output, reply }).await?;
        Ok((answer.await.map_err(|_| EdgeError::ShuttingDown)?, receiver))
    }

    /// A text frame came in.
    pub(crate) async fn socket_text(&self, connection: ConnectionId, text: String) -> Result<(), EdgeError> {
        self.send(Request::SocketText { connection, text }).await
    }

    /// The WebSocket is gone, for whatever reason.
    pub(crate) async fn socket_closed(&self, connection: ConnectionId) -> Result<(), EdgeError> {
        self.send(Request::SocketClosed { connection }).await
    }

    /// WHIP: `user` joins `room` and publishes.
    pub(crate) async fn whip_publish(
        &self,
        room: String,
        user: String,
        offer: String,
    ) -> Result<Resource, EdgeError> {
        self.ask(|reply| Request::WhipPublish {
            room,
            user,
            offer,
            reply,
        })
        .await
    }

    /// An RTMP co-host joins like a WHIP client; `over` is told when its room ends the session.
    pub(crate) async fn cohost_publish(
        &self,
        room: String,
        user: String,
        offer: String,
        over: oneshot::Sender<()>,
    ) -> Result<Resource, EdgeError> {
        self.ask(|reply| Request::CohostPublish {
            room,
            user,
            offer,
            over,
            reply,
        })
        .await
    }

    /// WHEP: receive what `user` publishes in `room`, without being a participant.
    pub(crate) async fn whep_subscribe(
        &self,
        room: String,
        user: String,
        offer: String,
    ) -> Result<Resource, EdgeError> {
        self.ask(|reply| Request::WhepSubscribe {
            room,
            user,
            offer,
            reply,
        })
        .await
    }

    /// Trickle candidates or restart ICE (RFC 9725 §4.3).
    pub(crate) async fn patch(
        &self,
        resource: ResourceId,
        if_match: Option<String>,
        fragment: String,
    ) -> Result<Patched, EdgeError> {
        self.ask(|reply| Request::Patch {
            resource,
            if_match,
            fragment,
            reply,
        })
        .await
    }

    /// End a WHIP or WHEP session.
    pub(crate) async fn delete(&self, resource: ResourceId) -> Result<(), EdgeError> {
        self.ask(|reply| Request::Delete { resource, reply }).await
    }

    /// Every room with its participants, streams and mixer.
    pub(crate) async fn rooms(&self) -> Result<Vec<RoomView>, EdgeError> {
        self.ask(|reply| Request::Rooms { reply }).await
    }

    /// Totals and the time through the daemon.
    pub(crate) async fn stats(&self) -> Result<StatsView, EdgeError> {
        self.ask(|reply| Request::Stats { reply }).await
    }

    /// Evict a participant.
    pub(crate) async fn kick(&self, room: String, user: String) -> Result<(), EdgeError> {
        self.ask(|reply| Request::Kick { room, user, reply }).await
    }

    /// Close a room and evict everybody in it.
    pub(crate) async fn close_room(&self, room: String) -> Result<(), EdgeError> {
        self.ask(|reply| Request::CloseRoom { room, reply }).await
    }

    /// Take a participant's sound out of the mix, or bring it back.
    pub(crate) async fn mute(&self, room: String, user: String, audio: bool) -> Result<(), EdgeError> {
        self.ask(|reply| Request::Mute {
            room,
            user,
            audio,
            reply,
        })
        .await
    }

    /// What a room looks like in the mix.
    pub(crate) async fn layout(&self, room: String) -> Result<Box<Scene>, EdgeError> {
        self.ask(|reply| Request::Layout { room, reply }).await
    }

    /// What a room is to look like in the mix.
    pub(crate) async fn set_layout(&self, room: String, scene: Box<Scene>) -> Result<(), EdgeError> {
        self.ask(|reply| Request::SetLayout { room, scene, reply }).await
    }

    /// Where a room's mix is published to.
    pub(crate) async fn targets(&self, room: String) -> Result<Vec<TargetView>, EdgeError> {
        self.ask(|reply| Request::Targets { room, reply }).await
    }

    /// Publish a room's mix to one more place.
    pub(crate) async fn add_target(&self, room: String, target: NewTarget) -> Result<TargetView, EdgeError> {
        self.ask(|reply| Request::AddTarget { room, target, reply }).await
    }

    /// Publish it there no longer.
    pub(crate) async fn remove_target(&self, room: String, id: TargetId) -> Result<(), EdgeError> {
        self.ask(|reply| Request::RemoveTarget { room, id, reply }).await
    }

    /// Make a participant louder or softer in the mix.
    pub(crate) async fn set_volume(
        &self,
        room: String,
        user: String,
        volume: Volume,
    ) -> Result<(), EdgeError> {
        self.ask(|reply| Request::SetVolume {
            room,
            user,
            volume,
            reply,
        })
        .await
    }

    /// What of a room is recorded, and its files.
    pub(crate) async fn recording(&self, room: String) -> Result<RoomRecordingView, EdgeError> {
        self.ask(|reply| Request::Recording { room, reply }).await
    }

    /// What of it is recorded from now on.
    pub(crate) async fn set_recording(
        &self,
        room: String,
        record: Record,
    ) -> Result<RoomRecordingView, EdgeError> {
        self.ask(|reply| Request::SetRecording { room, record, reply })
            .await
    }

    /// A snapshot of a user, or of the mix.
    pub(crate) async fn snapshot(&self, room: String, user: Option<String>) -> Result<Snapshot, EdgeError> {
        let coming = self.ask(|reply| Request::Snapshot { room, user, reply }).await?;
        // A mixer that ended meanwhile is started again, or its room is over.
        Ok(coming.await.unwrap_or(Err(SnapshotError::Starting))?)
    }

    /// Where a user's stream is sent on to.
    pub(crate) async fn forwards(&self, room: String, user: String) -> Result<Vec<ForwardView>, EdgeError> {
        self.ask(|reply| Request::Forwards { room, user, reply }).await
    }

    /// Send it on to one more place.
    pub(crate) async fn add_forward(
        &self,
        room: String,
        user: String,
        forward: NewForward,
    ) -> Result<ForwardView, EdgeError> {
        self.ask(|reply| Request::AddForward {
            room,
            user,
            forward,
            reply,
        })
        .await
    }

    /// Send it there no longer.
    pub(crate) async fn remove_forward(
        &self,
        room: String,
        user: String,
        id: ForwardId,
    ) -> Result<(), EdgeError> {
        self.ask(|reply| Request::RemoveForward {
            room,
            user,
            id,
            reply,
        })
        .await
    }

    /// The SDP file of a forward.
    pub(crate) async fn describe_forward(
        &self,
        room: String,
        user: String,
        id: ForwardId,
    ) -> Result<String, EdgeError> {
        self.ask(|reply| Request::DescribeForward {
            room,
            user,
            id,
            reply,
        })
        .await
    }

    /// What is done to a participant's pictures before they are mixed.
    pub(crate) async fn filters(&self, room: String, user: String) -> Result<Filters, EdgeError> {
        self.ask(|reply| Request::Filters { room, user, reply }).await
    }

    /// What is to be done to them.
    pub(crate) async fn set_filters(
        &self,
        room: String,
        user: String,
        filters: Filters,
    ) -> Result<(), EdgeError> {
        self.ask(|reply| Request::SetFilters {
            room,
            user,
            filters,
            reply,
        })
        .await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, EdgeError> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        answer.await.map_err(|_| EdgeError::ShuttingDown)?
    }

    async fn send(&self, request: Request) -> Result<(), EdgeError> {
        self.requests
            .send(request)
            .await
            .map_err(|_| EdgeError::ShuttingDown)
    }
}
