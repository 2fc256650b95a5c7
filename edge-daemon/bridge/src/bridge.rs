//! The process: what comes on standard input goes out as WebRTC.

use crate::input::{self, Arrival};
use crate::peer::{Peer, PeerError, Wish};
use crate::pictures::Pictures;
use crate::refusal::Refusal;
use crate::sound::Sounds;
use crate::timeline::Timeline;
use anyhow::{Context, Result};
use lianmai_bridge_control::{BridgeStats, FromBridge, VERSION, encode};
use lianmai_rtmp::TagKind;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, sleep_until, timeout};

/// Datagrams sent without a pause: more than the media port's buffer takes where nobody made it larger would be lost.
const BURST: usize = 32;

/// The pause between them.
const PAUSE: Duration = Duration::from_millis(1);

/// How often the daemon is told what was done.
const REPORT: Duration = Duration::from_secs(1);

/// How long ICE and DTLS may take on this machine.
const CONNECT: Duration = Duration::from_secs(5);

/// Bridges standard input to the edge's media port at `media` until it ends.
///
/// # Errors
/// When the edge does not take the stream, or no longer.
pub async fn run(media: SocketAddr) -> Result<()> {
    let socket = connect(media).await.context("no UDP socket to the edge")?;
    let started = Instant::now();
    let (mut peer, sdp) = Peer::offer(socket.local_addr()?, started)?;
    let version = VERSION;
    say(&FromBridge::Offer { version, sdp })?;
    let (answer, arrivals) = input::read()?;
    let answer = answer
        .await
        .context("standard input ended before there was an answer")?;
    peer.accept(&answer, media)?;
    let mut bridge = Bridge {
        socket,
        media,
        peer,
        arrivals,
        timeline: Timeline::new(started),
        pictures: Pictures::default(),
        sounds: Sounds::new().context("no Opus encoder")?,
    };
    let connected = timeout(CONNECT, bridge.until_connected()).await;
    connected.with_context(|| format!("no connection to the edge at {media} within {CONNECT:?}"))??;
    tracing::debug!(?media, "connected");
    match bridge.serve().await {
        Ok(()) => Ok(()),
        Err(End::Refused(refusal)) => {
            // The daemon tells everybody else.
            let reason = refusal.to_string();
            say(&FromBridge::Refused { reason })
        }
        Err(End::Failed(error)) => Err(error),
    }
}

struct Bridge {
    socket: UdpSocket,
    media: SocketAddr,
    peer: Peer,
    arrivals: mpsc::Receiver<Arrival>,
    timeline: Timeline,
    pictures: Pictures,
    sounds: Sounds,
}

enum End {
    Refused(Refusal),
    Failed(anyhow::Error),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<PeerError> for End {
    fn from(error: PeerError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for End {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Bridge {
    /// What comes meanwhile waits.
    async fn until_connected(&mut self) -> Result<()> {
        let mut buffer = vec![0; 2048];
        while !self.peer.connected {
            let due = self.flush().await?;
            if !self.peer.connected {
                attend(&self.socket, &mut self.peer, self.media, due, &mut buffer).await?;
            }
        }
        Ok(())
    }

    async fn serve(&mut self) -> Result<(), End> {
        let mut buffer = vec![0; 2048];
        let mut batch = Vec::new();
        let mut reports = interval(REPORT);
        loop {
            let due = self.flush().await?;
            tokio::select! {
                count = self.arrivals.recv_many(&mut batch, input::QUEUE) => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.take(&mut batch).await?;
                }
                done = attend(&self.socket, &mut self.peer, self.media, due, &mut buffer) => done?,
                _ = reports.tick() => say(&FromBridge::Stats(self.stats()))?,
            }
        }
    }

    /// Sends what there is to send.
    async fn flush(&mut self) -> Result<Instant> {
        let mut sent = 0;
        loop {
            match self.peer.poll()? {
                Wish::Wait(due) => return Ok(due),
                Wish::Send(datagram) => {
                    // What does not go out, or finds nobody, is what the network loses: it is asked for again.
                    let _ = self.socket.send(&datagram).await;
                    sent += 1;
                    if sent % BURST == 0 {
                        sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// All of it is dated before any is sent, so that what has waited does not tell a wrong time.
    async fn take(&mut self, batch: &mut Vec<Arrival>) -> Result<(), End> {
        let mut pictures = Vec::new();
        let mut sounds = Vec::new();
        for Arrival { at, tag } in batch.drain(..) {
            match tag.kind {
                TagKind::Video => {
                    if let Some(picture) = self.pictures.push(&tag)? {
                        self.timeline.arrived(at, picture.at_ms);
                        pictures.push(picture);
                    }
                }
                TagKind::Audio => {
                    if let Some((heard_ms, more)) = self.sounds.push(&tag)? {
                        self.timeline.arrived(at, heard_ms);
                        sounds.extend(more);
                    }
                }
                TagKind::Script => {}
            }
        }
        for sound in sounds {
            let now = Instant::now();
            self.peer.play(self.timeline.instant(sound.at_us, now), sound)?;
            self.pass_on(now).await?;
        }
        for picture in pictures {
            let now = Instant::now();
            let made = self.timeline.instant(picture.at_ms.saturating_mul(1000), now);
            self.peer.show(made, picture)?;
            self.pass_on(now).await?;
        }
        Ok(())
    }

    async fn pass_on(&mut self, now: Instant) -> Result<(), End> {
        self.flush().await?;
        self.peer.handle_timeout(now)?;
        self.flush().await?;
        Ok(())
    }

    fn stats(&self) -> BridgeStats {
        BridgeStats {
            pictures: self.pictures.passed,
            bad_pictures: self.pictures.bad,
            sounds: self.sounds.passed,
            bad_sounds: self.sounds.bad,
            sound_gaps: self.sounds.gaps(),
            longest_gop_ms: u64::try_from(self.pictures.longest_gop_ms).unwrap_or_default(),
            key_frames_asked: self.peer.key_frames_asked,
        }
    }
}

/// Waits for a datagram, or until something is due.
async fn attend(
    socket: &UdpSocket,
    peer: &mut Peer,
    media: SocketAddr,
    due: Instant,
    buffer: &mut [u8],
) -> Result<()> {
    tokio::select! {
        received = socket.recv(buffer) => {
            // An ICMP error says that nobody listens: the consent will say the same, unless somebody does again.
            if let Ok(length) = received {
                peer.receive(Instant::now(), media, &buffer[..length])?;
            }
        }
        () = sleep_until(due.into()) => peer.handle_timeout(Instant::now())?,
    }
    Ok(())
}

/// A socket that hears nobody but the edge.
async fn connect(media: SocketAddr) -> Result<UdpSocket> {
    let any = if media.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(media).await?;
    Ok(socket)
}

/// Nobody but the daemon that started us reads this, and its end is ours.
fn say(message: &FromBridge) -> Result<()> {
    let line = encode(message)?;
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .context("nobody reads standard output")
}
