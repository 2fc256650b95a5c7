//! An edge for the tests of the routes: it answers by simple rules and tells what it was asked.

use super::metrics::Metrics;
use super::routes::{self, Shared};
use super::{AdminAccess, FlvStream, HlsAnswer, LiveStreams, Services};
use crate::edge::{FilterError, RecordError, TargetError};
use crate::handle::{EdgeError, EdgeHandle, Patched, Request, Resource, SocketOutput};
use crate::snapshots::{Snapshot, SnapshotError};
use crate::view::{
    ForwardView, MixerView, ParticipantView, RecordingView, RoomRecordingView, RoomView, StatsView,
    TargetView, TransitView,
};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, StatusCode, request};
use futures_core::Stream;
use lianmai_mixer_control::filter::{Filter, Filters};
use lianmai_mixer_control::{Canvas, NoSnapshot, Record, SnapshotHeader};
use lianmai_origin::{HlsError, HlsFile};
use lianmai_room::{
    ConnectionId, Limits, MediaError, ResourceError, ResourceId, RoomError, RoomName, Signalling, UserName,
};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tower::ServiceExt;

/// The id of every session that the fake edge makes.
pub(super) const SESSION: &str = "0123456789abcdef0123456789abcdef";
/// The entity tag of its first ICE session.
pub(super) const ETAG: &str = "tag-1";

/// What its rooms are shown on.
const CANVAS: Canvas = Canvas {
    width: 1280,
    height: 720,
    fps: 30,
};

/// The handle, and what came through it.
pub(super) struct FakeEdge {
    pub(super) edge: EdgeHandle,
    pub(super) seen: mpsc::UnboundedReceiver<String>,
}

impl FakeEdge {
    pub(super) fn start() -> Self {
        let (requests, mut inbox) = mpsc::channel(16);
        let (seen, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut rules = Rules {
                seen,
                sockets: BTreeMap::new(),
                ids: Signalling::new(Limits::default(), [1; 32]),
            };
            while let Some(request) = inbox.recv().await {
                rules.answer(request);
            }
        });
        Self {
            edge: EdgeHandle::new(requests),
            seen: told,
        }
    }

    pub(super) async fn next(&mut self) -> String {
        self.seen.recv().await.expect("the edge lives")
    }

    pub(super) fn services(&self) -> Services {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        Services {
            edge: self.edge.clone(),
            live: Arc::new(OneStream),
            registry: Arc::new(registry),
            metrics,
        }
    }

    pub(super) fn router(&self, admin: AdminAccess) -> Router {
        let (_, closing) = watch::channel(false);
        routes::router(Shared::new(self.services(), admin, closing))
    }
}

struct Rules {
    seen: mpsc::UnboundedSender<String>,
    sockets: BTreeMap<ConnectionId, mpsc::Sender<SocketOutput>>,
    ids: Signalling,
}

impl Rules {
    fn answer(&mut self, request: Request) {
        match request {
            Request::SocketOpened { output, reply } => {
                let id = self.ids.connection_opened(Instant::now());
                self.sockets.insert(id, output);
                let _ = reply.send(id);
            }
            Request::SocketText { connection, text } => self.text(connection, &text),
            Request::SocketClosed { connection } => {
                self.sockets.remove(&connection);
                self.tell("closed".to_owned());
            }
            Request::WhipPublish {
                room,
                user,
                offer,
                reply,
            } => {
                self.tell(format!("publish {room} {user} {offer}"));
                let _ = reply.send(session(&room, &user, &offer));
            }
            Request::WhepSubscribe {
                room,
                user,
                offer,
                reply,
            } => {
                self.tell(format!("subscribe {room} {user} {offer}"));
                let _ = reply.send(session(&room, &user, &offer));
            }
            // Co-hosts by RTMP do not come by HTTP.
            Request::CohostPublish { .. } => {}
            Request::Patch {
                resource,
                if_match,
                fragment,
                reply,
            } => {
                self.tell(format!("patch {resource} {if_match:?} {fragment}"));
                let _ = reply.send(patched(resource, if_match.as_deref()));
            }
            Request::Delete { resource, reply } => {
                self.tell(format!("delete {resource}"));
                let _ = reply.send(known(resource));
            }
            Request::Rooms { reply } => drop(reply.send(Ok(vec![room()]))),
            Request::Stats { reply } => drop(reply.send(Ok(stats()))),
            Request::Kick { room, user, reply } => {
                self.tell(format!("kick {room} {user}"));
                let _ = reply.send(present(&room, &user));
            }
            Request::CloseRoom { room, reply } => {
                self.tell(format!("close {room}"));
                let _ = reply.send(present(&room, "alice"));
            }
            Request::Layout { room, reply } => {
                let _ = reply.send(present(&room, "alice").map(|()| Box::default()));
            }
            Request::SetLayout { room, scene, reply } => {
                self.tell(format!("layout {room} {:?}", scene.layout));
                let refused = |error| EdgeError::Room(RoomError::Scene(error));
                let checked = scene.check(CANVAS).map_err(refused);
                let _ = reply.send(present(&room, "alice").and(checked));
            }
            Request::Targets { room, reply } => {
                let _ = reply.send(present(&room, "alice").map(|()| vec![target(3)]));
            }
            Request::AddTarget {
                room,
                target: new,
                reply,
            } => {
                self.tell(format!("add target {room} {} {:?}", new.url.0, new.options));
                let _ = reply.send(present(&room, "alice").map(|()| target(4)));
            }
            Request::RemoveTarget { room, id, reply } => {
                self.tell(format!("remove target {room} {}", id.0));
                let known = match id.0 {
                    3 => Ok(()),
                    id => Err(TargetError::NoTarget { room, id }.into()),
                };
                let _ = reply.send(known);
            }
            Request::Recording { room, reply } => {
                let record = Record {
                    mix: true,
                    hosts: false,
                };
                let _ = reply.send(present(&room, "alice").map(|()| recording(record)));
            }
            Request::SetRecording { room, record, reply } => {
                self.tell(format!("record {room} {record:?}"));
                // As an edge without a directory for the hosts' files would.
                let refused = record.hosts.then_some(RecordError::NoDirectory.into());
                let done = refused.map_or(Ok(recording(record)), Err);
                let _ = reply.send(present(&room, "alice").and(done));
            }
            Request::Snapshot { room, user, reply } => {
                self.tell(format!("snapshot {room} {user:?}"));
                let (sender, answer) = oneshot::channel();
                let _ = match room.as_str() {
                    "quiet" => reply.send(Err(SnapshotError::NotMixed(room).into())),
                    "busy" => reply
                        .send(Ok(answer))
                        .map(|()| drop(sender.send(Err(NoSnapshot::Busy.into())))),
                    // Its mixer ends before it answers.
                    "dying" => reply.send(Ok(answer)),
                    _ => reply.send(Ok(answer)).map(|()| drop(sender.send(Ok(snapshot())))),
                };
            }
            Request::Forwards { room, user, reply } => {
                let _ = reply.send(present(&room, &user).map(|()| vec![forward()]));
            }
            Request::AddForward {
                room,
                user,
                forward: new,
                reply,
            } => {
                self.tell(format!("add forward {room} {user} {new:?}"));
                let _ = reply.send(present(&room, &user).map(|()| forward()));
            }
            Request::RemoveForward {
                room,
                user,
                id,
                reply,
            } => {
                self.tell(format!("remove forward {room} {user} {}", id.0));
                let _ = reply.send(present(&room, &user));
            }
            Request::DescribeForward {
                room, user, reply, ..
            } => {
                let _ = reply.send(present(&room, &user).map(|()| "v=0".to_owned()));
            }
            Request::Mute {
                room,
                user,
                audio,
                reply,
            } => {
                self.tell(format!("mute {room} {user} {audio}"));
                let _ = reply.send(present(&room, &user));
            }
            Request::SetVolume {
                room,
                user,
                volume,
                reply,
            } => {
                self.tell(format!("volume {room} {user} {}", volume.percent()));
                let _ = reply.send(present(&room, &user));
            }
            Request::Filters { room, user, reply } => {
                let blurred = Filters(vec![Filter::Blur { radius: 4 }]);
                let _ = reply.send(present(&room, &user).map(|()| blurred));
            }
            Request::SetFilters {
                room,
                user,
                filters,
                reply,
            } => {
                self.tell(format!("filters {room} {user} {:?}", filters.0));
                let checked = filters.check().map_err(|error| FilterError::from(error).into());
                let _ = reply.send(present(&room, &user).and(checked));
            }
        }
    }

    /// `bye` closes, `drop` forgets the socket as an edge does whose queue is full, `never` gets no reply, everything
    /// else comes back.
    fn text(&mut self, connection: ConnectionId, text: &str) {
        self.tell(format!("text {}", text.len()));
        let output = match text {
            "bye" => SocketOutput::Close,
            "drop" => return drop(self.sockets.remove(&connection)),
            text => SocketOutput::Text(text.to_owned()),
        };
        if let Some(socket) = self.sockets.get(&connection) {
            let _ = socket.try_send(output);
        }
    }

    fn tell(&self, what: String) {
        let _ = self.seen.send(what);
    }
}

fn name(text: &str) -> UserName {
    UserName::new(text).expect("a name")
}

fn room_name(text: &str) -> RoomName {
    RoomName::new(text).expect("a name")
}

fn session(room: &str, user: &str, offer: &str) -> Result<Resource, EdgeError> {
    let room = room_name(room);
    Err(EdgeError::Room(match (user, offer) {
        ("taken", _) => RoomError::UserExists {
            user: name(user),
            room,
        },
        ("silent", _) => RoomError::NotStreaming {
            user: name(user),
            room,
        },
        ("absent", _) => RoomError::UserNotFound {
            user: user.to_owned(),
            room,
        },
        ("late", _) => RoomError::TooManyResources { limit: 1 },
        (_, "nonsense") => RoomError::Media(MediaError::Sdp("no media section".to_owned())),
        (_, _) => {
            let id = SESSION.parse().expect("an id");
            return Ok(Resource {
                id,
                answer: "v=0 answer".to_owned(),
                etag: ETAG.to_owned(),
            });
        }
    }))
}

fn patched(resource: ResourceId, if_match: Option<&str>) -> Result<Patched, EdgeError> {
    known(resource)?;
    match if_match {
        Some("\"tag-1\"") => Ok(Patched::Trickled),
        Some("*") => Ok(Patched::Restarted {
            fragment: "a=ice-ufrag:new".to_owned(),
            etag: "tag-2".to_owned(),
        }),
        _ => Err(ResourceError::EtagMismatch {
            current: ETAG.to_owned(),
        }
        .into()),
    }
}

fn known(resource: ResourceId) -> Result<(), EdgeError> {
    if resource.to_string() == SESSION {
        Ok(())
    } else {
        Err(ResourceError::NotFound.into())
    }
}

fn present(room: &str, user: &str) -> Result<(), EdgeError> {
    Err(EdgeError::Room(match (room, user) {
        ("show", "alice") => return Ok(()),
        ("show", _) => RoomError::UserNotFound {
            user: user.to_owned(),
            room: room_name(room),
        },
        (_, _) => RoomError::RoomNotFound {
            room: room.to_owned(),
        },
    }))
}

fn room() -> RoomView {
    let alice = ParticipantView {
        name: "alice".to_owned(),
        via: "kurento".to_owned(),
        speaking: true,
        audio_level: Some(-30),
        publishes: None,
        receives: Vec::new(),
    };
    let mixer = MixerView {
        vision_pid: None,
        state: "running".to_owned(),
        pid: Some(7),
        restarts: 0,
        targets: Vec::new(),
        recordings: Vec::new(),
        stats: None,
    };
    RoomView {
        name: "show".to_owned(),
        age_seconds: 3,
        participants: vec![alice],
        mixer: Some(mixer),
    }
}

fn target(id: u32) -> TargetView {
    TargetView {
        id,
        url: "rtmp://cdn:1935/live/***".to_owned(),
        state: "publishing".to_owned(),
        reason: None,
        options: lianmai_mixer_control::TargetOptions::default(),
        stats: None,
    }
}

fn recording(Record { mix, hosts }: Record) -> RoomRecordingView {
    let file = RecordingView {
        file: "show-20261122T181500Z.mp4".to_owned(),
        host: None,
        state: "recording".to_owned(),
        reason: None,
        bytes: 1000,
        dropped_frames: 0,
    };
    RoomRecordingView {
        mix,
        hosts,
        files: vec![file],
    }
}

fn snapshot() -> Snapshot {
    let header = SnapshotHeader {
        host: None,
        request: None,
        width: 640,
        height: 360,
        taken_ms: 1_795_804_502_123,
        bytes: 4,
    };
    let jpeg = b"JPEG".to_vec();
    Snapshot { header, jpeg }
}

fn forward() -> ForwardView {
    ForwardView {
        id: 3,
        host: "127.0.0.1".to_owned(),
        audio_port: Some(5004),
        video_port: Some(5006),
        key_frame_seconds: 5,
        stats: None,
    }
}

fn stats() -> StatsView {
    let transit_us = TransitView {
        count: 1,
        p50: 2,
        p90: 3,
        p99: 4,
        p999: 5,
        max: 6,
    };
    StatsView {
        plane: "userspace".to_owned(),
        plane_interface: None,
        plane_reason: "asked for".to_owned(),
        uptime_seconds: 1,
        rooms: 1,
        participants: 1,
        endpoints: 0,
        packets_in: 0,
        packets_out: 0,
        transit_us,
    }
}

/// One stream, `show`, of two pieces.
struct OneStream;

impl LiveStreams for OneStream {
    fn subscribe(&self, name: &str) -> Option<FlvStream> {
        (name == "show").then(|| Box::pin(Pieces(vec!["FLV", "tags"].into_iter())) as FlvStream)
    }

    fn hls(&self, name: String, file: HlsFile) -> HlsAnswer {
        Box::pin(async move {
            match (name.as_str(), file) {
                ("show", HlsFile::Playlist) => Ok(Bytes::from("#EXTM3U")),
                ("show", HlsFile::Map(7)) => Ok(Bytes::from("head")),
                ("show", HlsFile::Segment(7)) => Ok(Bytes::from("segment")),
                ("young", HlsFile::Playlist) => Err(HlsError::NotYet),
                ("late", HlsFile::Playlist) => Err(HlsError::TooMany),
                ("av1", HlsFile::Playlist) => Err(HlsError::Unsupported("av01".to_owned())),
                (_, _) => Err(HlsError::NotFound),
            }
        })
    }
}

struct Pieces(std::vec::IntoIter<&'static str>);

impl Stream for Pieces {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(self.0.next().map(Bytes::from))
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The code of a refusal; panics if the body is none.
    pub(super) fn error(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect("JSON");
        assert!(
            body["error"]["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{body}"
        );
        body["error"]["code"].as_str().expect("a code").to_owned()
    }
}

/// Sends one request through the routes without a socket.
pub(super) async fn ask(router: &Router, request: request::Builder, body: impl Into<Body>) -> Answer {
    let request = request.body(body.into()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.into()).expect("text"),
    }
}
