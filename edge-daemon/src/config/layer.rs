//! One source of configuration: what the flags and the environment said, or what the file said.

use super::record::RecordWhat;
use super::{
    Admin, Canvas, CohostNetwork, ConfigError, DefaultFilters, DefaultScene, Loudness, Origin, PlaneChoice,
    Sei, Tls,
};
use clap::Parser;
use lianmai_mixer_control::{AudioCodec, Profile, VideoCodec};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Lianmai's edge: hosts join by WebRTC, hear and see each other, and one mixed stream leaves by RTMP.
///
/// Flags win over environment variables, those over the file that --config names.
#[derive(Clone, Debug, Default, Parser, Deserialize)]
#[command(
    name = "lianmai-edge",
    version,
    args_override_self = true,
    after_help = "`lianmai-edge doctor --help`: whether the kernel plane can run on an interface, and what to change for it\n\
        `lianmai-edge keep --help`: start the daemon again when it crashes, from what it left"
)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Layer {
    /// TOML file with these same keys
    #[arg(long, value_name = "FILE", env = "LIANMAI_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Check the configuration and exit
    #[arg(long)]
    #[serde(skip)]
    pub(crate) check: bool,

    /// Pages, signalling, WHIP, WHEP, admin API and metrics (default: 127.0.0.1:8443)
    #[arg(long, value_name = "ADDR", env = "LIANMAI_HTTP")]
    pub(crate) http: Option<SocketAddr>,

    /// self-signed, off, or CERT,KEY (two PEM files) (default: self-signed)
    #[arg(long, value_name = "MODE", env = "LIANMAI_TLS")]
    pub(crate) tls: Option<Tls>,

    /// Who may use the admin API: loopback or anyone. A proxy on this machine makes everybody local (default: loopback)
    #[arg(long, value_name = "WHO", env = "LIANMAI_ADMIN")]
    pub(crate) admin: Option<Admin>,

    /// The one UDP port of all media (default: 127.0.0.1:8444)
    #[arg(long, value_name = "ADDR", env = "LIANMAI_MEDIA")]
    pub(crate) media: Option<SocketAddr>,

    /// Address that browsers reach the media port at; repeatable (default: the address of --media, or all of --interface)
    #[arg(long, value_name = "IP", env = "LIANMAI_ADVERTISE", value_delimiter = ',')]
    pub(crate) advertise: Vec<IpAddr>,

    /// auto, kernel or userspace: who forwards media; auto takes the kernel where it can (default: auto)
    #[arg(long, value_name = "PLANE", env = "LIANMAI_PLANE")]
    pub(crate) plane: Option<PlaneChoice>,

    /// Network interface of media traffic (default: the one that has the address of --media)
    #[arg(long, value_name = "NAME", env = "LIANMAI_INTERFACE")]
    pub(crate) interface: Option<String>,

    /// BPF file system in which the kernel plane outlives a crash of the daemon (default: /sys/fs/bpf)
    #[arg(long, value_name = "DIR", env = "LIANMAI_PINS")]
    pub(crate) pins: Option<PathBuf>,

    /// Embedded RTMP origin, or off (default: 127.0.0.1:1935)
    #[arg(long, value_name = "ADDR", env = "LIANMAI_ORIGIN")]
    pub(crate) origin: Option<Origin>,

    /// Where each room's mix is published, {room} replaced, options behind #; repeatable (default: the embedded origin)
    #[arg(long, value_name = "URL", env = "LIANMAI_RTMP_TARGET", value_delimiter = ' ')]
    pub(crate) rtmp_target: Vec<String>,

    /// PEM file of certificate authorities that RTMPS targets may have, beside those of the system
    #[arg(long, value_name = "FILE", env = "LIANMAI_RTMPS_CA")]
    pub(crate) rtmps_ca: Option<PathBuf>,

    /// How long a mix goes on with an empty picture after its last host left, in seconds (default: 30)
    #[arg(long, value_name = "SECONDS", env = "LIANMAI_IDLE_SLATE")]
    pub(crate) idle_slate: Option<u32>,

    /// The layout in the stream as H.264 SEI: unregistered (payload type 5), agora (100) or off (default: unregistered)
    #[arg(long, value_name = "KIND", env = "LIANMAI_MIX_SEI")]
    pub(crate) mix_sei: Option<Sei>,

    /// Told by POST what happens in rooms; repeatable
    #[arg(long, value_name = "URL", env = "LIANMAI_WEBHOOK", value_delimiter = ' ')]
    pub(crate) webhook: Vec<String>,

    /// What webhooks are signed with; without it, LIANMAI_WEBHOOK_SECRET
    #[arg(long, value_name = "FILE", env = "LIANMAI_WEBHOOK_SECRET_FILE")]
    pub(crate) webhook_secret_file: Option<PathBuf>,

    /// A JPEG of each host and of the mix this often, in seconds (default: on demand only)
    #[arg(long, value_name = "SECONDS", env = "LIANMAI_SNAPSHOT_INTERVAL")]
    pub(crate) snapshot_interval: Option<u32>,

    /// Directory that these are written to
    #[arg(long, value_name = "DIR", env = "LIANMAI_SNAPSHOT_DIR")]
    pub(crate) snapshot_dir: Option<PathBuf>,

    /// Gets each of these by POST, signed like webhooks; repeatable
    #[arg(
        long,
        value_name = "URL",
        env = "LIANMAI_SNAPSHOT_WEBHOOK",
        value_delimiter = ' '
    )]
    pub(crate) snapshot_webhook: Vec<String>,

    /// Quality of snapshots, 1 to 100 (default: 80)
    #[arg(long, value_name = "QUALITY", env = "LIANMAI_SNAPSHOT_QUALITY")]
    pub(crate) snapshot_quality: Option<u8>,

    /// Longest side of snapshots in pixels; larger pictures are scaled down (default: 1280)
    #[arg(long, value_name = "PIXELS", env = "LIANMAI_SNAPSHOT_SIDE")]
    pub(crate) snapshot_side: Option<u32>,

    /// Directory of recordings: fragmented MP4, a file for each mix and host
    #[arg(long, value_name = "DIR", env = "LIANMAI_RECORD")]
    pub(crate) record: Option<PathBuf>,

    /// What of each room is recorded there from its start: mix, hosts, both or none (default: mix)
    #[arg(long, value_name = "WHAT", env = "LIANMAI_RECORD_WHAT")]
    pub(crate) record_what: Option<RecordWhat>,

    /// Picture of the mix (default: 1280x720@30)
    #[arg(long, value_name = "WxH@FPS", env = "LIANMAI_CANVAS")]
    pub(crate) canvas: Option<Canvas>,

    /// How rooms look in the mix: grid, host, picture_in_picture, side_by_side, screen, or a .json file (default: grid)
    #[arg(long, value_name = "LAYOUT", env = "LIANMAI_LAYOUT")]
    pub(crate) layout: Option<DefaultScene>,

    /// Directory of the PNG images that layouts may name
    #[arg(long, value_name = "DIR", env = "LIANMAI_IMAGES")]
    pub(crate) images: Option<PathBuf>,

    /// Font of names and texts in the mix (default: Debian's fonts-wqy-microhei)
    #[arg(long, value_name = "FILE", env = "LIANMAI_FONT")]
    pub(crate) font: Option<PathBuf>,

    /// Video bits per second of the mix (default: 2500000)
    #[arg(long, value_name = "BPS", env = "LIANMAI_MIX_VIDEO_BITRATE")]
    pub(crate) mix_video_bitrate: Option<u32>,

    /// Audio bits per second of the mix (default: 128000)
    #[arg(long, value_name = "BPS", env = "LIANMAI_MIX_AUDIO_BITRATE")]
    pub(crate) mix_audio_bitrate: Option<u32>,

    /// Loudness that every host is levelled to: -36 to -10 LUFS, or off (default: -18)
    #[arg(
        long,
        value_name = "LUFS",
        env = "LIANMAI_MIX_LOUDNESS",
        allow_negative_numbers = true
    )]
    pub(crate) mix_loudness: Option<Loudness>,
    /// Codec of the mix's picture: h264, or av1, an experiment that small canvases alone can have (default: h264)
    #[arg(long, value_name = "CODEC", env = "LIANMAI_MIX_VIDEO_CODEC")]
    pub(crate) mix_video_codec: Option<VideoCodec>,

    /// Codec of the mix's sound: aac or opus (default: aac)
    #[arg(long, value_name = "CODEC", env = "LIANMAI_MIX_AUDIO_CODEC")]
    pub(crate) mix_audio_codec: Option<AudioCodec>,

    /// H.264 profile of the mix: baseline, main or high (default: baseline)
    #[arg(long, value_name = "PROFILE", env = "LIANMAI_MIX_PROFILE")]
    pub(crate) mix_profile: Option<Profile>,

    /// Seconds between key frames of the mix, 1 to 10 (default: 2)
    #[arg(long, value_name = "SECONDS", env = "LIANMAI_MIX_GOP_SECONDS")]
    pub(crate) mix_gop_seconds: Option<u32>,

    /// The mixer program (default: lianmai-mixer beside this program)
    #[arg(long, value_name = "FILE", env = "LIANMAI_MIXER")]
    pub(crate) mixer: Option<PathBuf>,

    /// Where the mixers' sockets are made (default: $RUNTIME_DIRECTORY, or a directory of this process)
    #[arg(long, value_name = "DIR", env = "LIANMAI_RUNTIME_DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,

    /// Streams by RTMP that may be in rooms at a time as co-hosts: rtmp://ORIGIN/cohost/ROOM/USER; 0 for none (default: 8)
    #[arg(long, value_name = "COUNT", env = "LIANMAI_COHOSTS")]
    pub(crate) cohosts: Option<usize>,

    /// Address or range from which they may come; repeatable (default: this machine)
    #[arg(
        long,
        value_name = "NETWORK",
        env = "LIANMAI_COHOST_FROM",
        value_delimiter = ','
    )]
    pub(crate) cohost_from: Vec<CohostNetwork>,

    /// The program that brings a co-host into its room (default: lianmai-bridge beside this program)
    #[arg(long, value_name = "FILE", env = "LIANMAI_BRIDGE")]
    pub(crate) bridge: Option<PathBuf>,

    /// Log filter: error, warn, info, debug, trace, or per module (default: info,dtls=error)
    #[arg(long, value_name = "FILTER", env = "LIANMAI_LOG")]
    pub(crate) log: Option<String>,

    /// Allow listening beyond loopback: there are no room tokens yet
    #[arg(long, env = "LIANMAI_OPEN", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) open: Option<bool>,

    /// What is done to hosts' pictures before they are mixed, unless others are said: JSON, or a .json file (default: [])
    #[arg(long, value_name = "FILTERS", env = "LIANMAI_FILTERS")]
    pub(crate) filters: Option<DefaultFilters>,

    /// Program that looks at hosts' pictures and says what to draw over them, with its arguments behind spaces (default: none)
    #[arg(long, value_name = "COMMAND", env = "LIANMAI_VISION", value_delimiter = ' ')]
    pub(crate) vision: Vec<String>,
}

impl Layer {
    /// The layer of a TOML file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// What is said here, and where nothing is, what `below` says.
    #[must_use]
    pub(crate) fn or(self, below: Self) -> Self {
        Self {
            config: self.config,
            check: self.check,
            http: self.http.or(below.http),
            tls: self.tls.or(below.tls),
            admin: self.admin.or(below.admin),
            media: self.media.or(below.media),
            advertise: or_list(self.advertise, below.advertise),
            plane: self.plane.or(below.plane),
            interface: self.interface.or(below.interface),
            pins: self.pins.or(below.pins),
            origin: self.origin.or(below.origin),
            rtmp_target: or_list(self.rtmp_target, below.rtmp_target),
            rtmps_ca: self.rtmps_ca.or(below.rtmps_ca),
            idle_slate: self.idle_slate.or(below.idle_slate),
            mix_sei: self.mix_sei.or(below.mix_sei),
            webhook: or_list(self.webhook, below.webhook),
            webhook_secret_file: self.webhook_secret_file.or(below.webhook_secret_file),
            snapshot_interval: self.snapshot_interval.or(below.snapshot_interval),
            snapshot_dir: self.snapshot_dir.or(below.snapshot_dir),
            snapshot_webhook: or_list(self.snapshot_webhook, below.snapshot_webhook),
            snapshot_quality: self.snapshot_quality.or(below.snapshot_quality),
            snapshot_side: self.snapshot_side.or(below.snapshot_side),
            record: self.record.or(below.record),
            record_what: self.record_what.or(below.record_what),
            canvas: self.canvas.or(below.canvas),
            layout: self.layout.or(below.layout),
            images: self.images.or(below.images),
            font: self.font.or(below.font),
            mix_video_bitrate: self.mix_video_bitrate.or(below.mix_video_bitrate),
            mix_audio_bitrate: self.mix_audio_bitrate.or(below.mix_audio_bitrate),
            mix_loudness: self.mix_loudness.or(below.mix_loudness),
            mix_video_codec: self.mix_video_codec.or(below.mix_video_codec),
            mix_audio_codec: self.mix_audio_codec.or(below.mix_audio_codec),
            mix_profile: self.mix_profile.or(below.mix_profile),
            mix_gop_seconds: self.mix_gop_seconds.or(below.mix_gop_seconds),
            mixer: self.mixer.or(below.mixer),
            runtime_dir: self.runtime_dir.or(below.runtime_dir),
            log: self.log.or(below.log),
            cohosts: self.cohosts.or(below.cohosts),
            cohost_from: or_list(self.cohost_from, below.cohost_from),
            bridge: self.bridge.or(below.bridge),
            open: self.open.or(below.open),
            filters: self.filters.or(below.filters),
            vision: or_list(self.vision, below.vision),
        }
    }
}

fn or_list<T>(list: Vec<T>, below: Vec<T>) -> Vec<T> {
    if list.is_empty() { below } else { list }
}
