//! The daemon's configuration: flags over environment over file over defaults, checked once, typed from then on.

mod coding;
mod cohost;
mod layer;
mod loudness;
mod record;
mod snapshots;
mod values;
mod webhook;

pub(crate) use cohost::{CohostChoice, CohostNetwork};
pub(crate) use layer::Layer;
pub(crate) use loudness::Loudness;
pub(crate) use snapshots::SnapshotConfig;
pub(crate) use values::{Admin, Canvas, DefaultFilters, DefaultScene, Origin, PlaneChoice, Sei, Tls};

use crate::edge::{MAX_TARGETS, Template};
use crate::http::AdminAccess;
use crate::webhooks::WebhookConfig;
use clap::Parser;
use lianmai_mixer_control::Coding;
use lianmai_mixer_control::filter::Filters;
use lianmai_mixer_control::scene::Scene;
use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where systemd and most distributions mount it.
pub(crate) const DEFAULT_PINS: &str = "/sys/fs/bpf";

/// `dtls` warns of every extension of a ClientHello that it does not use.
pub(crate) const DEFAULT_LOG: &str = "info,dtls=error";

/// Everything the edge was told, with defaults filled in and contradictions refused.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// HTTP, WebSocket, WHIP, pages.
    pub(crate) http: SocketAddr,
    /// How the HTTP listener is protected.
    pub(crate) tls: Tls,
    /// The one UDP port of all media.
    pub(crate) media: SocketAddr,
    /// The addresses that SDP answers offer; never empty.
    pub(crate) advertise: Vec<IpAddr>,
    /// Which data plane.
    pub(crate) plane: PlaneChoice,
    /// The network interface of media traffic, if one was named.
    pub(crate) interface: Option<String>,
    /// The BPF file system in which the kernel plane outlives a crash.
    pub(crate) pins: PathBuf,
    /// The embedded RTMP origin.
    pub(crate) origin: Origin,
    /// Where every room's mix goes.
    pub(crate) rtmp_targets: Vec<Template>,
    /// Certificate authorities of RTMPS targets, beside those of the system.
    pub(crate) rtmps_ca: Option<PathBuf>,
    /// How long a mix goes on without hosts.
    pub(crate) idle_slate: Duration,
    /// The form of the layout in the stream.
    pub(crate) sei: lianmai_mixer_control::SeiKind,
    /// Who is told what happens.
    pub(crate) webhooks: Option<WebhookConfig>,
    /// Snapshots of hosts and mixes.
    pub(crate) snapshots: SnapshotConfig,
    /// Where recordings are made.
    pub(crate) record: Option<PathBuf>,
    /// What of each room is recorded, as long as nobody says otherwise.
    pub(crate) record_what: lianmai_mixer_control::Record,
    /// Picture of the mix.
    pub(crate) canvas: Canvas,
    /// What rooms look like for which nothing was said.
    pub(crate) scene: Scene,
    /// Where the images of scenes are.
    pub(crate) images: Option<PathBuf>,
    /// What names and texts are written with.
    pub(crate) font: Option<PathBuf>,
    /// Video bits per second of the mix.
    pub(crate) mix_video_bitrate: u32,
    /// Audio bits per second of the mix.
    pub(crate) mix_audio_bitrate: u32,
    /// What hosts are levelled to, in LUFS.
    pub(crate) mix_loudness: Option<f64>,
    /// Seconds between key frames of the mix.
    pub(crate) mix_gop_seconds: u32,
    /// The codecs of the mix.
    pub(crate) coding: Coding,
    /// The mixer program.
    pub(crate) mixer: PathBuf,
    /// Where the sockets of the mixers are made.
    pub(crate) runtime_dir: PathBuf,
    /// Log filter.
    pub(crate) log: String,
    /// Who may use the admin API.
    pub(crate) admin: AdminAccess,
    /// Streams by RTMP that join rooms.
    pub(crate) cohosts: Option<CohostChoice>,
    /// Only say whether the configuration is good.
    pub(crate) check: bool,
    /// What is done to pictures of hosts for whom nothing was said.
    pub(crate) filters: Filters,
    /// What looks at hosts' pictures.
    pub(crate) vision: Vec<String>,
}

/// Why a configuration is refused. Each message names the key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("config: cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not this configuration; the inner message shows line and key.
    #[error("config: {path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Listening beyond loopback was not confirmed.
    #[error(
        "{key}: {addr} is reachable from other machines, and rooms have no tokens yet: anyone who reaches it may join. \
         Say --open if that is what you want"
    )]
    NotOpen {
        /// Which listener.
        key: &'static str,
        /// Where it would listen.
        addr: SocketAddr,
    },
    /// A value that cannot work.
    #[error("{key}: {why}")]
    Invalid {
        /// Which key.
        key: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
}

impl Config {
    /// Reads flags, environment and the file they name. Prints help or a usage error and exits where clap would.
    pub(crate) fn load() -> Result<Self, ConfigError> {
        Self::from_layers(Layer::parse())
    }

    pub(crate) fn from_layers(arguments: Layer) -> Result<Self, ConfigError> {
        let file = arguments
            .config
            .as_deref()
            .map(Layer::read)
            .transpose()?
            .unwrap_or_default();
        Self::settle(arguments.or(file))
    }

    /// What may not work as it is meant, and what to do.
    pub(crate) fn doubt(&self) -> Option<String> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        coding::doubt(self.coding, self.canvas, processors)
    }

    fn settle(layer: Layer) -> Result<Self, ConfigError> {
        let open = layer.open.unwrap_or(false);
        let snapshots = snapshots::settle(&layer)?;
        let http = listener("http", layer.http, "127.0.0.1:8443", open)?;
        let media = listener("media", layer.media, "127.0.0.1:8444", open)?;
        let origin = layer.origin.unwrap_or_default();
        if let Origin::Listen(addr) = origin {
            check_open("origin", addr, open)?;
        }
        let coding = coding::settle(layer.mix_video_codec, layer.mix_audio_codec, layer.mix_profile)?;
        let rtmp_targets = targets(layer.rtmp_target, &origin)?;
        coding::check_targets(coding, &rtmp_targets)?;
        if let Some(dir) = layer.record.as_ref().filter(|_| !layer.check) {
            std::fs::create_dir_all(dir)
                .map_err(|error| invalid("record", format!("cannot make {}: {error}", dir.display())))?;
        }
        let canvas = layer.canvas.unwrap_or_default();
        let DefaultScene(scene) = layer.layout.unwrap_or_default();
        scene
            .check(canvas.0)
            .map_err(|error| invalid("layout", error.to_string()))?;
        let DefaultFilters(filters) = layer.filters.unwrap_or_default();
        filters
            .check()
            .map_err(|error| invalid("filters", error.to_string()))?;
        if let Some(file) = &layer.rtmps_ca {
            lianmai_rtmp::Trust::new(Some(file.clone()))
                .check()
                .map_err(|error| invalid("rtmps-ca", error.to_string()))?;
        }
        Ok(Self {
            http,
            tls: layer.tls.unwrap_or_default(),
            advertise: advertised(layer.advertise, media, layer.interface.as_deref())?,
            media,
            plane: layer.plane.unwrap_or_default(),
            interface: layer.interface,
            pins: layer.pins.unwrap_or_else(|| DEFAULT_PINS.into()),
            origin,
            rtmp_targets,
            rtmps_ca: layer.rtmps_ca,
            idle_slate: idle(layer.idle_slate.unwrap_or(30))?,
            sei: layer.mix_sei.unwrap_or_default().0,
            snapshots,
            webhooks: webhook::settle("webhook", layer.webhook, layer.webhook_secret_file.as_deref())?,
            record_what: record::settle(layer.record_what, layer.record.as_deref())?,
            record: layer.record,
            canvas,
            scene,
            images: there("images", layer.images, Path::is_dir, "a directory")?,
            font: there("font", layer.font, Path::is_file, "a file")?,
            mix_video_bitrate: bitrate(
                "mix-video-bitrate",
                layer.mix_video_bitrate.unwrap_or(2_500_000),
                50_000..=50_000_000,
            )?,
            mix_audio_bitrate: bitrate(
                "mix-audio-bitrate",
                layer.mix_audio_bitrate.unwrap_or(128_000),
                16_000..=512_000,
            )?,
            mix_loudness: layer.mix_loudness.unwrap_or_default().0,
            mix_gop_seconds: coding::gop(layer.mix_gop_seconds)?,
            coding,
            mixer: layer.mixer.map_or_else(|| beside_this_program("mixer"), Ok)?,
            cohosts: cohost::settle(origin, layer.cohosts, layer.cohost_from, layer.bridge)?,
            runtime_dir: layer.runtime_dir.unwrap_or_else(default_runtime_dir),
            log: layer.log.unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            admin: layer.admin.unwrap_or_default().0,
            check: layer.check,
            filters,
            vision: program(layer.vision)?,
        })
    }
}

fn invalid(key: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key, why: why.into() }
}

fn listener(
    key: &'static str,
    given: Option<SocketAddr>,
    default: &str,
    open: bool,
) -> Result<SocketAddr, ConfigError> {
    let addr = given.unwrap_or_else(|| default.parse().expect("a literal address"));
    check_open(key, addr, open)?;
    Ok(addr)
}

fn check_open(key: &'static str, addr: SocketAddr, open: bool) -> Result<(), ConfigError> {
    if addr.ip().is_loopback() || open {
        Ok(())
    } else {
        Err(ConfigError::NotOpen { key, addr })
    }
}

/// A day; whoever wants a slate for longer wants a stream of its own.
fn idle(seconds: u32) -> Result<Duration, ConfigError> {
    if seconds > 86_400 {
        return Err(invalid("idle-slate", format!("{seconds} s; at most 86400")));
    }
    Ok(Duration::from_secs(u64::from(seconds)))
}

fn targets(given: Vec<String>, origin: &Origin) -> Result<Vec<Template>, ConfigError> {
    if given.len() > MAX_TARGETS {
        return Err(invalid(
            "rtmp-target",
            format!(
                "{} targets; a mixer publishes to {MAX_TARGETS} at most",
                given.len()
            ),
        ));
    }
    let given = match (given.is_empty(), origin) {
        (true, Origin::Listen(addr)) => vec![origin_url(*addr)],
        (_, Origin::Listen(_) | Origin::Off) => given,
    };
    let read =
        |text: &String| Template::parse(text).map_err(|error| invalid("rtmp-target", error.to_string()));
    given.iter().map(read).collect()
}

/// Where a mixer on this machine publishes to reach the embedded origin.
fn origin_url(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("rtmp://{}/live/{{room}}", SocketAddr::new(ip, addr.port()))
}

fn there(
    key: &'static str,
    given: Option<PathBuf>,
    is_good: impl Fn(&Path) -> bool,
    kind: &str,
) -> Result<Option<PathBuf>, ConfigError> {
    match given {
        Some(path) if !is_good(&path) => Err(invalid(
            key,
            format!("{} is not {kind} that can be read", path.display()),
        )),
        given => Ok(given),
    }
}

/// A command whose program is there: a path, or a name that is looked for as a shell does.
fn program(command: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let Some(program) = command.first() else {
        return Ok(command);
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = if program.contains('/') {
        Path::new(program).is_file()
    } else {
        !program.is_empty() && std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
    };
    if !found {
        return Err(invalid(
            "vision",
            format!(
                "there is no program {program:?}; say one with its path, and its arguments behind spaces"
            ),
        ));
    }
    Ok(command)
}

fn bitrate(key: &'static str, bitrate: u32, sensible: RangeInclusive<u32>) -> Result<u32, ConfigError> {
    if sensible.contains(&bitrate) {
        return Ok(bitrate);
    }
    let (least, most) = sensible.into_inner();
    Err(invalid(
        key,
        format!("{bitrate} bit/s; the encoder takes {least} to {most}"),
    ))
}

/// The addresses a browser can reach the media port at.
fn advertised(
    given: Vec<IpAddr>,
    media: SocketAddr,
    interface: Option<&str>,
) -> Result<Vec<IpAddr>, ConfigError> {
    if !given.is_empty() {
        return Ok(given);
    }
    if !media.ip().is_unspecified() {
        return Ok(vec![media.ip()]);
    }
    let addresses =
        getifaddrs().map_err(|error| invalid("advertise", format!("cannot list addresses: {error}")))?;
    let found: Vec<IpAddr> = addresses
        .filter(|entry| interface.is_none_or(|name| entry.interface_name == name))
        .filter_map(|entry| entry.address.as_ref().and_then(ip_of))
        .filter(|ip| reachable(*ip) && (media.is_ipv6() || ip.is_ipv4()))
        .collect();
    if found.is_empty() {
        let place = interface.unwrap_or("any interface");
        return Err(invalid(
            "advertise",
            format!("{place} has no address that others could reach; name one with --advertise IP"),
        ));
    }
    Ok(found)
}

/// The IP address of an interface's entry.
pub(crate) fn ip_of(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

/// One of the programs that belong to this one, under its key.
fn beside_this_program(key: &'static str) -> Result<PathBuf, ConfigError> {
    let here = std::env::current_exe()
        .map_err(|error| invalid(key, format!("cannot find this program: {error}")))?;
    Ok(here.with_file_name(format!("lianmai-{key}")))
}

/// systemd's `RuntimeDirectory=`, otherwise a directory of this process alone.
fn default_runtime_dir() -> PathBuf {
    std::env::var_os("RUNTIME_DIRECTORY").map_or_else(
        // A name that nobody else on this machine can have made before.
        || std::env::temp_dir().join(format!("lianmai-{:016x}", rand::random::<u64>())),
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError, Layer, Origin, PlaneChoice};
    use clap::Parser;
    use lianmai_mixer_control::scene::Layout;
    use std::net::SocketAddr;

    fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
        let mut all = vec!["lianmai-edge"];
        all.extend_from_slice(arguments);
        Config::from_layers(Layer::try_parse_from(all).expect("flags parse"))
    }

    fn refusal(arguments: &[&str]) -> String {
        config(arguments).expect_err("must be refused").to_string()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn nothing_said_means_loopback_and_the_embedded_origin() {
        let config = config(&[]).expect("defaults");
        assert_eq!(
            config.http,
            "127.0.0.1:8443".parse::<SocketAddr>().expect("address")
        );
        assert_eq!(
            config.media,
            "127.0.0.1:8444".parse::<SocketAddr>().expect("address")
        );
        assert_eq!(
            config.advertise,
            ["127.0.0.1".parse::<std::net::IpAddr>().expect("address")]
        );
        assert_eq!(config.rtmp_targets[0].url.0, "rtmp://127.0.0.1:1935/live/{room}");
        assert_eq!(config.plane, PlaneChoice::Auto);
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = file("http = \"127.0.0.1:1000\"\nmedia = \"127.0.0.1:1001\"\n");
        let path = file.path().to_str().expect("utf-8");
        let config = config(&["--config", path, "--http", "127.0.0.1:2000"]).expect("good");
        assert_eq!((config.http.port(), config.media.port()), (2000, 1001));
    }

    #[test]
    fn a_wrong_value_in_the_file_is_an_error_that_names_the_key() {
        let file = file("canvas = \"wide\"\n");
        let error = refusal(&["--config", file.path().to_str().expect("utf-8")]);
        assert!(
            error.contains("canvas") && error.contains("1280x720@30"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_key_in_the_file_is_an_error_that_names_it() {
        let file = file("htpp = \"127.0.0.1:1\"\n");
        let error = refusal(&["--config", file.path().to_str().expect("utf-8")]);
        assert!(error.contains("htpp"), "{error}");
    }

    #[test]
    fn a_listener_beyond_loopback_needs_open() {
        for key in ["http", "media", "origin"] {
            let error = refusal(&[&format!("--{key}"), "192.0.2.1:9000"]);
            assert!(error.starts_with(key) && error.contains("--open"), "{error}");
        }
        assert!(config(&["--http", "192.0.2.1:9000", "--open"]).is_ok());
    }

    #[test]
    fn a_target_that_is_no_rtmp_url_is_refused_by_name() {
        assert!(refusal(&["--rtmp-target", "ftp://cdn/x"]).starts_with("rtmp-target"));
    }

    #[test]
    fn options_of_a_target_stand_behind_its_url() {
        let config =
            config(&["--rtmp-target", "rtmps://cdn/live/{room}#retries=3&tags=enhanced"]).expect("good");
        let target = &config.rtmp_targets[0];
        assert_eq!(
            (target.url.0.as_str(), target.options.retries),
            ("rtmps://cdn/live/{room}", Some(3))
        );
        let error = refusal(&["--rtmp-target", "rtmp://cdn/live/key#retires=3"]);
        assert!(
            error.starts_with("rtmp-target") && error.contains("retires"),
            "{error}"
        );
    }

    #[test]
    fn a_ca_file_that_cannot_be_read_is_refused_by_name() {
        let error = refusal(&["--rtmps-ca", "/nonexistent.pem"]);
        assert!(
            error.starts_with("rtmps-ca") && error.contains("/nonexistent.pem"),
            "{error}"
        );
    }

    #[test]
    fn a_webhook_needs_a_secret_that_is_not_trivial() {
        let hook = ["--webhook", "https://example.com/hook"];
        assert!(
            refusal(&hook).starts_with("webhook-secret-file"),
            "{}",
            refusal(&hook)
        );
        for (text, good) in [("", false), ("short\n", false), ("0123456789abcdef\n", true)] {
            let file = file(text);
            let path = file.path().to_str().expect("utf-8");
            let arguments = [hook[0], hook[1], "--webhook-secret-file", path];
            let outcome = config(&arguments);
            assert_eq!(outcome.is_ok(), good, "{text:?}");
            if let Ok(config) = outcome {
                let webhooks = config.webhooks.expect("configured");
                assert_eq!(webhooks.secret.0, b"0123456789abcdef", "without the line feed");
                assert!(!format!("{webhooks:?}").contains("0123"));
            }
        }
        assert!(refusal(&["--webhook", "ftp://example.com"]).starts_with("webhook:"));
    }

    #[test]
    fn without_origin_and_targets_the_mix_goes_nowhere() {
        let config = config(&["--origin", "off"]).expect("good");
        assert_eq!((config.origin, config.rtmp_targets.len()), (Origin::Off, 0));
    }

    #[test]
    fn a_plane_is_chosen_with_its_interface() {
        let config = config(&["--plane", "kernel", "--interface", "eth7"]).expect("good");
        assert_eq!(
            (config.plane, config.interface.as_deref()),
            (PlaneChoice::Kernel, Some("eth7"))
        );
    }

    #[test]
    fn rooms_look_like_a_named_layout_or_a_file() {
        let named = config(&["--layout", "side_by_side"]).expect("good");
        assert_eq!(named.scene.layout, Layout::SideBySide);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("show.json");
        std::fs::write(
            &file,
            r#"{"layout": {"type": "screen", "side": "top"}, "labels": true}"#,
        )
        .expect("written");
        let path = file.to_str().expect("utf-8");
        assert!(config(&["--layout", path]).expect("good").scene.labels);
        std::fs::write(&file, r#"{"fade_ms": 5000}"#).expect("written");
        assert!(refusal(&["--layout", path]).starts_with("layout: fade_ms is 5000"));
        let toml = self::file("layout = \"circle\"\n");
        let error = refusal(&["--config", toml.path().to_str().expect("utf-8")]);
        assert!(
            error.contains("circle") && error.contains("side_by_side"),
            "{error}"
        );
    }

    #[test]
    fn filters_are_a_list_or_a_file_and_refused_by_name() {
        let mirror = r#"[{"type": "mirror"}]"#;
        assert_eq!(config(&["--filters", mirror]).expect("good").filters.0.len(), 1);
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("chain.json");
        std::fs::write(&file, r#"[{"type": "blur", "radius": 99}]"#).expect("written");
        let error = refusal(&["--filters", file.to_str().expect("utf-8")]);
        assert!(error.starts_with("filters: filter 0: radius is 99"), "{error}");
        let toml = self::file("filters = '[{\"type\": \"sepia\"}]'\n");
        let error = refusal(&["--config", toml.path().to_str().expect("utf-8")]);
        assert!(error.contains("sepia") && error.contains("saturation"), "{error}");
    }

    #[test]
    fn a_vision_program_must_be_there_and_has_arguments() {
        assert_eq!(
            config(&["--vision", "sh -c true"]).expect("good").vision,
            ["sh", "-c", "true"]
        );
        let toml = self::file("vision = [\"/bin/sh\", \"a b\"]\n");
        let given = config(&["--config", toml.path().to_str().expect("utf-8")]).expect("good");
        assert_eq!(given.vision, ["/bin/sh", "a b"]);
        for missing in ["/nowhere/faces.py", "no-such-program"] {
            let error = refusal(&["--vision", missing]);
            assert!(error.starts_with("vision") && error.contains(missing), "{error}");
        }
    }

    #[test]
    fn images_and_font_must_be_there() {
        for key in ["images", "font"] {
            let error = refusal(&[&format!("--{key}"), "/nowhere"]);
            assert!(error.starts_with(key) && error.contains("/nowhere"), "{error}");
        }
    }

    #[test]
    fn a_bitrate_out_of_range_is_refused_by_name() {
        assert!(refusal(&["--mix-video-bitrate", "12"]).starts_with("mix-video-bitrate"));
    }
}
