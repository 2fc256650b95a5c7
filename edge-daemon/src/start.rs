//! Starting the edge in order, saying what runs where, and ending it in order.

use crate::cohosts::{self, CohostMetrics, CohostSpec, DOOR};
use crate::config::{CohostChoice, Config, Origin as OriginChoice, SnapshotConfig, Tls};
use crate::edge::{self, Edge, Events, MediaSetup, MixSetup};
use crate::handover::{self, Inherited, SaveMetrics, Saver, Snapshot, Store};
use crate::http::{self, LiveStreams, SelfSigned, Services};
use crate::live::{Live, NoOrigin};
use crate::mixers::{ForwardMetrics, MixerSpec, RecordingMetrics, TargetMetrics, VisionMetrics, VisionSpec};
use crate::plane::{self, Plane};
use crate::signals;
use crate::snapshots::{self, Disk, Snapshots};
use crate::webhooks::{self, Limits, Webhooks};
use anyhow::{Context, Result};
use lianmai_mixer_control::Record;
use lianmai_origin::{Cohost, CohostConfig, Origin, OriginConfig};
use lianmai_plane::{PlaneHandle, Resumption};
use lianmai_rtmp::RtmpUrl;
use lianmai_webrtc::{Certificate, Transport, TransportHandle};
use prometheus_client::registry::Registry;
use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// The name that the media socket is kept under.
const MEDIA: &str = "media";

/// That of the ledger of used packet indices.
const LEDGER: &str = "ledger";

/// Runs an edge until it is told to end, from what the daemon before it left.
pub(crate) fn run(config: Config, store: Store, inherited: Inherited) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(config, store, inherited))
}

async fn serve(config: Config, store: Store, mut inherited: Inherited) -> Result<()> {
    let shutdown = signals::end(store.clone())?;
    signals::hand_over(store.clone(), || ())?;
    let mut registry = Registry::with_prefix("lianmai");
    let (archive, earlier) = handover::resume(&store, &mut inherited);
    let certificate = certificate(earlier.as_ref())?;
    let left = Resumption {
        socket: inherited.take(MEDIA).map(UdpSocket::from),
        ledger: inherited.take(LEDGER),
        commands: earlier.as_ref().map(Snapshot::commands).unwrap_or_default(),
    };
    let (plane, chosen, transport, events) = media(
        &config,
        left,
        &store,
        &certificate,
        earlier.as_ref(),
        &mut registry,
    )?;
    for (name, descriptor) in [(MEDIA, plane.socket()), (LEDGER, plane.ledger())] {
        if let Err(error) = store.keep(name, descriptor) {
            tracing::warn!(%error, name, "the talk will not outlive a crash");
        }
    }
    inherited.forget_rest(&store);
    let (visitors, door) = mpsc::channel(DOOR);
    let (origin, live) = origin(&config, visitors, &mut registry).await?;
    let self_signed = self_signed(&config, earlier.as_ref())?;
    let server = http::bind(&http::Config {
        address: config.http,
        tls: config.tls.clone(),
        advertise: config.advertise.clone(),
        self_signed: self_signed.clone(),
        admin: config.admin,
    })?;
    let media = MediaSetup {
        transport,
        plane: plane.clone(),
        chosen: chosen.clone(),
        fingerprint: certificate.fingerprint().clone(),
        candidates: candidates(&config, plane.local_addr()),
        seed: seed()?,
    };
    let rooms = edge::Metrics::new(&mut registry);
    let mixes = mixes(&config, &rooms, &mut registry)?;
    let cohosts = config.cohosts.as_ref().map(|choice| CohostSpec {
        program: choice.program.clone(),
        log: config.log.clone(),
        media: cohosts::from_here(plane.local_addr()),
        metrics: CohostMetrics::new(&mut registry),
        webhooks: mixes.spec.webhooks.clone(),
    });
    let (mut edge, handle) = Edge::new(media, mixes, rooms, seed()?);
    if let Some(earlier) = earlier {
        tracing::info!(
            peers = earlier.peers.len(),
            "going on as the last process left it"
        );
        edge.restore(earlier, seed()?);
    }
    if let Some(archive) = archive {
        let metrics = SaveMetrics::new(&mut registry);
        edge.save_to(Saver::new(archive, certificate.save(), self_signed, metrics));
    }
    eprint!(
        "{}",
        screen(
            &config,
            &format!("{}://{}", server.scheme(), server.address()),
            &plane,
            &chosen,
        )
    );
    let cohosts = cohosts.map(|spec| cohosts::serve(spec, handle.clone(), door, shutdown.clone()));
    let metrics = http::Metrics::new(&mut registry);
    let services = Services {
        edge: handle,
        live,
        registry: Arc::new(registry),
        metrics,
    };
    let edge = tokio::spawn(edge.run(events, shutdown.clone()));
    store.ready();
    server.run(services, shutdown.clone().cancelled_owned()).await?;
    shutdown.cancel();
    if let Some(cohosts) = cohosts {
        cohosts.await.context("the co-hosts ended unexpectedly")?;
    }
    edge.await.context("the edge ended unexpectedly")?;
    // Mixers have said their last word to the origin by now.
    if let Some(origin) = origin {
        origin.shutdown();
    }
    plane.shutdown();
    let _ = std::fs::remove_dir(&config.runtime_dir);
    tracing::info!("ended");
    Ok(())
}

/// The one that answers to offers have named, or a new one.
fn certificate(earlier: Option<&Snapshot>) -> Result<Certificate> {
    let certificate = match earlier {
        Some(earlier) => Certificate::restore(earlier.certificate.clone()),
        None => Certificate::generate(),
    };
    certificate.context("DTLS")
}

/// What browsers have accepted already, or a new one.
fn self_signed(config: &Config, earlier: Option<&Snapshot>) -> Result<Option<SelfSigned>> {
    match config.tls {
        Tls::SelfSigned => {
            let earlier = earlier.and_then(|earlier| earlier.https.clone());
            Ok(Some(SelfSigned::for_names(earlier, &config.advertise)?))
        }
        Tls::Off | Tls::Files { .. } => Ok(None),
    }
}

fn media(
    config: &Config,
    left: Resumption,
    store: &Store,
    certificate: &Certificate,
    earlier: Option<&Snapshot>,
    registry: &mut Registry,
) -> Result<(PlaneHandle, Plane, TransportHandle, Events)> {
    let (plane, outputs, chosen) = plane::start(config, left, store.is_there())?;
    plane.metrics().register(registry);
    chosen.register(registry);
    let metrics = lianmai_webrtc::Metrics::default();
    metrics.register(registry);
    let sender = Arc::new(outputs.sender);
    let endpoints = earlier.map(Snapshot::transports).unwrap_or_default();
    let (transport, transport_events) = Transport::resume(
        sender,
        certificate.clone(),
        metrics,
        outputs.datagrams,
        &endpoints,
    );
    Ok((
        plane,
        chosen,
        transport,
        Events {
            transport: transport_events,
            plane: outputs.events,
        },
    ))
}

async fn origin(
    config: &Config,
    visitors: mpsc::Sender<Cohost>,
    registry: &mut Registry,
) -> Result<(Option<Arc<Origin>>, Arc<dyn LiveStreams>)> {
    let OriginChoice::Listen(address) = config.origin else {
        return Ok((None, Arc::new(NoOrigin)));
    };
    let metrics = lianmai_origin::Metrics::default();
    metrics.register(registry);
    let settings = OriginConfig {
        listen: address,
        cohosts: config
            .cohosts
            .as_ref()
            .map(|choice| cohost_config(choice, visitors)),
        ..OriginConfig::default()
    };
    let bound = Origin::bind(settings, metrics).await;
    let origin = Arc::new(bound.with_context(|| {
        format!("origin: cannot listen on {address}; choose another address with --origin, or --origin off")
    })?);
    Ok((Some(Arc::clone(&origin)), Arc::new(Live::new(origin))))
}

fn cohost_config(choice: &CohostChoice, door: mpsc::Sender<Cohost>) -> CohostConfig {
    CohostConfig {
        app: "cohost".to_owned(),
        from: choice.from.clone(),
        max: choice.max,
        door,
    }
}

fn candidates(config: &Config, media: SocketAddr) -> Vec<SocketAddr> {
    config
        .advertise
        .iter()
        .map(|ip| SocketAddr::new(*ip, media.port()))
        .collect()
}

fn mixes(config: &Config, metrics: &edge::Metrics, registry: &mut Registry) -> Result<MixSetup> {
    let webhooks = match &config.webhooks {
        Some(webhooks) => Webhooks::start(webhooks, Limits::EVENTS, webhooks::Metrics::new(registry))
            .context("no thread for the webhooks")?,
        None => Webhooks::default(),
    };
    Ok(MixSetup {
        spec: MixerSpec {
            program: config.mixer.clone(),
            runtime_dir: config.runtime_dir.clone(),
            log: config.log.clone(),
            restarts: metrics.mixer_restarts.clone(),
            targets: TargetMetrics::new(registry),
            recordings: RecordingMetrics::new(registry),
            webhooks,
            forwards: ForwardMetrics::new(registry),
            snapshots: snapshots(&config.snapshots, registry)?,
            vision: VisionSpec {
                command: config.vision.clone(),
                metrics: VisionMetrics::new(registry),
            },
        },
        targets: config.rtmp_targets.clone(),
        rtmps_ca: config.rtmps_ca.clone(),
        sei: config.sei,
        idle: config.idle_slate,
        record: config.record.clone(),
        record_what: config.record_what,
        canvas: config.canvas.0,
        scene: config.scene.clone(),
        images: config.images.clone(),
        font: config.font.clone(),
        video_bitrate: config.mix_video_bitrate,
        audio_bitrate: config.mix_audio_bitrate,
        loudness: config.mix_loudness,
        filters: config.filters.clone(),
        gop_seconds: config.mix_gop_seconds,
        coding: config.coding,
    })
}

fn snapshots(config: &SnapshotConfig, registry: &mut Registry) -> Result<Snapshots> {
    let metrics = snapshots::Metrics::new(registry);
    let start = |dir: PathBuf| Disk::start(dir, metrics.clone()).context("no thread for snapshots");
    let webhooks = match &config.webhooks {
        Some(webhooks) => {
            let counted = webhooks::Metrics::of_snapshots(registry);
            Webhooks::start(webhooks, Limits::PICTURES, counted)
                .context("no thread for the webhooks of snapshots")?
        }
        None => Webhooks::default(),
    };
    Ok(Snapshots {
        settings: config.settings,
        disk: config.dir.clone().map(start).transpose()?,
        webhooks,
        metrics,
    })
}

fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the kernel gives no randomness")?;
    Ok(seed)
}

/// A target as people may see it: a stream that is not named after the room is a secret with most CDNs.
fn shown(target: &str) -> String {
    match RtmpUrl::for_room(target, "ROOM") {
        Ok(_) if target.ends_with("/{room}") => target.to_owned(),
        Ok(url) => url.to_string(),
        Err(error) => error.to_string(),
    }
}

/// What runs where, on one screen.
fn screen(config: &Config, url: &str, plane: &PlaneHandle, chosen: &Plane) -> String {
    let mut text = format!("Lianmai {} is up\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<10}{value}");
    };
    line("join", format!("{url}/"));
    line("watch", format!("{url}/watch/ROOM"));
    line("admin", format!("{url}/api/v1/   {url}/metrics"));
    line("publish", format!("{url}/whip/ROOM/USER   {url}/whep/ROOM/USER"));
    let reached = candidates(config, plane.local_addr())
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    line(
        "media",
        format!("UDP {}, offered as {reached}", plane.local_addr()),
    );
    line("plane", chosen.to_string());
    line("crash", chosen.crash.clone());
    line("mix", mix_line(config));
    if let OriginChoice::Listen(address) = config.origin {
        line("origin", format!("rtmp://{address}/live/ROOM"));
        if let Some(cohosts) = &config.cohosts {
            let place = format!("rtmp://{address}/cohost/ROOM/USER");
            line("co-hosts", format!("{place}, at most {}", cohosts.max));
        }
    }
    if let Some(dir) = &config.record {
        line("record", record_line(config.record_what, dir));
    }
    if let Some(every) = config.snapshots.settings.interval_ms {
        line("snapshots", snapshots_line(&config.snapshots, every));
    }
    if config.tls == Tls::SelfSigned {
        text.push_str(
            "\n  The certificate is self-signed: browsers ask once. --tls CERT,KEY brings your own.\n",
        );
    }
    text.push('\n');
    text
}

fn record_line(what: Record, directory: &Path) -> String {
    let what = match (what.mix, what.hosts) {
        (true, true) => "mixes and hosts",
        (true, false) => "mixes",
        (false, true) => "hosts",
        (false, false) => "what is asked for",
    };
    format!("{what} into {}", directory.display())
}

fn snapshots_line(config: &SnapshotConfig, every_ms: u32) -> String {
    let mut text = format!("every {} s", every_ms / 1000);
    if let Some(dir) = &config.dir {
        let _ = write!(text, ", to {}", dir.display());
    }
    if let Some(webhooks) = &config.webhooks {
        let _ = write!(text, ", to {} webhook(s)", webhooks.urls.len());
    }
    text
}

fn mix_line(config: &Config) -> String {
    let targets = match config.rtmp_targets.as_slice() {
        [] if config.record.is_some() => "recorded only".to_owned(),
        [] if config.snapshots.settings.interval_ms.is_some() => "for snapshots only".to_owned(),
        [] => "off: neither --rtmp-target nor --origin nor --record".to_owned(),
        targets => format!(
            "to {}",
            targets
                .iter()
                .map(|target| shown(&target.url.0))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    format!(
        "{} of {} at {} kbit/s, {targets}",
        config.canvas,
        config.coding,
        config.mix_video_bitrate / 1000
    )
}
