//! The embedded RTMP origin: a machine without a CDN runs the whole job with it.
//!
//! One publisher a stream, many players, by RTMP or (through the daemon's HTTP side) as HTTP-FLV or HLS. [`Origin`] listens;
//! `hub` decides who may publish and play and passes tags on; it reads no clock and does no I/O. A [`Cohost`] publishes into a
//! room instead: whether it may, the rooms say, and nobody else can play it.
#![forbid(unsafe_code)]

mod cache;
mod cohost;
mod config;
mod connection;
mod flv;
mod hls;
mod hub;
mod listener;
mod metrics;
mod name;
mod outlet;

pub use cohost::{Cohost, CohostConfig};
pub use config::{Network, NetworkError, OriginConfig};
pub use flv::FlvStream;
pub use hls::{HlsError, HlsFile};
pub use hub::StreamInfo;
pub use metrics::Metrics;
pub use name::{NameError, StreamName};

use bytes::Bytes;
use hub::Hub;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A running origin. Clones are the same origin; it ends with [`Self::shutdown`] or when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Origin {
    shared: Arc<Shared>,
    address: SocketAddr,
    // Connections wait for this to close.
    running: Arc<watch::Sender<bool>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    hub: Mutex<Hub>,
    pub(crate) config: OriginConfig,
    pub(crate) metrics: Metrics,
    pub(crate) hls: hls::Sessions,
}

impl Origin {
    /// Binds and serves on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(config: OriginConfig, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let hub = Mutex::new(Hub::new(config.clone(), metrics.clone()));
        let hls = hls::Sessions::default();
        let shared = Arc::new(Shared {
            hub,
            config,
            metrics,
            hls,
        });
        let (running, watching) = watch::channel(true);
        tokio::spawn(listener::serve(listener, Arc::clone(&shared), watching.clone()));
        tokio::spawn(listener::sweep(Arc::clone(&shared), watching));
        tracing::info!(%address, "the RTMP origin listens");
        Ok(Self {
            shared,
            address,
            running: Arc::new(running),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Plays a stream as FLV: `name` is the room. `None` when nobody publishes it, or when there are too many players.
    #[must_use]
    pub fn subscribe(&self, name: &str) -> Option<FlvStream> {
        let name = StreamName::new(name).ok()?;
        FlvStream::open(&self.shared, &name)
    }

    /// A file of a stream as HLS. The list of a stream that nobody watches yet comes with its first segment.
    ///
    /// # Errors
    /// When there is no such file, or not yet.
    pub async fn hls(&self, name: &str, file: HlsFile) -> Result<Bytes, HlsError> {
        let name = StreamName::new(name).map_err(|_| HlsError::NotFound)?;
        hls::file(&self.shared, &name, file).await
    }

    /// What is published, or was within the last seconds.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamInfo> {
        self.shared.hub().streams(Instant::now())
    }

    /// Stops listening, tells the players and closes every connection.
    pub fn shutdown(&self) {
        self.running.send_replace(false);
        self.shared.hub().end_all();
    }
}

impl Shared {
    /// A panic while the lock is held would be our bug; the streams of everybody else go on.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
