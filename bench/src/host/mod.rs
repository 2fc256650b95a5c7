//! Synthetic co-hosts: real ICE, DTLS and SRTP, and nothing else.

pub(crate) mod dtls;
pub(crate) mod ice;
pub(crate) mod sdp;

use anyhow::{Context, Result};
use dtls::{Identity, Keys};
use rand::distr::{Alphanumeric, SampleString};
use std::net::UdpSocket;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Handshakes at a time: more of them only wait for each other's processor until their timers run out.
const HANDSHAKES: usize = 16;

/// What a stream carries; decides on codec and SDP only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Media {
    Audio,
    Video,
}

/// One end of a PeerConnection to be: its socket and what its SDP says.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) socket: UdpSocket,
    pub(crate) media: Media,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// Of what it sends; not used by one that receives.
    pub(crate) ssrc: u32,
}

/// A PeerConnection that is up.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) socket: UdpSocket,
    pub(crate) ssrc: u32,
    /// `None` where the server has no crypto.
    pub(crate) keys: Option<Keys>,
    /// A STUN check that the server answers at any time; `None` where nobody would.
    check: Option<Vec<u8>>,
}

impl Local {
    pub(crate) fn new(socket: UdpSocket, media: Media) -> Self {
        let mut random = rand::rng();
        Self {
            socket,
            media,
            // RFC 8445 §5.3: at least 24 bits of randomness, and 128.
            ufrag: Alphanumeric.sample_string(&mut random, 8),
            pwd: Alphanumeric.sample_string(&mut random, 24),
            ssrc: rand::random(),
        }
    }
}

impl Connected {
    /// One that needs no server's consent and has no keys: its packets go in the clear.
    pub(crate) fn in_the_clear(local: Local) -> Self {
        Self {
            socket: local.socket,
            ssrc: local.ssrc,
            keys: None,
            check: None,
        }
    }

    /// Renews the consent (RFC 7675).
    pub(crate) fn keep_alive(&self) {
        if let Some(check) = &self.check {
            // A check that is lost is followed by the next.
            let _ = self.socket.send(check);
        }
    }
}

/// Brings PeerConnections up whose SDP is exchanged.
#[derive(Debug)]
pub(crate) struct Connector {
    identity: Arc<Identity>,
}

impl Connector {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            identity: Arc::new(Identity::generate()?),
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// All of them, in the order given.
    pub(crate) fn connect(&self, peers: Vec<(Local, sdp::Remote)>) -> Result<Vec<Connected>> {
        // A runtime for each call: with it goes all that a handshake left behind, so that nothing else reads the
        // sockets.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let permits = Arc::new(Semaphore::new(HANDSHAKES));
        let mut connected = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for (number, (local, remote)) in peers.into_iter().enumerate() {
                let (permits, identity) = (Arc::clone(&permits), Arc::clone(&self.identity));
                tasks.spawn(async move {
                    let _permit = permits.acquire_owned().await?;
                    let peer = connect(local, remote, &identity).await;
                    Ok((number, peer.with_context(|| format!("PeerConnection {number}"))?))
                });
            }
            let ended = tasks.join_all().await;
            ended.into_iter().collect::<Result<Vec<_>>>()
        })?;
        connected.sort_by_key(|(number, _)| *number);
        Ok(connected.into_iter().map(|(_, peer)| peer).collect())
    }
}

async fn connect(local: Local, remote: sdp::Remote, identity: &Identity) -> Result<Connected> {
    let socket = tokio::net::UdpSocket::from_std(local.socket)?;
    socket.connect(remote.address).await?;
    let agent = ice::Agent {
        ufrag: local.ufrag,
        pwd: local.pwd,
        remote,
    };
    agent.connect(&socket).await?;
    let socket = Arc::new(socket);
    let keys = tokio::select! {
        keys = dtls::handshake(Arc::clone(&socket), identity, &agent) => keys?,
        error = agent.keep_checking(&socket) => return Err(error),
    };
    Ok(Connected {
        // The handshake holds the first descriptor until the runtime ends.
        socket: duplicate(&socket)?,
        ssrc: local.ssrc,
        keys: Some(keys),
        check: Some(agent.check()?),
    })
}

fn duplicate(socket: &tokio::net::UdpSocket) -> Result<UdpSocket> {
    Ok(socket2::SockRef::from(socket).try_clone()?.into())
}
