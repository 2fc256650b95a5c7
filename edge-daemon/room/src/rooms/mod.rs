//! Who is in which room, and who receives whom. Rules only: no messages, no media.

mod saved;
mod streams;

use crate::error::RoomError;
use crate::ids::{ResourceId, SessionId};
use crate::limits::Limits;
use crate::names::{RoomName, UserName};
use lianmai_mixer_control::scene::Scene;
use lianmai_webrtc::EndpointId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

pub(crate) use saved::SavedRoom;
pub(crate) use streams::{Role, Unpublished};

/// All rooms. A room exists as long as somebody is in it.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    rooms: BTreeMap<RoomName, Room>,
    roles: BTreeMap<EndpointId, Role>,
}

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) opened: Instant,
    pub(crate) participants: BTreeMap<UserName, Participant>,
    pub(crate) viewers: BTreeMap<ResourceId, Viewer>,
    /// What it looks like in the mix, if that was said.
    pub(crate) scene: Option<Box<Scene>>,
}

/// One participant.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) owner: Owner,
    pub(crate) joined: Instant,
    pub(crate) publication: Option<EndpointId>,
    pub(crate) subscriptions: BTreeMap<UserName, EndpointId>,
    pub(crate) voice: Option<Voice>,
}

/// Who acts for a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Owner {
    Session(SessionId),
    Whip(ResourceId),
}

/// A WHEP session.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) from: UserName,
    pub(crate) endpoint: EndpointId,
    pub(crate) since: Instant,
}

/// How loud a publisher is, in -dBov, and whether that is speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voice {
    pub(crate) level: u8,
    pub(crate) speaking: bool,
}

/// What went with a participant.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) owner: Owner,
    /// What it published, with everything that hung on it.
    pub(crate) published: Option<Unpublished>,
    /// Its receiving endpoints.
    pub(crate) received: Vec<EndpointId>,
    /// It was the last one.
    pub(crate) room_closed: bool,
}

impl Rooms {
    /// Adds a participant that [`Rooms::may_join`]; `true` if that opened the room.
    pub(crate) fn join(&mut self, now: Instant, room: &RoomName, user: &UserName, owner: Owner) -> bool {
        let opens = !self.rooms.contains_key(room);
        let entered = self.rooms.entry(room.clone()).or_insert_with(|| Room::new(now));
        entered
            .participants
            .insert(user.clone(), Participant::new(now, owner));
        opens
    }

    /// Whether a participant of this name could join, without adding it.
    pub(crate) fn may_join(
        &self,
        room: &RoomName,
        user: &UserName,
        limits: &Limits,
    ) -> Result<(), RoomError> {
        let Some(entered) = self.rooms.get(room) else {
            let limit = limits.rooms;
            let full = self.rooms.len() >= limit;
            return if full {
                Err(RoomError::TooManyRooms {
                    room: room.clone(),
                    limit,
                })
            } else {
                Ok(())
            };
        };
        if entered.participants.contains_key(user) {
            return Err(RoomError::UserExists {
                user: user.clone(),
                room: room.clone(),
            });
        }
        let limit = limits.participants_per_room;
        if entered.participants.len() >= limit {
            return Err(RoomError::RoomFull {
                room: room.clone(),
                limit,
            });
        }
        Ok(())
    }

    /// Takes a participant out, and the room with the last one.
    pub(crate) fn leave(&mut self, room: &RoomName, user: &UserName) -> Option<Departure> {
        let published = self.unpublish(room, user).ok();
        let left = self.rooms.get_mut(room)?;
        let participant = left.participants.remove(user)?;
        let room_closed = left.participants.is_empty();
        if room_closed {
            self.rooms.remove(room);
        }
        let received: Vec<_> = participant.subscriptions.into_values().collect();
        for endpoint in &received {
            self.roles.remove(endpoint);
        }
        Some(Departure {
            owner: participant.owner,
            published,
            received,
            room_closed,
        })
    }

    pub(crate) fn get(&self, room: &RoomName) -> Option<&Room> {
        self.rooms.get(room)
    }

    pub(crate) fn get_mut(&mut self, room: &RoomName) -> Option<&mut Room> {
        self.rooms.get_mut(room)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&RoomName, &mut Room)> {
        self.rooms.iter_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RoomName, &Room)> {
        self.rooms.iter()
    }

    /// The room and the participant of these names, which come from outside.
    pub(crate) fn find(&self, room: &str, user: &str) -> Result<(RoomName, UserName), RoomError> {
        let room = self.find_room(room)?;
        let absent = || RoomError::UserNotFound {
            user: user.to_owned(),
            room: room.clone(),
        };
        let user = UserName::new(user).map_err(|_| absent())?;
        self.participant(&room, &user).ok_or_else(absent)?;
        Ok((room, user))
    }

    /// The room of this name, which comes from outside.
    pub(crate) fn find_room(&self, room: &str) -> Result<RoomName, RoomError> {
        let name = RoomName::new(room)
            .ok()
            .filter(|name| self.rooms.contains_key(name));
        name.ok_or_else(|| RoomError::RoomNotFound {
            room: room.to_owned(),
        })
    }

    pub(crate) fn participant(&self, room: &RoomName, user: &UserName) -> Option<&Participant> {
        self.rooms.get(room)?.participants.get(user)
    }

    fn participant_mut(&mut self, room: &RoomName, user: &UserName) -> Option<&mut Participant> {
        self.rooms.get_mut(room)?.participants.get_mut(user)
    }
}

impl Voice {
    /// The level in dBov, as people write it.
    pub(crate) fn dbov(self) -> i16 {
        -i16::from(self.level)
    }
}

impl Room {
    fn new(now: Instant) -> Self {
        Self {
            opened: now,
            participants: BTreeMap::new(),
            viewers: BTreeMap::new(),
            scene: None,
        }
    }
}

impl Participant {
    fn new(now: Instant, owner: Owner) -> Self {
        Self {
            owner,
            joined: now,
            publication: None,
            subscriptions: BTreeMap::new(),
            voice: None,
        }
    }
}
