//! What the admin API shows: plain data, the same in JSON and in the OpenAPI page.

use serde::Serialize;
use utoipa::ToSchema;

/// One room.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RoomView {
    /// Its name.
    pub(crate) name: String,
    /// Seconds since it was opened.
    pub(crate) age_seconds: u64,
    /// Who is in it, publishers and viewers, by name.
    pub(crate) participants: Vec<ParticipantView>,
    /// Its mixer.
    pub(crate) mixer: Option<MixerView>,
}

/// One participant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ParticipantView {
    /// Its name in the room.
    pub(crate) name: String,
    /// `kurento`, `whip` or `rtmp`.
    pub(crate) via: String,
    /// Loudest of the room at the moment.
    pub(crate) speaking: bool,
    /// Smoothed audio level in dBov, 0 the loudest, -127 silence; absent if the client sends none.
    pub(crate) audio_level: Option<i16>,
    /// What it publishes.
    pub(crate) publishes: Option<StreamView>,
    /// Names of those whose streams it receives.
    pub(crate) receives: Vec<LegView>,
}

/// One published stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StreamView {
    /// State of the PeerConnection: `new`, `checking`, `connected`, `lost`.
    pub(crate) state: String,
    /// The SRTP profile in use.
    pub(crate) srtp: Option<String>,
    /// Address of the peer.
    pub(crate) remote: Option<String>,
    /// One entry a track: kind, codec, SSRC, packets, bytes, lost, jitter.
    pub(crate) tracks: Vec<TrackView>,
    /// What the publisher is asked to stay below, in bits per second.
    pub(crate) allowed_bitrate: Option<u64>,
}

/// One audio or video track of a published stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TrackView {
    /// `audio` or `video`.
    pub(crate) kind: String,
    /// `opus`, `H264` or `VP8`.
    pub(crate) codec: String,
    /// As eight hex digits.
    pub(crate) ssrc: Option<String>,
    /// Packets opened.
    pub(crate) packets: u64,
    /// Bytes of these packets.
    pub(crate) bytes: u64,
    /// Packets that never came.
    pub(crate) lost: u64,
    /// RFC 3550 §6.4.1 interarrival jitter in milliseconds.
    pub(crate) jitter_ms: f64,
    /// How the kernel forwards it, while it does.
    pub(crate) kernel: Option<FlowView>,
}

/// One track that the kernel forwards.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FlowView {
    /// Legs that the kernel seals for; the daemon seals for the others.
    pub(crate) legs: u64,
    /// Packets that the kernel is prepared for at a time.
    pub(crate) depth: u32,
    /// Packets that the kernel took.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// One leg: this participant's copy of another's stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LegView {
    /// Whose stream.
    pub(crate) from: String,
    /// State of the PeerConnection.
    pub(crate) state: String,
    /// Packets sealed for this leg.
    pub(crate) packets: u64,
    /// Of these, sealed by the kernel.
    pub(crate) by_kernel: u64,
    /// Retransmissions among them.
    pub(crate) retransmitted: u64,
    /// What the leg is estimated to carry, in bits per second.
    pub(crate) estimated_bitrate: Option<u64>,
}

/// One room's mixer process.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MixerView {
    /// `starting`, `running` or `restarting`.
    pub(crate) state: String,
    /// Process id.
    pub(crate) pid: Option<u32>,
    /// How often it was started again.
    pub(crate) restarts: u64,
    /// Where the mix goes.
    pub(crate) targets: Vec<TargetView>,
    /// What it records, and recorded.
    pub(crate) recordings: Vec<RecordingView>,
    /// The last report of the mixer, as it sent it.
    #[schema(value_type = Option<Object>)]
    pub(crate) stats: Option<lianmai_mixer_control::MixStats>,
    /// Process id of its vision program.
    pub(crate) vision_pid: Option<u32>,
}

/// One place that a mix is published to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TargetView {
    /// Names it within its room.
    pub(crate) id: u32,
    /// Its URL without the stream's name, which is a secret with most CDNs.
    pub(crate) url: String,
    /// `waiting` (there is no mix), `connecting`, `publishing`, `retrying` or `given_up`.
    pub(crate) state: String,
    /// Why it is being retried, or was given up.
    pub(crate) reason: Option<String>,
    /// How it is published to.
    #[schema(value_type = Object)]
    pub(crate) options: lianmai_mixer_control::TargetOptions,
    /// What the mixer last counted.
    #[schema(value_type = Option<Object>)]
    pub(crate) stats: Option<lianmai_mixer_control::TargetStats>,
}

/// What of a room is recorded.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RoomRecordingView {
    /// The mix.
    pub(crate) mix: bool,
    /// Each host, as it comes.
    pub(crate) hosts: bool,
    /// Files of the room's mixer: those that grow, and the last ones that do no longer.
    pub(crate) files: Vec<RecordingView>,
}

/// One recorded file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordingView {
    /// Its name in the directory of recordings.
    pub(crate) file: String,
    /// Whose it is; absent for the mix.
    pub(crate) host: Option<String>,
    /// `recording`, `behind` (the disk is too slow: there is a hole), `failed` or `ended`.
    pub(crate) state: String,
    /// What is wrong.
    pub(crate) reason: Option<String>,
    /// Its length.
    pub(crate) bytes: u64,
    /// Pictures and frames of sound that are missing because the disk was slow.
    pub(crate) dropped_frames: u64,
}

/// One place that a host's RTP is sent on to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ForwardView {
    /// Names it within its room.
    pub(crate) id: u32,
    /// The address.
    pub(crate) host: String,
    /// Where audio goes; RTCP goes to the next port.
    pub(crate) audio_port: Option<u16>,
    /// Where video goes.
    pub(crate) video_port: Option<u16>,
    /// How often the host is asked for a key frame.
    pub(crate) key_frame_seconds: u32,
    /// What the mixer last counted: packets, bytes, reports, errors. Absent while there is no mixer, or when it could not open a
    /// socket.
    #[schema(value_type = Option<Object>)]
    pub(crate) stats: Option<lianmai_mixer_control::ForwardStats>,
}

/// Totals of the edge.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StatsView {
    /// `userspace` or `kernel`.
    pub(crate) plane: String,
    /// The interface whose streams the kernel forwards.
    pub(crate) plane_interface: Option<String>,
    /// Why this plane.
    pub(crate) plane_reason: String,
    /// Seconds since the start.
    pub(crate) uptime_seconds: u64,
    /// Open rooms.
    pub(crate) rooms: u64,
    /// Participants in them.
    pub(crate) participants: u64,
    /// Connected PeerConnections.
    pub(crate) endpoints: u64,
    /// Packets received, by what they were.
    pub(crate) packets_in: u64,
    /// Packets sent.
    pub(crate) packets_out: u64,
    /// Time from a media packet's arrival at the socket to its departure, in microseconds.
    pub(crate) transit_us: TransitView,
}

/// A latency distribution in microseconds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TransitView {
    /// Packets measured.
    pub(crate) count: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub(crate) max: u64,
}
