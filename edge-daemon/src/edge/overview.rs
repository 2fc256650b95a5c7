//! What the admin API is shown: the rooms' state joined with what the plane and the mixers know.

use super::Edge;
use super::media::{Endpoint, Media};
use crate::handle::EdgeError;
use crate::view::{
    FlowView, LegView, MixerView, ParticipantView, RoomView, StatsView, StreamView, TrackView, TransitView,
};
use lianmai_plane::{FlowStats, Snapshot, SourceStats, TrackStats, TransitTimes};
use lianmai_room::{ParticipantState, RoomState, SubscriptionState, Via};
use lianmai_webrtc::media::{Codec, Kind};
use lianmai_webrtc::{EndpointId, SrtpProfile};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::sync::oneshot;

type Reply<T> = oneshot::Sender<Result<T, EdgeError>>;

impl Edge {
    /// Answers from a task of its own: the plane takes its time for a snapshot, and the edge does not wait.
    pub(super) fn show_rooms(&self, reply: Reply<Vec<RoomView>>) {
        let rooms: Vec<_> = self
            .signalling
            .rooms()
            .map(|room| (self.mixes.view(&room.name), room))
            .collect();
        let endpoints = shown(&self.media);
        let cohosts = self.cohosts.endpoints();
        let plane = self.media.plane().clone();
        tokio::spawn(async move {
            let views = plane
                .snapshot()
                .await
                .map_err(|_| EdgeError::ShuttingDown)
                .map(|snapshot| {
                    let join = Join {
                        endpoints,
                        cohosts,
                        snapshot,
                    };
                    rooms
                        .into_iter()
                        .map(|(mixer, room)| join.room(room, mixer))
                        .collect()
                });
            // A client that went away does not want its answer.
            let _ = reply.send(views);
        });
    }

    pub(super) fn show_stats(&self, reply: Reply<StatsView>) {
        let (rooms, participants) = self
            .signalling
            .rooms()
            .fold((0, 0), |(rooms, participants), room| {
                (rooms + 1, participants + room.participants.len() as u64)
            });
        let endpoints = self.media.connected();
        let uptime_seconds = self.started.elapsed().as_secs();
        let plane = self.media.plane().clone();
        let chosen = self.media.chosen().clone();
        tokio::spawn(async move {
            let view = plane
                .snapshot()
                .await
                .map_err(|_| EdgeError::ShuttingDown)
                .map(|snapshot| StatsView {
                    plane: chosen.name().to_owned(),
                    plane_interface: chosen.interface,
                    plane_reason: chosen.reason,
                    uptime_seconds,
                    rooms,
                    participants,
                    endpoints,
                    packets_in: snapshot.packets_in,
                    packets_out: snapshot.packets_out,
                    transit_us: transit(&snapshot.transit),
                });
            let _ = reply.send(view);
        });
    }
}

/// What signalling knows of an endpoint, as shown.
#[derive(Clone, Debug, Default)]
struct Shown {
    state: &'static str,
    srtp: Option<&'static str>,
    remote: Option<String>,
}

fn shown(media: &Media) -> BTreeMap<EndpointId, Shown> {
    media
        .endpoints()
        .iter()
        .map(|(id, endpoint)| (*id, Shown::of(endpoint)))
        .collect()
}

impl Shown {
    fn of(endpoint: &Endpoint) -> Self {
        let srtp = endpoint.srtp().map(|profile| match profile {
            SrtpProfile::AeadAes128Gcm => "AEAD_AES_128_GCM",
            SrtpProfile::Aes128CmHmacSha1_80 => "AES128_CM_HMAC_SHA1_80",
        });
        Self {
            state: endpoint.state.name(),
            srtp,
            remote: endpoint.remote().map(|remote| remote.to_string()),
        }
    }
}

struct Join {
    endpoints: BTreeMap<EndpointId, Shown>,
    /// Those of co-hosts by RTMP.
    cohosts: BTreeSet<EndpointId>,
    snapshot: Snapshot,
}

impl Join {
    fn room(&self, room: RoomState, mixer: Option<MixerView>) -> RoomView {
        RoomView {
            name: room.name,
            age_seconds: Instant::now().saturating_duration_since(room.opened).as_secs(),
            participants: room
                .participants
                .into_iter()
                .map(|participant| self.participant(participant))
                .collect(),
            mixer,
        }
    }

    fn participant(&self, participant: ParticipantState) -> ParticipantView {
        let via = match participant.via {
            Via::Kurento => "kurento",
            Via::Whip
                if participant
                    .publication
                    .is_some_and(|id| self.cohosts.contains(&id)) =>
            {
                "rtmp"
            }
            Via::Whip => "whip",
        };
        ParticipantView {
            name: participant.name,
            via: via.to_owned(),
            speaking: participant.speaking,
            audio_level: participant.audio_level,
            publishes: participant.publication.map(|endpoint| self.stream(endpoint)),
            receives: participant
                .subscriptions
                .into_iter()
                .map(|subscription| self.leg(subscription))
                .collect(),
        }
    }

    fn stream(&self, endpoint: EndpointId) -> StreamView {
        let Shown { state, srtp, remote } = self.endpoints.get(&endpoint).cloned().unwrap_or_default();
        let stats = self
            .snapshot
            .endpoint(endpoint)
            .and_then(|stats| stats.source.as_ref());
        StreamView {
            state: state.to_owned(),
            srtp: srtp.map(str::to_owned),
            remote,
            tracks: stats.map(tracks).unwrap_or_default(),
            allowed_bitrate: stats.and_then(|stats| stats.allowed_bitrate),
        }
    }

    fn leg(&self, subscription: SubscriptionState) -> LegView {
        let stats = self
            .snapshot
            .endpoint(subscription.endpoint)
            .and_then(|stats| stats.leg.as_ref());
        LegView {
            from: subscription.from,
            state: self
                .endpoints
                .get(&subscription.endpoint)
                .map_or("lost", |shown| shown.state)
                .to_owned(),
            packets: stats.map_or(0, |stats| stats.packets),
            by_kernel: stats.map_or(0, |stats| stats.by_kernel),
            retransmitted: stats.map_or(0, |stats| stats.retransmitted),
            estimated_bitrate: stats.and_then(|stats| stats.estimated_bitrate),
        }
    }
}

fn tracks(stats: &SourceStats) -> Vec<TrackView> {
    stats.tracks.iter().map(track).collect()
}

fn track(stats: &TrackStats) -> TrackView {
    let kind = match stats.kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    };
    let codec = match stats.codec {
        Codec::Opus => "opus",
        Codec::H264 => "H264",
        Codec::Vp8 => "VP8",
    };
    TrackView {
        kind: kind.to_owned(),
        codec: codec.to_owned(),
        ssrc: stats.ssrc.map(|ssrc| format!("{:08x}", ssrc.0)),
        packets: stats.packets,
        bytes: stats.bytes,
        lost: stats.lost,
        jitter_ms: stats.jitter.as_secs_f64() * 1000.0,
        kernel: stats.kernel.as_ref().map(flow),
    }
}

fn flow(stats: &FlowStats) -> FlowView {
    FlowView {
        legs: stats.legs as u64,
        depth: stats.depth,
        packets: stats.packets,
        bytes: stats.bytes,
    }
}

/// Nanoseconds to microseconds.
fn transit(times: &TransitTimes) -> TransitView {
    TransitView {
        count: times.count,
        p50: times.p50 / 1000,
        p90: times.p90 / 1000,
        p99: times.p99 / 1000,
        p999: times.p999 / 1000,
        max: times.max / 1000,
    }
}
