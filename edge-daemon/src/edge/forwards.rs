//! Where hosts' RTP is sent on to: what was asked for, room by room.

mod sdp;

pub(super) use sdp::describe;

use crate::handle::NewForward;
use crate::view::ForwardView;
use lianmai_mixer_control::{Forward, ForwardError as Wrong, ForwardId, MixStats};
use lianmai_room::RoomError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a mixer takes.
pub(crate) const MAX_FORWARDS: usize = 16;

/// Why a forward cannot be added, described or taken away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    /// The room or the user is not there, or publishes nothing.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// It was taken away, or never there.
    #[error("user {user:?} of room {room:?} has no forward {id}")]
    NoForward {
        /// The room.
        room: String,
        /// The host.
        user: String,
        /// The forward.
        id: u32,
    },
    /// Nothing that can be forwarded to.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// A room has as many as a mixer takes.
    #[error("room {0:?} has {MAX_FORWARDS} forwards already: take one away first")]
    TooMany(String),
    /// Its stream has not what is to be forwarded.
    #[error("user {0:?} publishes neither audio nor video that this forward sends on")]
    NothingToSend(String),
}

/// The forwards of all rooms.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    rooms: BTreeMap<String, RoomForwards>,
}

/// Those of one room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomForwards {
    next: u32,
    list: Vec<Forward>,
}

impl Forwards {
    /// Those of a room.
    pub(super) fn of(&self, room: &str) -> &[Forward] {
        self.rooms.get(room).map_or(&[], |known| &known.list)
    }

    /// Those of a host.
    pub(super) fn of_user(&self, room: &str, user: &str) -> impl Iterator<Item = &Forward> {
        self.of(room).iter().filter(move |forward| forward.user == user)
    }

    /// One of a host.
    pub(super) fn find(&self, room: &str, user: &str, id: ForwardId) -> Result<&Forward, ForwardError> {
        let found = self.of_user(room, user).find(|forward| forward.id == id);
        found.ok_or_else(|| ForwardError::NoForward {
            room: room.to_owned(),
            user: user.to_owned(),
            id: id.0,
        })
    }

    /// One more place.
    pub(super) fn add(&mut self, room: &str, user: &str, new: &NewForward) -> Result<Forward, ForwardError> {
        new.check()?;
        let known = self.rooms.entry(room.to_owned()).or_default();
        if known.list.len() >= MAX_FORWARDS {
            return Err(ForwardError::TooMany(room.to_owned()));
        }
        let forward = new.named(ForwardId(known.next), user);
        known.next += 1;
        known.list.push(forward.clone());
        Ok(forward)
    }

    /// One place less.
    pub(super) fn remove(&mut self, room: &str, user: &str, id: ForwardId) -> Result<(), ForwardError> {
        self.find(room, user, id)?;
        if let Some(known) = self.rooms.get_mut(room) {
            known.list.retain(|forward| forward.id != id);
        }
        Ok(())
    }

    /// The room is over.
    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }

    /// Everything, for a later process.
    pub(super) fn save(&self) -> BTreeMap<String, RoomForwards> {
        self.rooms.clone()
    }

    /// Goes on from what an earlier process saved. Nothing is believed that would not be taken anew.
    pub(super) fn restore(&mut self, mut rooms: BTreeMap<String, RoomForwards>) {
        for known in rooms.values_mut() {
            known.list.retain(|forward| forward.check().is_ok());
            known.list.truncate(MAX_FORWARDS);
        }
        self.rooms = rooms;
    }
}

/// A forward as it is shown, with what its mixer last counted.
pub(super) fn view(forward: &Forward, stats: Option<&MixStats>) -> ForwardView {
    let counted = stats.and_then(|stats| stats.forwards.iter().find(|stats| stats.id == forward.id));
    ForwardView {
        id: forward.id.0,
        host: forward.address.to_string(),
        audio_port: forward.audio_port,
        video_port: forward.video_port,
        key_frame_seconds: forward.key_frame_seconds,
        stats: counted.copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ForwardError, Forwards, MAX_FORWARDS};
    use crate::handle::NewForward;
    use lianmai_mixer_control::ForwardId;
    use std::net::Ipv4Addr;

    fn new(port: u16) -> NewForward {
        NewForward {
            address: Ipv4Addr::LOCALHOST.into(),
            audio_port: None,
            video_port: Some(port),
            key_frame_seconds: 5,
        }
    }

    #[test]
    fn forwards_are_added_to_a_host_and_taken_away_by_numbers_that_do_not_come_back() {
        let mut forwards = Forwards::default();
        for expected in 0..40 {
            let added = forwards.add("show", "ann", &new(5004)).expect("room for it");
            assert_eq!(added.id, ForwardId(expected));
            let another = forwards.remove("show", "bob", added.id);
            assert!(matches!(another, Err(ForwardError::NoForward { .. })));
            forwards.remove("show", "ann", added.id).expect("it is there");
        }
        forwards.add("show", "ann", &new(5004)).expect("good");
        assert_eq!(forwards.of("show").len(), 1);
        assert!(forwards.of("other").is_empty());
        forwards.forget("show");
        assert!(forwards.of("show").is_empty());
    }

    #[test]
    fn what_cannot_be_forwarded_to_changes_nothing_and_the_number_is_bounded() {
        let mut forwards = Forwards::default();
        assert!(matches!(
            forwards.add("show", "ann", &new(0)),
            Err(ForwardError::Wrong(_))
        ));
        let added = (0..40)
            .filter(|_| forwards.add("show", "ann", &new(5004)).is_ok())
            .count();
        assert_eq!(added, MAX_FORWARDS);
        assert!(matches!(
            forwards.add("show", "ann", &new(5004)),
            Err(ForwardError::TooMany(_))
        ));
    }

    #[test]
    fn a_later_process_goes_on_from_what_was_saved() {
        let mut earlier = Forwards::default();
        earlier.add("show", "ann", &new(5004)).expect("good");
        let saved = postcard::to_stdvec(&earlier.save()).expect("plain data");
        let mut later = Forwards::default();
        later.restore(postcard::from_bytes(&saved).expect("what was written"));
        assert_eq!(later.of("show"), earlier.of("show"));
        assert_eq!(
            later.add("show", "bob", &new(5006)).expect("good").id,
            ForwardId(1)
        );
    }
}
