//! What the mixes of the rooms look like.

use lianmai_mixer_control::scene::Scene;
use std::collections::BTreeMap;

/// The scenes of all rooms: the default one, but for rooms that were told another.
#[derive(Debug)]
pub(super) struct Scenes {
    default: Box<Scene>,
    rooms: BTreeMap<String, Box<Scene>>,
}

impl Scenes {
    pub(super) fn new(default: Scene) -> Self {
        Self {
            default: Box::new(default),
            rooms: BTreeMap::new(),
        }
    }

    pub(super) fn of(&self, room: &str) -> Box<Scene> {
        self.rooms.get(room).unwrap_or(&self.default).clone()
    }

    pub(super) fn set(&mut self, room: &str, scene: Box<Scene>) {
        self.rooms.insert(room.to_owned(), scene);
    }

    pub(super) fn forget(&mut self, room: &str) {
        self.rooms.remove(room);
    }
}
