//! The messages of the control socket.

use crate::coding::Coding;
use crate::filter::Filters;
use crate::forward::{Forward, ForwardId, ForwardStats};
use crate::media::HostId;
use crate::record::{Record, RecordingStats};
use crate::scene::Scene;
use crate::snapshot::{NoSnapshot, SnapshotId, SnapshotSettings};
use crate::target::{TargetOptions, TargetStats, TargetUrl};
use crate::volume::Volume;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Version of this protocol; a mixer that speaks another one is refused.
pub const VERSION: u32 = 1;

/// From the daemon to a mixer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToMixer {
    /// The first message: what this mixer is for.
    Configure(Settings),
    /// A host joined the mix, or its tracks changed.
    AddHost {
        /// How the media socket names it.
        host: HostId,
        /// The name that people see.
        name: String,
        /// Its audio, if it sends any.
        audio: Option<AudioSource>,
        /// Its video, if it sends any that the mixer can decode.
        video: Option<VideoSource>,
    },
    /// A host left the mix.
    RemoveHost {
        /// The host.
        host: HostId,
    },
    /// Take a host's sound out of the mix, or bring it back.
    Mute {
        /// The host.
        host: HostId,
        /// `true` is silent.
        audio: bool,
    },
    /// A host speaks, or no longer.
    Speaking {
        /// The host.
        host: HostId,
        /// `true` if it does.
        speaking: bool,
    },
    /// What the picture is to look like from the next tick on. It has passed [`Scene::check`].
    Scene(Box<Scene>),
    /// Publish to one more place.
    AddTarget {
        /// How later messages name it.
        id: TargetId,
        /// `rtmp[s]://host[:port]/app/stream`.
        url: TargetUrl,
        /// How.
        options: TargetOptions,
    },
    /// Stop publishing there.
    RemoveTarget {
        /// The target.
        id: TargetId,
    },
    /// How loud a host is in the mix; 100 percent until it is said.
    Volume {
        /// The host.
        host: HostId,
        /// In percent.
        volume: Volume,
    },
    /// What is recorded from now on, until this is said again.
    Record(Record),
    /// How snapshots are made, and how often unasked.
    Snapshots(SnapshotSettings),
    /// Make a snapshot; a picture on the pictures' socket or [`FromMixer::NoSnapshot`] is the answer.
    TakeSnapshot {
        /// What the answer has.
        request: SnapshotId,
        /// Of whom; of the mix if of nobody.
        host: Option<HostId>,
    },
    /// Send a host's RTP to one more place. It has passed [`Forward::check`].
    AddForward(Forward),
    /// Send it there no longer.
    RemoveForward {
        /// The forward.
        id: ForwardId,
    },
    /// Finish what is queued, close the targets and exit.
    Shutdown,
    /// What is done to a host's pictures before they are mixed. They have passed [`Filters::check`].
    Filter {
        /// The host.
        host: HostId,
        /// From its next picture on.
        filters: Filters,
    },
}

/// From a mixer to the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromMixer {
    /// The first message.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The process.
        pid: u32,
    },
    /// Once a second; a mixer that is silent for 5 s is restarted.
    Stats(MixStats),
    /// The decoder of this host cannot go on without a key frame.
    KeyFrameNeeded {
        /// The host.
        host: HostId,
    },
    /// A target changed its state.
    Target {
        /// The target.
        id: TargetId,
        /// What it does now.
        state: TargetState,
    },
    /// A snapshot was not made.
    NoSnapshot {
        /// The one that was asked for; nothing if its time had come.
        request: Option<SnapshotId>,
        /// Why.
        reason: NoSnapshot,
    },
    /// A host's place in the picture has another size than before; the first time it is said once the host has joined.
    Shown {
        /// The host.
        host: HostId,
        /// Pixels of its place; zero if it is not shown, and then only its key frames are decoded.
        width: u32,
        /// The same.
        height: u32,
    },
}

/// Names one place that the mix is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetId(pub u32);

/// What one room's mix looks and sounds like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// For logs and `onMetaData`.
    pub room: String,
    /// Size and rate of the picture.
    pub canvas: Canvas,
    /// Video bits per second.
    pub video_bitrate: u32,
    /// Audio bits per second.
    pub audio_bitrate: u32,
    /// Seconds between key frames.
    pub gop_seconds: u32,
    /// Where recordings are made, if [`ToMixer::Record`] asks for some: files of fragmented MP4 in this directory.
    pub record: Option<PathBuf>,
    /// Where the images of scenes are, if anywhere: PNG files.
    pub images: Option<PathBuf>,
    /// What names and texts are written with: a TrueType or OpenType file.
    pub font: Option<PathBuf>,
    /// Certificate authorities of RTMPS targets beside those of the system: a PEM file.
    pub rtmps_ca: Option<PathBuf>,
    /// Whether the layout goes into the stream, and how.
    pub sei: SeiKind,
    /// What every host is levelled to, in LUFS (EBU R 128); without it hosts stay as loud as they come.
    pub loudness: Option<f64>,
    /// Whether a vision program is to be listened for, at [`crate::VISION_SOCKET`].
    pub vision: bool,
    /// The codecs.
    pub coding: Coding,
}

/// The form of the layout in the stream (H.264 SEI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeiKind {
    /// It is not there.
    Off,
    /// `user_data_unregistered` behind a UUID (payload type 5).
    #[default]
    Unregistered,
    /// As Agora sends it: payload type 100.
    Agora,
}

/// Size and rate of the picture. Width and height are even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canvas {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

/// How a host's audio arrives: Opus at this payload type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioSource {
    /// RTP payload type.
    pub payload_type: u8,
}

/// How a host's video arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoSource {
    /// RTP payload type.
    pub payload_type: u8,
    /// What it is coded with.
    pub codec: Codec,
    /// Id of the video orientation header extension (3GPP TS 26.114 §7.4.5), if negotiated.
    pub orientation_extension: Option<u8>,
}

/// The video codecs that a host may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 6184.
    H264,
    /// RFC 7741.
    Vp8,
}

/// What a target does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TargetState {
    /// TCP, handshake, `connect`, `publish`.
    Connecting,
    /// The peer accepted the stream.
    Publishing,
    /// Closed or refused; the next attempt is on its way.
    Retrying {
        /// Why.
        reason: String,
        /// When the next attempt comes.
        after_ms: u64,
    },
    /// There is no further attempt.
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// What a mixer measured over the last second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MixStats {
    /// Since the mixer started.
    pub frames_encoded: u64,
    /// Output ticks that came too late to be encoded.
    pub frames_skipped: u64,
    /// The room delay that all hosts are shown with, in milliseconds.
    pub room_delay_ms: f64,
    /// Time to composite and encode one frame in milliseconds: the median.
    pub tick_p50_ms: f64,
    /// The same, 99th percentile.
    pub tick_p99_ms: f64,
    /// Datagrams from the daemon that did not parse.
    pub media_rejected: u64,
    /// One entry a target.
    pub targets: Vec<TargetStats>,
    /// One entry a host.
    pub hosts: Vec<HostStats>,
    /// One entry a file: all that grow, and the last that do no longer.
    #[serde(default)]
    pub recordings: Vec<RecordingStats>,
    /// One entry a forward.
    #[serde(default)]
    pub forwards: Vec<ForwardStats>,
    /// Pictures that the encoder left out: it did not keep up, or its rate control had no bits for them.
    #[serde(default)]
    pub frames_left_out: u64,
    /// Of the vision program, if there is to be one.
    pub vision: Option<VisionStats>,
}

/// What a mixer counted of its vision program, over all programs that were connected one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisionStats {
    /// Whether one is connected.
    pub connected: bool,
    /// How many connected so far.
    pub connections: u64,
    /// Pictures handed over.
    pub frames_sent: u64,
    /// Pictures whose time had come, and that were not looked at because a newer one came first.
    pub frames_skipped: u64,
    /// Pictures of which it said what it saw.
    pub frames_answered: u64,
    /// Lines that made no sense.
    pub lines_refused: u64,
    /// Programs that were given up because they kept a picture for too long.
    pub stuck: u64,
}

/// What a mixer knows of one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostStats {
    /// The host.
    pub host: HostId,
    /// Frames decoded since it joined.
    pub frames_decoded: u64,
    /// Frames that the decoder refused.
    pub decode_errors: u64,
    /// RTP packets that never came.
    pub packets_lost: u64,
    /// Audio that had to be concealed, in milliseconds.
    pub concealed_ms: u64,
    /// Size of the last picture.
    pub width: u32,
    /// Size of the last picture.
    pub height: u32,
    /// How far this host's audio is from where the timebase wants it, in milliseconds.
    pub audio_error_ms: f64,
    /// Network delay above the fastest seen, in milliseconds.
    pub jitter_ms: f64,
    /// How loud its recent sound is as it comes, in LUFS; nothing if it was silent so far, or is not levelled.
    pub loudness_lufs: Option<f64>,
    /// What levelling does to it, in dB.
    pub gain_db: f64,
}
