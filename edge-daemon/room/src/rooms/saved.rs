//! The rooms as they are written down.

use super::{Owner, Participant, Role, Room, Rooms, Viewer};
use crate::ids::ResourceId;
use crate::names::{RoomName, UserName};
use crate::saved::{age, ago};
use lianmai_webrtc::EndpointId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One room. How loud somebody is, is of the moment and not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedRoom {
    name: RoomName,
    age: Duration,
    participants: Vec<SavedParticipant>,
    viewers: Vec<SavedViewer>,
    /// As JSON: the format around it cannot read what says of itself what it is.
    scene: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedParticipant {
    name: UserName,
    owner: Owner,
    age: Duration,
    publication: Option<EndpointId>,
    subscriptions: BTreeMap<UserName, EndpointId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedViewer {
    resource: ResourceId,
    from: UserName,
    endpoint: EndpointId,
    age: Duration,
}

impl Rooms {
    /// All rooms as they are at `now`.
    pub(crate) fn save(&self, now: Instant) -> Vec<SavedRoom> {
        let rooms = self.rooms.iter();
        rooms.map(|(name, room)| room.save(name, now)).collect()
    }

    /// The rooms that were saved, at another time.
    pub(crate) fn restore(saved: Vec<SavedRoom>, now: Instant) -> Self {
        let rooms = saved
            .into_iter()
            .map(|room| (room.name.clone(), Room::restore(room, now)))
            .collect();
        let roles = roles(&rooms);
        Self { rooms, roles }
    }
}

impl Room {
    fn save(&self, name: &RoomName, now: Instant) -> SavedRoom {
        let participants = self
            .participants
            .iter()
            .map(|(name, participant)| SavedParticipant {
                name: name.clone(),
                owner: participant.owner,
                age: age(now, participant.joined),
                publication: participant.publication,
                subscriptions: participant.subscriptions.clone(),
            });
        let viewers = self.viewers.iter().map(|(resource, viewer)| SavedViewer {
            resource: *resource,
            from: viewer.from.clone(),
            endpoint: viewer.endpoint,
            age: age(now, viewer.since),
        });
        SavedRoom {
            name: name.clone(),
            age: age(now, self.opened),
            participants: participants.collect(),
            viewers: viewers.collect(),
            scene: self
                .scene
                .as_ref()
                .and_then(|scene| serde_json::to_string(scene).ok()),
        }
    }

    fn restore(saved: SavedRoom, now: Instant) -> Self {
        let participants = saved.participants.into_iter().map(|saved| {
            let participant = Participant {
                owner: saved.owner,
                joined: ago(now, saved.age),
                publication: saved.publication,
                subscriptions: saved.subscriptions,
                voice: None,
            };
            (saved.name, participant)
        });
        let viewers = saved.viewers.into_iter().map(|saved| {
            let viewer = Viewer {
                from: saved.from,
                endpoint: saved.endpoint,
                since: ago(now, saved.age),
            };
            (saved.resource, viewer)
        });
        Self {
            opened: ago(now, saved.age),
            participants: participants.collect(),
            viewers: viewers.collect(),
            scene: saved.scene.and_then(|json| serde_json::from_str(&json).ok()),
        }
    }

    /// What its endpoints are for.
    fn roles(&self, name: &RoomName) -> Vec<(EndpointId, Role)> {
        let mut roles = Vec::new();
        for (user, participant) in &self.participants {
            let (room, user) = (|| name.clone(), || user.clone());
            let publication = participant.publication.map(|endpoint| {
                let role = Role::Publisher {
                    room: room(),
                    user: user(),
                };
                (endpoint, role)
            });
            let subscriptions = participant.subscriptions.iter().map(|(from, endpoint)| {
                let role = Role::Subscriber {
                    room: room(),
                    user: user(),
                    from: from.clone(),
                };
                (*endpoint, role)
            });
            roles.extend(publication);
            roles.extend(subscriptions);
        }
        let viewers = self.viewers.iter().map(|(resource, viewer)| {
            let (room, resource) = (name.clone(), *resource);
            (viewer.endpoint, Role::Viewer { room, resource })
        });
        roles.extend(viewers);
        roles
    }
}

fn roles(rooms: &BTreeMap<RoomName, Room>) -> BTreeMap<EndpointId, Role> {
    rooms.iter().flat_map(|(name, room)| room.roles(name)).collect()
}
