//! One RTMP connection: a publisher or a player.

use crate::Shared;
use crate::cohost::{Cohost, Verdict};
use crate::config::Network;
use crate::flv::Player;
use crate::hub::{Denied, PeerId};
use crate::name::StreamName;
use lianmai_rtmp::{Refusal, Server, ServerError, ServerEvent, StreamPath, Tag};
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// After a refusal or an error the peer gets this long to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves the peer until either side ends it.
pub(crate) async fn run(
    stream: TcpStream,
    address: IpAddr,
    shared: &Arc<Shared>,
    running: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let server = Server::new(shared.config.message);
    let mut connection = Connection {
        shared,
        address,
        stream,
        server,
        role: Role::None,
        opened: Instant::now(),
    };
    let end = connection.drive(running).await;
    connection.say_goodbye(&end).await;
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed it")]
    Peer,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Protocol(#[from] ServerError),
    #[error("neither publish nor play in time")]
    Handshake,
    #[error("a silent publisher")]
    Idle,
    #[error("a player that takes nothing")]
    Stuck,
    #[error("refused")]
    Refused,
    #[error("the stream is over")]
    StreamOver,
    #[error("the origin ends")]
    Shutdown,
}

enum Role {
    None,
    Publisher(Publisher),
    Player(Player),
}

/// The right to publish one stream, given back when dropped.
struct Publisher {
    shared: Arc<Shared>,
    name: StreamName,
    id: PeerId,
    /// What the rooms say of a co-host.
    verdicts: Option<mpsc::Receiver<Verdict>>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.hub().unpublish(Instant::now(), &self.name, self.id);
    }
}

enum Step {
    Read(usize),
    Tag(Option<Tag>),
    Verdict(Option<Verdict>),
    TimedOut,
    Shutdown,
}

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    address: IpAddr,
    stream: TcpStream,
    server: Server,
    role: Role,
    opened: Instant,
}

impl Connection<'_> {
    async fn drive(&mut self, mut running: watch::Receiver<bool>) -> End {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let result = match self.step(&mut buffer, &mut running).await {
                Ok(Step::Read(0)) => Err(End::Peer),
                Ok(Step::Read(length)) => self.handle_input(&buffer[..length]),
                Ok(Step::Tag(Some(tag))) => self.server.send(&tag).map_err(End::from),
                Ok(Step::Tag(None)) => self.server.end().map_err(End::from).and(Err(End::StreamOver)),
                Ok(Step::Verdict(verdict)) => self.heed(verdict),
                Ok(Step::TimedOut) => Err(if matches!(self.role, Role::None) {
                    End::Handshake
                } else {
                    End::Idle
                }),
                Ok(Step::Shutdown) => self.server.end().map_err(End::from).and(Err(End::Shutdown)),
                Err(error) => Err(End::Io(error)),
            };
            if let Err(end) = result {
                return end;
            }
            if let Err(end) = self.flush().await {
                return end;
            }
        }
    }

    async fn step(
        &mut self,
        buffer: &mut [u8],
        running: &mut watch::Receiver<bool>,
    ) -> std::io::Result<Step> {
        let patience = self.patience();
        let (mut outlet, mut verdicts) = (None, None);
        match &mut self.role {
            Role::None => {}
            Role::Player(player) => outlet = Some(Arc::clone(&player.outlet)),
            Role::Publisher(publisher) => verdicts = publisher.verdicts.as_mut(),
        }
        let next_tag = async {
            match &outlet {
                Some(outlet) => outlet.recv().await,
                None => pending().await,
            }
        };
        let verdict = async {
            match verdicts {
                Some(verdicts) => verdicts.recv().await,
                None => pending().await,
            }
        };
        let timer = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => pending().await,
            }
        };
        Ok(tokio::select! {
            read = self.stream.read(buffer) => Step::Read(read?),
            tag = next_tag => Step::Tag(tag),
            verdict = verdict => Step::Verdict(verdict),
            () = timer => Step::TimedOut,
            _ = running.wait_for(|running| !running) => Step::Shutdown,
        })
    }

    /// How long to wait for the peer. A player need not say anything: writing to it shows whether it lives.
    fn patience(&self) -> Option<Duration> {
        match self.role {
            Role::None => Some(
                self.shared
                    .config
                    .handshake_timeout
                    .saturating_sub(self.opened.elapsed()),
            ),
            Role::Publisher(_) => Some(self.shared.config.idle_timeout),
            Role::Player(_) => None,
        }
    }

    fn handle_input(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.shared
            .metrics
            .bytes_received
            .inc_by(u64::try_from(bytes.len()).unwrap_or_default());
        let result = self.server.handle_input(bytes);
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Publish(path) => self.publish(&path)?,
                ServerEvent::Play(path) => self.play(&path)?,
                ServerEvent::Tag(tag) => self.forward(&tag),
                ServerEvent::Finished => self.finish(),
            }
        }
        Ok(result?)
    }

    fn publish(&mut self, path: &StreamPath) -> Result<(), End> {
        let shared = self.shared;
        let config = &shared.config;
        let cohosts = config.cohosts.as_ref();
        let cohost = cohosts.and_then(|cohosts| Some((&cohosts.from, cohosts.name(path)?.ok())));
        let is_cohost = cohost.is_some();
        let (from, name) = cohost.unwrap_or_else(|| (&config.publish_from, self.name(path)));
        if !self.comes_from(from) {
            return self.refuse(
                "publisher address",
                "NetStream.Publish.Denied",
                "publishing is not allowed from here",
            );
        }
        let Some(name) = name else {
            return self.refuse(
                "bad name",
                "NetStream.Publish.BadName",
                "no such application, or no usable name",
            );
        };
        let published = self.shared.hub().publish(Instant::now(), &name);
        match published {
            Ok(id) => {
                tracing::info!(stream = %name, address = %self.address, "published");
                let mut publisher = Publisher {
                    shared: Arc::clone(self.shared),
                    name,
                    id,
                    verdicts: None,
                };
                if is_cohost {
                    publisher.verdicts = Some(self.ask_to_join(&publisher.name));
                }
                self.role = Role::Publisher(publisher);
                if is_cohost {
                    Ok(())
                } else {
                    Ok(self.server.accept()?)
                }
            }
            Err(denied) => self.refuse(denied.label(), "NetStream.Publish.BadName", denied.label()),
        }
    }

    fn comes_from(&self, networks: &[Network]) -> bool {
        networks.iter().any(|network| network.contains(self.address))
    }

    /// What the rooms answer comes out of the receiver. Rooms that do not listen have answered no: it is closed.
    fn ask_to_join(&self, name: &StreamName) -> mpsc::Receiver<Verdict> {
        let (cohost, verdicts) = Cohost::new(self.shared, name.clone(), self.address);
        if let Some(cohosts) = &self.shared.config.cohosts
            && let Err(error) = cohosts.door.try_send(cohost)
        {
            tracing::warn!(stream = %name, %error, "nobody takes a co-host in");
        }
        verdicts
    }

    fn heed(&mut self, verdict: Option<Verdict>) -> Result<(), End> {
        let reason = match verdict {
            Some(Verdict::Accepted) => return Ok(self.server.accept()?),
            Some(Verdict::Dismissed(reason)) => reason,
            None => "the edge does not take it any more".to_owned(),
        };
        self.refuse("co-host dismissed", "NetStream.Publish.BadName", &reason)
    }

    fn play(&mut self, path: &StreamPath) -> Result<(), End> {
        let Some(name) = self.name(path) else {
            return self.refuse(
                "bad name",
                "NetStream.Play.StreamNotFound",
                "no such application, or no usable name",
            );
        };
        let played = self.shared.hub().play(&name);
        match played {
            Ok((id, outlet)) => {
                self.role = Role::Player(Player::new(self.shared, &name, id, outlet));
                Ok(self.server.accept()?)
            }
            Err(denied @ Denied::NotFound) => self.refuse(
                denied.label(),
                "NetStream.Play.StreamNotFound",
                "nobody publishes this",
            ),
            Err(denied) => self.refuse(denied.label(), "NetStream.Play.Failed", denied.label()),
        }
    }

    fn name(&self, path: &StreamPath) -> Option<StreamName> {
        (path.app == self.shared.config.app)
            .then(|| StreamName::from_wire(&path.stream).ok())
            .flatten()
    }

    fn forward(&self, tag: &Tag) {
        let Role::Publisher(publisher) = &self.role else {
            return;
        };
        self.shared
            .hub()
            .push(Instant::now(), &publisher.name, publisher.id, tag);
    }

    /// The peer may go on to publish or play something else, as fast as a new one has to.
    fn finish(&mut self) {
        self.role = Role::None;
        self.opened = Instant::now();
    }

    /// A client that was refused has nothing more to do here.
    fn refuse(&mut self, counter: &'static str, code: &'static str, description: &str) -> Result<(), End> {
        tracing::info!(address = %self.address, counter, code, "refused");
        self.shared.metrics.refuse(counter);
        self.server.refuse(&Refusal {
            code,
            description: description.to_owned(),
        })?;
        Err(End::Refused)
    }

    /// Writes what is due. A peer may be slow, but not stand still.
    async fn flush(&mut self) -> Result<(), End> {
        let patience = self.shared.config.write_timeout;
        while let Some(mut bytes) = self.server.poll_output() {
            while !bytes.is_empty() {
                let written = timeout(patience, self.stream.write(&bytes))
                    .await
                    .map_err(|_| End::Stuck)??;
                if written == 0 {
                    return Err(End::Peer);
                }
                let _ = bytes.split_to(written);
                self.shared
                    .metrics
                    .bytes_sent
                    .inc_by(u64::try_from(written).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Lets the peer read the last words: closing over unread input would make the kernel discard them.
    async fn say_goodbye(mut self, end: &End) {
        self.role = Role::None;
        self.count(end);
        if matches!(end, End::Peer | End::Io(_) | End::Stuck) || self.flush().await.is_err() {
            return;
        }
        let Connection { mut stream, .. } = self;
        let drained = async {
            stream.shutdown().await?;
            let mut rest = [0; 4096];
            while stream.read(&mut rest).await? > 0 {}
            std::io::Result::Ok(())
        };
        // Whether or not it took the chance, it is over now.
        let _ = timeout(FAREWELL, drained).await;
    }

    fn count(&self, end: &End) {
        let reason = match end {
            End::Peer | End::Io(_) | End::Refused | End::StreamOver | End::Shutdown => return,
            End::Protocol(_) => "protocol",
            End::Handshake => "handshake timeout",
            End::Idle => "idle publisher",
            End::Stuck => "stuck player",
        };
        tracing::warn!(address = %self.address, reason = %end, "closing an RTMP connection");
        self.shared.metrics.close(reason);
    }
}

impl Denied {
    /// For counters and for the peer.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Taken => "name taken",
            Self::TooManyStreams => "too many streams",
            Self::TooManyCohosts => "too many co-hosts",
            Self::NotFound => "no such stream",
            Self::TooManyPlayers => "too many players",
        }
    }
}
