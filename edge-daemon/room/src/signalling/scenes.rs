//! What the rooms look like in the mix.

use super::Signalling;
use super::delivery::Answered;
use crate::error::RoomError;
use crate::ids::SessionId;
use crate::kurento::rpc::{Call, Failure, Members};
use crate::names::RoomName;
use crate::output::Output;
use crate::scenes::SceneRules;
use lianmai_mixer_control::scene::Scene;
use serde_json::json;

impl Signalling {
    /// From now on these rules hold. What rooms were told to look like is told again, as far as it keeps to them.
    pub fn set_scene_rules(&mut self, rules: SceneRules) {
        for (room, state) in self.rooms.iter_mut() {
            let kept = state
                .scene
                .take()
                .filter(|scene| scene.check(rules.canvas).is_ok());
            self.outputs.extend(kept.iter().map(|scene| Output::SceneChanged {
                room: room.clone(),
                scene: scene.clone(),
            }));
            state.scene = kept;
        }
        self.scene_rules = rules;
    }

    /// What a room looks like in the mix.
    pub fn scene(&self, room: &str) -> Result<&Scene, RoomError> {
        let room = self.rooms.find_room(room)?;
        Ok(self.scene_of(&room))
    }

    /// What a room is to look like in the mix. It holds until the room closes.
    pub fn set_scene(&mut self, room: &str, scene: Scene) -> Result<(), RoomError> {
        let room = self.rooms.find_room(room)?;
        self.touch();
        self.change_scene(room, scene)
    }

    /// A participant wants to know.
    pub(super) fn get_layout(&mut self, id: SessionId, call: &Call) -> Result<Answered, Failure> {
        let (room, _) = self.participant_of(id)?;
        let members = Members::from_iter([("layout".to_owned(), json!(self.scene_of(&room)))]);
        Ok(self.answer(id, call, members))
    }

    /// A participant says what its room is to look like.
    pub(super) fn set_layout(
        &mut self,
        id: SessionId,
        call: &Call,
        scene: Scene,
    ) -> Result<Answered, Failure> {
        let (room, _) = self.participant_of(id)?;
        self.change_scene(room, scene)?;
        Ok(self.answer(id, call, Members::new()))
    }

    fn scene_of(&self, room: &RoomName) -> &Scene {
        let own = self.rooms.get(room).and_then(|room| room.scene.as_deref());
        own.unwrap_or(&self.scene_rules.default)
    }

    fn change_scene(&mut self, room: RoomName, scene: Scene) -> Result<(), RoomError> {
        scene.check(self.scene_rules.canvas)?;
        let scene = Box::new(scene);
        if let Some(state) = self.rooms.get_mut(&room) {
            state.scene = Some(scene.clone());
        }
        self.outputs.push_back(Output::SceneChanged { room, scene });
        Ok(())
    }
}
