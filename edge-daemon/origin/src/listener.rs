//! Accepting connections.

use crate::{Shared, connection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// How often vacant streams are looked at.
const SWEEP: Duration = Duration::from_millis(500);

/// Without a descriptor to spare, `accept` fails at once and for ever: let others close first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Until the origin ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut running: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(shared.config.max_connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = running.wait_for(|running| !running) => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting an RTMP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            shared.metrics.refuse("too many connections");
            continue;
        };
        let (shared, running) = (Arc::clone(&shared), running.clone());
        tokio::spawn(async move {
            serve_one(stream, address.ip(), &shared, running).await;
            drop(place);
        });
    }
}

async fn serve_one(
    stream: TcpStream,
    address: std::net::IpAddr,
    shared: &Arc<Shared>,
    running: watch::Receiver<bool>,
) {
    shared.metrics.connections.inc();
    connection::run(stream, address, shared, running).await;
    shared.metrics.connections.dec();
}

/// Moves the hub's clock until the origin ends.
pub(crate) async fn sweep(shared: Arc<Shared>, mut running: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.hub().handle_timeout(Instant::now()),
            _ = running.wait_for(|running| !running) => return,
        }
    }
}
