//! What a process leaves of an endpoint to the process after it.

use crate::endpoint::{EndpointId, Validated};
use crate::parameters::{Credentials, RemoteParameters};
use crate::srtp::SrtpKeys;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One endpoint: enough to answer its checks, and to go on with the keys that its handshake yielded.
///
/// An address comes into it by a [`Validated`] alone, so that what is read back was vouched for by the process that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedEndpoint {
    endpoint: EndpointId,
    local: Credentials,
    remote: RemoteParameters,
    /// Before the last ICE restart: our credentials and the peer's fragment. The peer may not use the new ones yet.
    previous: Option<(Credentials, String)>,
    connection: Option<Connection>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Connection {
    remote: SocketAddr,
    keys: SrtpKeys,
}

impl SavedEndpoint {
    /// An endpoint of which no check has come yet.
    #[must_use]
    pub const fn new(endpoint: EndpointId, local: Credentials, remote: RemoteParameters) -> Self {
        Self {
            endpoint,
            local,
            remote,
            previous: None,
            connection: None,
        }
    }

    /// Its handshake is done.
    pub fn connected(&mut self, remote: Validated<SocketAddr>, keys: SrtpKeys) {
        self.connection = Some(Connection {
            remote: remote.get(),
            keys,
        });
    }

    /// It nominated another address.
    pub fn moved(&mut self, remote: Validated<SocketAddr>) {
        if let Some(connection) = &mut self.connection {
            connection.remote = remote.get();
        }
    }

    /// ICE began anew with these credentials.
    pub fn restarted(&mut self, local: Credentials, remote: Credentials) {
        let local = std::mem::replace(&mut self.local, local);
        let remote = std::mem::replace(&mut self.remote.ice, remote);
        self.previous = Some((local, remote.ufrag));
    }

    /// Which one it is.
    #[must_use]
    pub const fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// The peer's current ICE credentials.
    #[must_use]
    pub const fn remote_ice(&self) -> &Credentials {
        &self.remote.ice
    }

    /// Where its media comes from and goes to, and under which keys; `None` before the handshake was done.
    #[must_use]
    pub fn connection(&self) -> Option<(Validated<SocketAddr>, &SrtpKeys)> {
        self.connection
            .as_ref()
            .map(|connection| (Validated::new(connection.remote), &connection.keys))
    }

    pub(crate) const fn local(&self) -> &Credentials {
        &self.local
    }

    pub(crate) const fn remote(&self) -> &RemoteParameters {
        &self.remote
    }

    pub(crate) const fn previous(&self) -> Option<&(Credentials, String)> {
        self.previous.as_ref()
    }
}
