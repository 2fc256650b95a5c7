//! Everything the edge says over TCP to browsers, players and operators: pages, the kurento-room WebSocket, WHIP,
//! WHEP, the mixed stream as HTTP-FLV, the admin API, health and metrics.
//!
//! The modules hold no state of rooms: each request becomes one message to the edge.

mod admin;
mod error;
mod flv;
mod hls;
mod kurento;
mod metrics;
mod pace;
mod page;
mod routes;
mod socket;
mod tls;
mod whip;

#[cfg(test)]
mod testing;

pub(crate) use flv::{FlvStream, HlsAnswer, LiveStreams};
pub(crate) use metrics::Metrics;
pub(crate) use tls::{SelfSigned, TlsError};

use crate::config::Tls;
use crate::handle::EdgeHandle;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// What the listener is and who may do what.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where to listen.
    pub(crate) address: SocketAddr,
    /// How the connection is protected.
    pub(crate) tls: Tls,
    /// Addresses that the self-signed certificate names besides loopback and the host name.
    pub(crate) advertise: Vec<IpAddr>,
    /// A self-signed certificate to serve with if it has these names; otherwise one is made.
    pub(crate) self_signed: Option<SelfSigned>,
    /// Who may use the admin API and `/close`.
    pub(crate) admin: AdminAccess,
}

/// Who may look into rooms, mute, kick and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminAccess {
    /// Peers on a loopback address. A proxy on this machine makes everybody such a peer.
    Loopback,
    /// Everybody who reaches the listener.
    Anyone,
}

/// What the routes are made of.
#[derive(Clone)]
pub(crate) struct Services {
    /// The rooms.
    pub(crate) edge: EdgeHandle,
    /// Where the mixed streams come from.
    pub(crate) live: Arc<dyn LiveStreams>,
    /// What `/metrics` encodes.
    pub(crate) registry: Arc<Registry>,
    /// The counters of this module, registered there.
    pub(crate) metrics: Metrics,
}

/// Why the listener cannot be started or goes on no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The address is taken, not ours, or privileged.
    #[error("http: cannot listen on {address}: {source}; choose another address with --http")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `accept` failed for good.
    #[error("http: {0}")]
    Accept(#[from] io::Error),
}

/// WebSockets at once; one more is told to come back.
const MAX_SOCKETS: usize = 1024;
/// HTTP-FLV players at once.
const MAX_PLAYERS: usize = 1024;
/// A client that sends its request's head more slowly than this is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end waits for answers that are on their way.
const GRACE: Duration = Duration::from_secs(3);

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    admin: AdminAccess,
}

/// Binds and reads or makes the certificate; nothing is accepted before [`Server::run`].
pub(crate) fn bind(config: &Config) -> Result<Server, ServeError> {
    let tls = tls::server_config(&config.tls, config.self_signed.clone(), &config.advertise)?;
    let at = |source| ServeError::Bind {
        address: config.address,
        source,
    };
    let listener = TcpListener::bind(config.address).map_err(at)?;
    listener.set_nonblocking(true).map_err(at)?;
    let address = listener.local_addr().map_err(at)?;
    Ok(Server {
        listener,
        address,
        tls,
        admin: config.admin,
    })
}

impl Server {
    /// The address in use: the port that was chosen where the configuration said 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Accepts until `shutdown` resolves, then tells WebSockets to go, finishes answers and returns.
    pub(crate) async fn run(
        self,
        services: Services,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let (close, closing) = watch::channel(false);
        let shared = routes::Shared::new(services, self.admin, closing);
        let sockets = Arc::clone(&shared.sockets);
        let handle = Handle::new();
        let accepting = accept(self.listener, self.tls, routes::router(shared), handle.clone());
        tokio::pin!(accepting);
        tokio::select! {
            ended = &mut accepting => return Ok(ended?),
            () = shutdown => {}
        }
        let _ = close.send(true);
        handle.graceful_shutdown(Some(GRACE));
        accepting.await?;
        closed(&sockets).await;
        Ok(())
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: axum::Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(listener)?.handle(handle);
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        None => server.acceptor(NoDelayAcceptor::new()).serve(service).await,
        Some(config) => {
            let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config));
            server
                .acceptor(acceptor.acceptor(NoDelayAcceptor::new()))
                .serve(service)
                .await
        }
    }
}

/// Waits for the WebSockets, which the HTTP server has let go of, to say goodbye.
async fn closed(sockets: &Semaphore) {
    let all = u32::try_from(MAX_SOCKETS).unwrap_or(u32::MAX);
    if tokio::time::timeout(GRACE, sockets.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!(
            open = MAX_SOCKETS - sockets.available_permits(),
            "WebSockets did not close in time"
        );
    }
}

#[cfg(test)]
mod tests;
