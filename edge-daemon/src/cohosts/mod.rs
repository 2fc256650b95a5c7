//! RTMP co-hosts: each publishes to the embedded origin, and a bridge, a process of its own, brings it into its room.
//!
//! To the room, the plane and the mixer it is a WHIP publisher like any other.

mod metrics;
mod process;
mod supervisor;

pub(crate) use metrics::CohostMetrics;

use crate::handle::EdgeHandle;
use crate::webhooks::Webhooks;
use lianmai_origin::Cohost;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use supervisor::Supervisor;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Co-hosts that wait to be looked at; more are refused.
pub(crate) const DOOR: usize = 64;

/// What all bridges have in common.
#[derive(Clone, Debug)]
pub(crate) struct CohostSpec {
    /// The program.
    pub(crate) program: PathBuf,
    /// Log filter of the processes.
    pub(crate) log: String,
    /// The media port, as this machine reaches it.
    pub(crate) media: SocketAddr,
    /// What is counted.
    pub(crate) metrics: CohostMetrics,
    /// Told of refusals and restarts.
    pub(crate) webhooks: Webhooks,
}

/// Brings in whoever comes to the door, until the daemon ends; their processes are gone when the task is.
pub(crate) fn serve(
    spec: CohostSpec,
    edge: EdgeHandle,
    mut door: mpsc::Receiver<Cohost>,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut cohosts = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(cohost) = door.recv() => {
                    cohosts.spawn(Supervisor::new(spec.clone(), edge.clone(), cohost).run());
                }
                Some(ended) = cohosts.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the supervisor of a co-host");
                    }
                }
            }
        }
        // What they hold ends with them: the processes, and the connections of the publishers.
        cohosts.shutdown().await;
    })
}

/// Where a process of this machine reaches what listens at `address`.
pub(crate) const fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
