//! The state of the edge as it is written down.

use crate::edge::{RoomForwards, RoomTargets, SavedFilters};
use crate::http::SelfSigned;
use lianmai_mixer_control::{Record, Volume};
use lianmai_plane::Command;
use lianmai_room::{ResourceId, Saved};
use lianmai_webrtc::media::Track;
use lianmai_webrtc::{EndpointId, SavedCertificate, SavedEndpoint};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Of everything below, down to the crates that it comes from: one that reads another format would find nonsense, so a test
/// holds this number together with the bytes of a state.
const FORMAT: u32 = 4;

/// Everything that a process needs to go on as the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Rooms and sessions.
    pub(crate) rooms: Saved,
    /// Their PeerConnections.
    pub(crate) peers: Vec<Peer>,
    /// Streams whose sound is not in the mix.
    pub(crate) muted: BTreeSet<EndpointId>,
    /// How loud streams are in the mix, if that was said.
    pub(crate) volumes: BTreeMap<EndpointId, Volume>,
    /// Where the mixes of rooms are published to.
    pub(crate) targets: BTreeMap<String, RoomTargets>,
    /// What of rooms is recorded, where somebody said so.
    pub(crate) recordings: BTreeMap<String, Record>,
    /// Where the streams of hosts are sent on to.
    pub(crate) forwards: BTreeMap<String, RoomForwards>,
    /// Sessions of RTMP co-hosts, whose bridges end with this process.
    pub(crate) cohosts: BTreeSet<ResourceId>,
    /// What answers to offers named.
    pub(crate) certificate: SavedCertificate,
    /// What browsers were asked to accept.
    pub(crate) https: Option<SelfSigned>,
    /// What is done to participants' pictures.
    pub(crate) filters: SavedFilters,
}

/// One PeerConnection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// Its ICE and its keys.
    pub(crate) transport: SavedEndpoint,
    /// What it carries.
    pub(crate) flow: Flow,
}

/// What a PeerConnection carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Flow {
    /// A stream of these tracks comes in.
    Publish {
        /// As they were settled.
        tracks: Vec<Track>,
        /// What goes back to the publisher itself; mostly nothing.
        loopback: Vec<Track>,
    },
    /// A copy of a stream goes out.
    Subscribe {
        /// Whose.
        source: EndpointId,
        /// As they were settled.
        tracks: Vec<Track>,
    },
}

/// A state cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// Another version wrote it.
    #[error("the state has format {found} and this program reads format {FORMAT}; rooms begin anew")]
    Format {
        /// What stands in it.
        found: u32,
    },
    /// It is none.
    #[error("the state makes no sense: {0}")]
    Nonsense(#[from] postcard::Error),
}

impl Snapshot {
    /// As bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, SnapshotError> {
        let begun = FORMAT.to_le_bytes().to_vec();
        Ok(postcard::to_extend(self, begun)?)
    }

    /// From bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (format, state) = bytes
            .split_at_checked(4)
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        match format.try_into().map_or(0, u32::from_le_bytes) {
            FORMAT => Ok(postcard::from_bytes(state)?),
            found => Err(SnapshotError::Format { found }),
        }
    }

    /// What a new plane must be told to forward as the old one did: streams before the legs that take from them, and addresses
    /// with their keys when everything is in its place.
    pub(crate) fn commands(&self) -> Vec<Command> {
        [Peer::stream, Peer::leg, Peer::link]
            .into_iter()
            .flat_map(|part| self.peers.iter().filter_map(part))
            .collect()
    }

    /// What a new transport must know.
    pub(crate) fn transports(&self) -> Vec<SavedEndpoint> {
        self.peers.iter().map(|peer| peer.transport.clone()).collect()
    }
}

impl Peer {
    fn stream(&self) -> Option<Command> {
        let endpoint = self.transport.endpoint();
        match &self.flow {
            Flow::Publish { tracks, .. } => Some(Command::Publish {
                endpoint,
                tracks: tracks.clone(),
            }),
            Flow::Subscribe { .. } => None,
        }
    }

    fn leg(&self) -> Option<Command> {
        let endpoint = self.transport.endpoint();
        let (source, tracks) = match &self.flow {
            Flow::Publish { loopback, .. } if loopback.is_empty() => return None,
            Flow::Publish { loopback, .. } => (endpoint, loopback),
            Flow::Subscribe { source, tracks } => (*source, tracks),
        };
        Some(Command::Subscribe {
            endpoint,
            source,
            tracks: tracks.clone(),
        })
    }

    fn link(&self) -> Option<Command> {
        let (remote, keys) = self.transport.connection()?;
        Some(Command::Resume {
            endpoint: self.transport.endpoint(),
            remote,
            keys: keys.clone(),
        })
    }
}

impl Flow {
    /// What the PeerConnection itself was settled to carry.
    pub(crate) fn tracks(&self) -> &[Track] {
        match self {
            Self::Publish { tracks, .. } | Self::Subscribe { tracks, .. } => tracks,
        }
    }
}

#[cfg(test)]
mod tests;
